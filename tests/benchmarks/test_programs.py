"""The benchmarks that are C++ programs: the rows of a script that stands in for one, and one real kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import kernels, programs, roofline
from tests.benchmarks.test_peers import COLUMNS

ROOT = Path(programs.__file__).resolve().parents[1]


def program(folder: Path, text: str) -> Path:
    program = folder / "program"
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)
    return program


def test_rows_are_read_as_they_are_printed(tmp_path: Path) -> None:
    script = program(tmp_path, "import sys\nprint(*sys.argv[1:], sep='\\t')\nprint('b\\t2')\n")
    assert list(programs.rows(script, "add 45")) == [["--rows", "add 45"], ["b", "2"]]


def test_a_program_that_fails_is_no_end_of_rows(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        list(programs.rows(program(tmp_path, "print('a')\nraise SystemExit(3)\n")))


def test_a_kernel_is_a_row_of_the_schema() -> None:
    row = kernels.read_row(["add 45 bits, n=4096", "avx2", "0.008", "0.002", "4", "3.9", "4.1", "7"])
    assert set(row.to_json()) == COLUMNS
    assert (row.name, row.peer, row.ratio, row.repetitions) == (
        "add 45 bits, n=4096, avx2",
        "portable path",
        4.0,
        7,
    )


def test_a_share_is_a_row_without_a_peer() -> None:
    data = roofline.read_row(["ntt_forward, n=4096", "0.01", "300", "% of the peak", "61.5"]).to_json()
    assert set(data) == COLUMNS | {"details"}
    assert data["peer"] is None and data["theirs_ms"] is None and data["ours_ms"] == 0.01
    assert data["details"] == {"ours": {"% of the peak": 61.5}}


@pytest.mark.slow
def test_one_kernel_is_measured(tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("no cmake or ninja")
    file = tmp_path / "rows.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.kernels",
        "--only",
        "negate 45 bits, n=4096",
        "--json",
        str(file),
    ]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ, capture_output=True)
    rows = json.loads(file.read_text())["rows"]
    assert all(row["ours_ms"] > 0 and row["ratio_min"] <= row["ratio"] <= row["ratio_max"] for row in rows)
    assert all(row["name"].startswith("negate 45 bits, n=4096, ") for row in rows)
