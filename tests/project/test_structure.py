"""The shape of the house: no circles of imports, and no long file or function without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.import_graph import ImportGraph, strongly_connected
from tests.project.lengths import REASON, Function, cpp_functions, python_functions

ROOT = Path(__file__).parents[2]
FILE_LINES, FUNCTION_LINES = 400, 60
"""More lines than these need a line that begins "Long because" in the file's head, or in the function or before it."""
HEAD_LINES = 30


def sources() -> Iterator[Path]:
    for folder in ("src", "cpp", "benchmarks", "tools", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".h", ".cpp"}:
                yield path


def functions(path: Path) -> Iterator[Function]:
    source = path.read_text(encoding="utf-8")
    return python_functions(source) if path.suffix == ".py" else cpp_functions(source)


def test_imports_have_no_circles() -> None:
    assert ImportGraph().circles() == []


def test_long_files_and_functions_give_a_reason() -> None:
    long = set()
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > FILE_LINES and not REASON.search("\n".join(lines[:HEAD_LINES])):
            long.add(name)
        for function in functions(path):
            if function.lines > FUNCTION_LINES and not REASON.search(function.text):
                long.add(f"{name}: {function.name}")
    assert not long


def package(folder: Path, files: dict[str, str]) -> ImportGraph:
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ImportGraph(folder, "house")


@pytest.mark.parametrize(
    "back",
    [
        "import house.a",
        "from house import a",
        "from house.a import x",
        "from house.room import x",  # the package passes on what house.a defines
        "def f():\n    from house.a import x",
        "if TYPE_CHECKING:\n    from house.a import x",
        "importlib.import_module('house.a')",
    ],
)
def test_a_circle_is_found_however_it_is_closed(tmp_path: Path, back: str) -> None:
    room = {"room/__init__.py": "from house.a import x as x\n"}
    graph = package(tmp_path, {"a.py": "from house.b import y\nx = 1\n", "b.py": back + "\ny = 2\n", **room})
    assert graph.circles() == [["house.a", "house.b"]]


def test_a_package_that_passes_names_on_closes_no_circle(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "from house.room.a import x\nfrom house.room.b import y\n",
        "room/a.py": "from house.room import y\nx = 1\n",
        "room/b.py": "y = 2\n",
    }
    assert package(tmp_path, files).circles() == []


def test_components_of_a_graph() -> None:
    edges = {"a": "b", "b": "c", "c": "a", "d": "ae", "e": "d", "f": ""}
    parts = strongly_connected({name: frozenset(to) for name, to in edges.items()})
    assert sorted(sorted(part) for part in parts) == [["a", "b", "c"], ["d", "e"], ["f"]]


def test_functions_of_cpp_are_counted() -> None:
    source = """\
namespace hetorch {
struct Point {
  int x;
  int twice() const { return 2 * x; }
};
// Long because it is an example.
template <typename T>
Point::Point(int x, const std::vector<T>& values)
    : x(x) {
  if (x) {
    for (auto& v : values) use([&] { return v; });  // a brace in a comment: {
  }
  const char* text = "}";
}
void short_one(int a) {
}
}  // namespace hetorch
"""
    seen = [(f.name, f.first, f.last, bool(REASON.search(f.text))) for f in cpp_functions(source)]
    assert seen == [("twice", 4, 4, False), ("Point::Point", 7, 14, True), ("short_one", 15, 16, False)]


def test_functions_of_python_are_counted() -> None:
    source = 'def outer():\n    """Do.\n\n    Long because it shows.\n    """\n\n    def inner():\n        return 1\n'
    seen = [(f.name, f.lines, bool(REASON.search(f.text))) for f in python_functions(source)]
    assert seen == [("outer", 8, True), ("inner", 2, False)]
