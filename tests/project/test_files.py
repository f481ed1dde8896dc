"""Habits of the project that no other tool checks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "hetorch"
OWN_TEXT = ("src", "cpp", "tests", "scripts", "tools", "benchmarks", "docs", "examples", "cmake", "notebooks")
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "misc"}


def own_files() -> Iterator[Path]:
    for folder in OWN_TEXT:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_what_knows_secrets_imports_the_compiled_secret_module() -> None:
    importers = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if any(name == "_secret" or name.endswith("._secret") for name in imported(path))
    }
    party = {f"federated/party/{name}.py" for name in ("encryption", "sampling", "sharing", "tag")}
    assert importers == {"engine/secret.py", *party}


def test_nothing_unpickles() -> None:
    modules = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}
    for path in SOURCES.rglob("*.py"):
        assert not modules & {name.split(".")[0] for name in imported(path)}, path


def test_no_vague_names() -> None:
    for path in own_files():
        parts = {part.lower() for part in path.relative_to(ROOT).with_suffix("").parts}
        assert not parts & FORBIDDEN_NAMES, path


def test_no_file_is_over_800_lines() -> None:
    for path in own_files():
        if path.suffix in {".py", ".h", ".cpp"}:
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 800, path


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for name, extra in project["project"]["optional-dependencies"].items():
        wanted += extra if name != "flower" else []  # which has an environment of its own
    names = {re.split(r"[\[<>=~! ]", requirement)[0].lower() for requirement in wanted} - {"hetorch"}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.]+", line) for line in lines)
    pinned = {line.split("==")[0].lower() for line in lines}
    # A package name may be written with - or _ alike.
    assert {name.replace("_", "-") for name in names} <= {name.replace("_", "-") for name in pinned}


def test_conda_installs_the_same_as_scripts_setup() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert "name: he-torch\n" in text
    assert "- -c constraints.txt\n" in text
    assert "- -e .[all,dev]\n" in text


@pytest.mark.parametrize("name", ["bench", "check", "demo", "docs", "format", "sanitize", "setup", "test"])
def test_scripts_run_from_anywhere(name: str) -> None:
    script = ROOT / "scripts" / name
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_continuous_integration_runs_the_tests() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text()


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
