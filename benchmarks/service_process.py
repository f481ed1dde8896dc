"""A server under measurement, in a process of its own: its address, processor time and memory with all its
workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks a second, the unit of processor time in /proc."""
START_SECONDS = 300.0
"""Longest time for a server to start, in seconds; large plans take minutes to encode."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its address and the id of its first process."""

    url: str
    pid: int

    @property
    def host(self) -> str:
        """The host of its address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of its address."""
        return urlsplit(self.url).port or 0

    def memory_bytes(self) -> int:
        """Return the memory of all its processes; pages that they share count once."""
        total = 0
        for pid in tree(self.pid):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


@contextmanager
def serving(plan: Path, folder: Path, threads: int, *options: str) -> Iterator[Served]:
    """Run `hetorch serve` on a free port until the block ends; `threads` is the engine's number of threads."""
    ready = folder / "ready"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "hetorch.cli.main", "serve", str(plan)),
                *("--port", "0", "--ready-file", str(ready), *options),
            ],
            env=environment(threads),
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start: {(folder / 'server.log').read_text()}")
                time.sleep(0.05)
            yield Served(ready.read_text().strip(), process.pid)
        finally:
            process.terminate()
            process.wait(60)


def environment(threads: int) -> dict[str, str]:
    """Return this environment with the engine's number of threads."""
    return os.environ | {"OMP_NUM_THREADS": str(threads)}


def cpu_seconds(pid: int) -> float:
    """Return the processor time so far of a process and of all that it started and that live."""
    ticks = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def tree(pid: int) -> Sequence[int]:
    """Return the ids of a process and of all that it started and that live."""
    ids = [pid]
    for parent in ids:
        for task in Path(f"/proc/{parent}/task").iterdir():
            ids += map(int, (task / "children").read_text().split())
    return ids
