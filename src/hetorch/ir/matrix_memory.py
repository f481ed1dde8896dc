"""How much memory the compiler needs for the matrices of affine maps, and how much there is: a layer that is too large
is refused with these two numbers, in place of a process that the system ends without a word."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

KEPT = 30
"""Bytes a weight that stays for the whole compilation: value and column (12) as captured and again if a pass made
another matrix, its share of a diagonal (8)."""
AT_ONCE = 70
"""Bytes a weight of the map that is looked at: rows, columns, diagonals, slots and the indices of numpy's gathers, 8
each. Together with KEPT this is what was measured: 74 for a matrix of 2000 x 20000, 90 for 5000 x 5000."""


MATRIX = 12
"""Bytes a weight of the matrices themselves."""


def matrix_memory(weights: Sequence[int]) -> int:
    """Bytes that compiling takes at its peak for maps with so many weights (non-zeros) each."""
    return KEPT * sum(weights) + AT_ONCE * max(weights, default=0)


def available_memory() -> int | None:
    """Bytes that this process can still get: what the system says, or the limit of its control group if that is
    less. None where neither is known."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        # "max" is no number: no limit.
        limit = int((group / "memory.max").read_text())
        found.append(limit - int((group / "memory.current").read_text()))
    return min(found, default=None)


def too_large(weights: Sequence[int], *, made: bool = False) -> str | None:
    """What is wrong with maps of so many weights, or None if they fit. `made`: their matrices are there already."""
    available, needed = available_memory(), matrix_memory(weights)
    if available is None or needed <= available + (MATRIX * sum(weights) if made else 0):
        return None
    return (
        f"{sum(weights)} weights take about {needed / 1e9:.1f} GB of memory to compile, "
        f"{max(available, 0) / 1e9:.1f} GB are available"
    )


SMALLER = "use smaller layers (a bottleneck, a stride, pooling before it), or compile with more memory"
"""What helps."""
