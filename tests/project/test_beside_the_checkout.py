"""Python started in the folder above a checkout that is called `hetorch`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEN = "import hetorch, sys; print(hetorch.__file__, hetorch.errors.InputError.__module__, len(hetorch.__path__))"


def python(folder: Path, *arguments: str, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without installed packages but with `paths` on sys.path behind it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout `hetorch` whose core is not built, without the folders of its package."""
    package = tmp_path / "hetorch" / "src" / "hetorch"
    (package / "engine").mkdir(parents=True)
    (tmp_path / "hetorch" / "__init__.py").write_bytes((ROOT / "__init__.py").read_bytes())
    for file in (ROOT / "src" / "hetorch").glob("*.py"):
        (package / file.name).write_bytes(file.read_bytes())
    return tmp_path / "hetorch"


def build(clone: Path) -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    (clone / "src" / "hetorch" / "engine" / f"_native{EXTENSION_SUFFIXES[0]}").write_bytes(b"")


def test_neither_installed_nor_built_says_what_to_do(clone: Path) -> None:
    (clone / "src" / "hetorch" / "engine" / "_native.cpython-20-other.so").write_bytes(
        b""
    )  # of another Python
    result = python(clone.parent, "-c", "import hetorch")
    last = result.stderr.strip().splitlines()[-1]
    assert (
        last.startswith("ImportError: ")
        and f"run {clone / 'scripts' / 'setup'}" in last
        and "pip install" in last
    )


@pytest.mark.parametrize(
    "importing", [SEEN, SEEN.replace("import hetorch,", "import hetorch.errors, hetorch,")]
)
def test_the_built_package_is_handed_over_to(clone: Path, importing: str) -> None:
    build(clone)
    result = python(clone.parent, "-c", importing)
    assert result.stdout.split() == [str(clone / "src/hetorch/__init__.py"), "hetorch.errors", "1"], (
        result.stderr
    )


@pytest.mark.parametrize("prepare", [build, lambda clone: None], ids=["built", "not built"])
def test_an_installed_package_is_handed_over_to(clone: Path, prepare: Callable[[Path], None]) -> None:
    prepare(clone)
    result = python(clone.parent, "-c", SEEN, paths=(ROOT / "src",))
    assert result.stdout.split() == [str(ROOT / "src/hetorch/__init__.py"), "hetorch.errors", "1"], (
        result.stderr
    )


def test_an_editable_installation_is_handed_over_to(clone: Path) -> None:
    """One that finds the package by a finder of its own, behind Python's."""
    code = (
        "import sys, importlib.util\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        file = {str(ROOT / 'src' / 'hetorch')!r}\n"
        "        if name == 'hetorch':\n"
        "            return importlib.util.spec_from_file_location(\n"
        "                name, file + '/__init__.py', submodule_search_locations=[file])\n"
        "sys.meta_path.append(Finder)\n"
    )
    result = python(clone.parent, "-c", code + SEEN)
    assert result.stdout.split()[0] == str(ROOT / "src/hetorch/__init__.py"), result.stderr


def test_a_script_and_a_module_beside_the_checkout(clone: Path) -> None:
    (clone.parent / "script.py").write_text(SEEN)
    for arguments in (("script.py",), ("-m", "script")):
        assert str(ROOT) in python(clone.parent, *arguments, paths=(ROOT / "src",)).stdout


def test_from_inside_the_checkout_nothing_changes(clone: Path) -> None:
    result = python(clone, "-c", SEEN, paths=(ROOT / "src",))
    assert result.stdout.split()[0] == str(ROOT / "src/hetorch/__init__.py"), result.stderr
    named = clone.rename(clone.parent / "other")
    assert python(named.parent, "-c", "import other; print(other.__doc__[:12])").stdout == "The checkout\n"
