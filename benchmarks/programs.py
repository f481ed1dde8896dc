"""The benchmarks that are C++ programs, built with the C++ tests, and the tab-separated rows that they print."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "cpp-tests"


def build(name: str) -> Path:
    """The program of benchmarks/`name`.cpp, built anew where its sources changed. SystemExit with the last words of
    CMake or the compiler if that fails."""
    target = f"{name}_benchmark"
    options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DHETORCH_TESTS=ON"]
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(FOLDER), *options],
        ["cmake", "--build", str(FOLDER), "--target", target],
    ):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{(made.stdout + made.stderr)[-4000:]}")
    found = [path for path in FOLDER.rglob(target) if path.is_file()]
    if len(found) != 1:
        raise SystemExit(f"{len(found)} programs {target} are in {FOLDER}, expected one")
    return found[0]


def rows(program: Path, *options: str) -> Iterator[list[str]]:
    """The cells of each line, as soon as it is printed. CalledProcessError if the program fails."""
    with subprocess.Popen([program, "--rows", *options], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            yield line.rstrip("\n").split("\t")
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, str(program))
