"""The memory of a server's processes, as another process of the same user sees it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest


def tree(pid: int) -> list[int]:
    """Return the ids of a process and of all that it started and that live."""
    ids = [pid]
    for parent in ids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                ids += map(int, (task / "children").read_text().split())
    return ids


def memory_of(pid: int) -> bytes:
    """Return the bytes of all memory that a child process can write to."""
    parts: list[bytes] = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw.. ", line)
                if match and "[v" not in line:
                    begin, end = (int(part, 16) for part in match.groups())
                    memory.seek(begin)
                    while piece := memory.read(end - memory.tell()):
                        parts.append(piece)
    except PermissionError:
        pytest.skip("this system does not let a process look at its children")
    return b"".join(parts)


def resident(pid: int) -> int:
    """Return the memory of a process and all that it started, in bytes; shared pages count once."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += 1024 * int(rollup.partition("\nPss:")[2].split()[0])
    return total
