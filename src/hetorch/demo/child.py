"""Child processes that end with a block of their parent, whatever happens in it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hetorch.errors import HetorchError

STOP_SECONDS = 10.0
"""Time that a child has to end by itself before it is killed."""
LOG_TAIL = 2000
"""Number of characters of a log that an error message shows."""


@contextmanager
def python_child(
    module: str, arguments: Sequence[str], log: Path, *, commands: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m module arguments`, with stdout piped and stderr to the file `log`, until the block ends.

    `commands`: pipe its stdin too, which closes when this process ends in any way.
    """
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE if commands else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a child process; it is killed if it does not end within STOP_SECONDS."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what was not written yet, and nobody will read
                pipe.close()


def wait_for_file(path: Path, process: subprocess.Popen[str], log: Path, timeout: float) -> str:
    """Return the text of a file that the child will write; HetorchError if the child ends first or the time is up."""
    deadline = time.monotonic() + timeout
    while not path.exists():
        if process.poll() is not None:
            raise HetorchError(f"the child process ended with code {process.returncode}: {tail(log)}")
        if time.monotonic() > deadline:
            raise HetorchError(f"the child process was not ready after {timeout:g} s: {tail(log)}")
        time.sleep(0.02)
    return path.read_text().strip()


def tail(log: Path) -> str:
    """Return the end of a child's log."""
    return log.read_text(errors="replace")[-LOG_TAIL:].strip() or "it left no message"
