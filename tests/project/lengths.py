"""Lengths of files and functions, in Python and in C++ as clang-format lays it out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

REASON = re.compile(r'^\s*(?:#|//|\*|""")?\s*Long because\b', re.MULTILINE)
"""A line of a comment or docstring that gives the reason for a length."""

_STRING_OR_COMMENT = re.compile(
    r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*|/\*(?:.|\n)*?\*/'
)
_FUNCTION_HEAD = re.compile(
    r"\)\s*(?:const|noexcept|override|final|mutable|->[^{};]*|\s)*(?::[^:;{}][^;]*)?$"
)
_OTHER_HEAD = re.compile(r"\b(?:namespace|class|struct|union|enum|extern)\b[^()]*$|\benum\b")


@dataclass(frozen=True, slots=True)
class Function:
    """A function from line `first` to line `last`, counted from 1; `text` includes the comment before it."""

    name: str
    first: int
    last: int
    text: str

    @property
    def lines(self) -> int:
        return self.last - self.first + 1


def python_functions(source: str) -> Iterator[Function]:
    """Yield all functions, those inside others too, without their decorators."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            yield Function(node.name, node.lineno, last, "\n".join(lines[node.lineno - 1 : last]))


def cpp_functions(source: str) -> Iterator[Function]:
    """Yield the functions that are not inside others; lambdas and local classes belong to the function around them."""
    code = _STRING_OR_COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
    code = re.sub(
        r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda match: re.sub(r"[^\n]", " ", match[0]), code, flags=re.M
    )
    lines = source.splitlines()
    depth, start, head = 0, -1, 0
    for position, character in enumerate(code):
        if character == "{":
            if start < 0:
                text = code[head:position].strip()
                if _FUNCTION_HEAD.search(text) and not _OTHER_HEAD.search(text.split("(")[0]):
                    start, depth = position, 0
                head = position + 1
            depth += 1
        elif character == "}":
            depth -= 1
            if start >= 0 and depth == 0:
                yield _cpp_function(code, lines, start, position)
                start = -1
            if start < 0:
                head = position + 1
        elif character == ";" and start < 0:
            head = position + 1


def _cpp_function(code: str, lines: list[str], start: int, end: int) -> Function:
    before = code[:start]
    text = before[max(before.rfind(sign) for sign in "};{") + 1 :]
    names = re.findall(r"([\w~:]+)\s*\(", text)
    first = code.count("\n", 0, start - len(text.lstrip())) + 1
    last = code.count("\n", 0, end) + 1
    comment = first - 1
    while comment > 0 and lines[comment - 1].lstrip().startswith(("//", "*", "/*")):
        comment -= 1
    return Function(names[0] if names else "", first, last, "\n".join(lines[comment:last]))
