from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "check_includes.py"


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False
    )


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_project_itself() -> None:
    result = check(ROOT / "cpp")
    assert result.returncode == 0, result.stdout


def test_down_and_beside_is_allowed(tmp_path: Path) -> None:
    files = {
        "kernels/api.h": "#include <cstdint>\n",
        "ring/poly.h": '#include "kernels/api.h"\n',
        "ring/poly.cpp": '#include "poly.h"\n#include <vector>\n',
        "codec/codec.h": '#include "kernels/api.h"\n#include "ring/poly.h"\n',
        "bindings/native/module.cpp": '#include "codec/codec.h"\n#include <nanobind/nanobind.h>\n',
    }
    result = check(tree(tmp_path, files))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("source", "include", "target"),
    [
        ("kernels/a.cpp", '"ring/b.h"', "ring/b.h"),
        ("ring/a.h", '"rlwe/b.h"', "rlwe/b.h"),
        ("ckks/a.h", '"circuits/b.h"', "circuits/b.h"),
        ("circuits/a.cpp", '"codec/b.h"', "codec/b.h"),
        ("codec/a.cpp", '"circuits/b.h"', "circuits/b.h"),
        ("ring/a.cpp", '"../ckks/b.h"', "ckks/b.h"),
        ("ring/a.cpp", "<ckks/b.h>", "ckks/b.h"),
        ("codec/a.cpp", '"bindings/native/b.h"', "bindings/native/b.h"),
    ],
)
def test_up_and_sideways_is_named_with_its_line(
    tmp_path: Path, source: str, include: str, target: str
) -> None:
    tree(tmp_path, {source: f"// first\n#include <vector>\n  #  include {include}\n", target: "\n"})
    result = check(tmp_path)
    assert result.returncode == 1
    assert f"{source}:3:" in result.stdout
    assert "is not below it" in result.stdout


def test_a_header_that_is_nowhere(tmp_path: Path) -> None:
    result = check(tree(tmp_path, {"ring/a.cpp": '#include "gone.h"\n'}))
    assert result.returncode == 1
    assert "gone.h is not a header" in result.stdout


def test_a_folder_that_is_no_layer(tmp_path: Path) -> None:
    result = check(tree(tmp_path, {"helpers/a.h": "\n"}))
    assert result.returncode == 1
    assert "helpers/ is not one of the layers" in result.stdout


def test_no_such_folder(tmp_path: Path) -> None:
    assert check(tmp_path / "none").returncode == 2


@pytest.mark.parametrize("header", ["thread", "mutex", "pthread.h", "sched.h", "sys/mman.h", "unistd.h"])
def test_threads_and_memory_mapping_are_in_one_file(tmp_path: Path, header: str) -> None:
    include = f"#include <{header}>\n"
    allowed = {"ring/platform.cpp": include, "tests/a.cpp": include, "bindings/native/a.cpp": include}
    assert check(tree(tmp_path, allowed)).returncode == 0
    result = check(tree(tmp_path, {"ring/a.h": include}))
    assert result.returncode == 1
    assert f"ring/a.h:1: only ring/platform.h and ring/platform.cpp may include <{header}>" in result.stdout


@pytest.mark.parametrize(
    "header", ["Python.h", "fstream", "filesystem", "chrono", "ctime", "random", "cstdio"]
)
def test_the_core_has_no_files_clock_or_random_source(tmp_path: Path, header: str) -> None:
    assert check(tree(tmp_path, {"tests/a.cpp": f"#include <{header}>\n"})).returncode == 0
    result = check(tree(tmp_path, {"ring/platform.cpp": f"#include <{header}>\n"}))
    assert result.returncode == 1
    assert f"the core must not include <{header}>" in result.stdout
