"""The doors of the package: one table of public names, which imports, documentation and type checkers agree on."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hetorch
from hetorch.signposts import SIGNPOSTS

ROOT = Path(__file__).parents[2]
EXPORTS = dict(hetorch._EXPORTS)


def value_of(name: str) -> object:
    module = importlib.import_module(EXPORTS[name])
    if name == "errors":
        return module
    if not hasattr(module, name):
        pytest.skip(f"{EXPORTS[name]} has no {name} yet")
    return getattr(module, name)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_name_is_the_object_that_its_module_defines(name: str) -> None:
    value = value_of(name)
    assert getattr(hetorch, name) is value
    if name != "errors":
        assert getattr(value, "__module__", None) == EXPORTS[name]


@pytest.mark.parametrize("name", EXPORTS)
def test_a_name_has_a_docstring_and_is_described(name: str) -> None:
    assert value_of(name).__doc__
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(re.search(rf"\bhetorch\.{name}\b", page.read_text()) for page in pages)


@pytest.mark.parametrize("package", ["hetorch", "hetorch.federated", "hetorch.inspect"])
def test_type_checkers_see_the_same_names(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    names = {
        alias.asname: "hetorch.errors" if alias.asname == "errors" else node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names == dict(module._EXPORTS)


def test_the_table_is_sorted_and_whole() -> None:
    assert list(EXPORTS) == sorted(EXPORTS)
    assert sorted(hetorch.__all__) == sorted([*EXPORTS, "__version__"]) == dir(hetorch)


def test_the_other_stable_doors_open() -> None:
    for package in (
        "hetorch.client",
        "hetorch.federated",
        "hetorch.inspect",
        "hetorch.tenseal",
        "hetorch.train",
    ):
        module = importlib.import_module(package)
        assert all(hasattr(module, name) for name in module.__all__)
    assert callable(importlib.import_module("hetorch.server").create_app)


def test_the_names_of_inspect_are_described() -> None:
    package = importlib.import_module("hetorch.inspect")
    page = "".join((ROOT / "docs" / name).read_text() for name in ("looking-inside.md", "sweeps.md"))
    for name in package.__all__:
        assert getattr(package, name).__doc__ and re.search(rf"\b{name}\(", page)
        assert name in dir(package)
    with pytest.raises(AttributeError, match=r"module 'hetorch.inspect' has no attribute 'look'"):
        getattr(package, "look")  # noqa: B009


def test_no_name_hides_a_module() -> None:
    modules = {path.stem for path in Path(hetorch.__file__).parent.iterdir()} - {"errors"}
    assert not modules & set(EXPORTS)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'hetorch' has no attribute 'quantum'$"):
        getattr(hetorch, "quantum")  # noqa: B009


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("load", r"hetorch\.Plan\.load\(folder\) reads a plan, hetorch\.load_model"),
        ("load_plan", r"hetorch\.Plan\.load\(folder\)"),
        ("predict", r"hetorch\.Client\(url\)\.predict"),
        ("compile_model", r"did you mean hetorch\.compile\?"),
        ("Tablet", r"did you mean hetorch\.Table\?"),
    ],
)
def test_a_name_that_users_guess_leads_to_the_right_one(name: str, way: str) -> None:
    with pytest.raises(AttributeError, match=rf"module 'hetorch' has no attribute '{name}'.*{way}"):
        getattr(hetorch, name)


def test_names_that_exist_need_no_signpost() -> None:
    assert not set(SIGNPOSTS) & {*EXPORTS, *hetorch._MODULES}
    modules = {path.stem for path in Path(hetorch.__file__).parent.iterdir()}
    assert not modules & set(SIGNPOSTS)


@pytest.mark.parametrize("name", ["client", "federated", "inspect", "server", "tenseal", "train"])
def test_importing_hetorch_makes_its_stable_packages_known(name: str) -> None:
    code = f"import hetorch; print(hetorch.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"hetorch.{name}\n"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert hetorch.__version__ == project["version"]


def test_importing_hetorch_loads_neither_torch_nor_numpy() -> None:
    code = "import hetorch, sys; print(*sorted({'numpy', 'scipy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_package_runs_as_a_command() -> None:
    command = [sys.executable, "-m", "hetorch", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("hetorch ")
