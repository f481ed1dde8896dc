"""The benchmarks that are C++ programs: how they are built, with the C++ tests, and the rows that they print."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "cpp-tests"


def build(name: str) -> Path:
    """Build benchmarks/`name`.cpp where its sources changed, and return the program.

    Raises:
        SystemExit: the build failed; its message ends with that of CMake or the compiler.
    """
    target = f"{name}_benchmark"
    options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DHETORCH_TESTS=ON"]
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(FOLDER), *options],
        ["cmake", "--build", str(FOLDER), "--target", target],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{(done.stdout + done.stderr)[-4000:]}")
    programs = [path for path in FOLDER.rglob(target) if path.is_file()]
    if len(programs) != 1:
        raise SystemExit(f"{len(programs)} programs {target} are in {FOLDER}, expected one")
    return programs[0]


def rows(program: Path, *options: str) -> Iterator[list[str]]:
    """Yield the tab-separated cells of each line as soon as it is printed; CalledProcessError if the program fails."""
    with subprocess.Popen([program, "--rows", *options], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            yield line.rstrip("\n").split("\t")
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, str(program))
