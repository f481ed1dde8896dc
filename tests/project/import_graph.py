"""The graph of imports between the files of src/hetorch, read from their syntax trees.

An import counts wherever it stands: at the top, inside a function, or for type checkers only. An import of a name
from a package leads to the file that defines the name, through packages that only pass it on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"


class ImportGraph:
    """Files by module name, and the modules that each of them imports."""

    def __init__(self, sources: Path = SOURCES, package: str = "hetorch") -> None:
        self.files: dict[str, Path] = {}
        for path in sorted((sources / package).rglob("*.py")):
            parts = path.relative_to(sources).with_suffix("").parts
            self.files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        self._trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.files.items()}
        self.edges = {name: frozenset(self._imports(name)) - {name} for name in self.files}

    def circles(self) -> list[list[str]]:
        """Return the sets of modules that import each other, directly or through others (Tarjan's algorithm)."""
        return [sorted(part) for part in strongly_connected(self.edges) if len(part) > 1]

    def _imports(self, module: str) -> Iterator[str]:
        for node in ast.walk(self._trees[module]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name in self.files)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: relative imports are not in use"
                for alias in node.names:
                    yield from self._definition(node.module or "", alias.name)
            elif isinstance(node, ast.Call) and _is_import_by_name(node):
                argument = node.args[0] if node.args else None
                if isinstance(argument, ast.Constant) and argument.value in self.files:
                    yield str(argument.value)

    def _definition(self, module: str, name: str) -> Iterator[str]:
        """Yield the module that `from module import name` leads to; nothing if it is not ours."""
        if f"{module}.{name}" in self.files:
            yield f"{module}.{name}"
        elif module in self.files:
            passed_on = {
                alias.asname or alias.name: (node.module or "", alias.name)
                for node in ast.walk(self._trees[module])
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            is_package = self.files[module].name == "__init__.py"
            if is_package and name in passed_on and passed_on[name] != (module, name):
                yield from self._definition(*passed_on[name])
            else:
                yield module


def _is_import_by_name(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in ("import_module", "__import__")


def strongly_connected(edges: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Return the strongly connected components of a graph."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in edges[node]:
            if other not in order:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], order[other])
        if lowest[node] == order[node]:
            begin = stack.index(node)
            components.append(stack[begin:])
            del stack[begin:]

    for node in edges:
        if node not in order:
            visit(node)
    return components
