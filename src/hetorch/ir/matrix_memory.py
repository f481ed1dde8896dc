"""The memory that compiling needs for the matrices of affine maps, and the memory that is available.

A layer that is too large is refused with a message that has both numbers. Without this check, the system would kill the
process without a message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from hetorch.quantities import size_text

MATRIX = 12
"""Bytes that a captured matrix takes per weight: value and column."""
KEPT = 30
"""Bytes that each weight takes during the whole compilation: in its matrix, in a second matrix if a pass replaced it,
and in a diagonal (8). Raised, smaller models are refused."""
AT_ONCE = 70
"""Bytes that each weight of the map being lowered takes in addition: rows, columns, diagonals, slots and the indices of
numpy's gathers, 8 each. KEPT and AT_ONCE together were measured as 74 for a matrix of 2000 x 20000 and 90 for
5000 x 5000. Raised, smaller models are refused."""

SHARE = 0.9
"""Share of a machine's memory that a run may take: the system and the program itself need the rest. Raised, runs may
be killed on machines whose memory is just above a power of two."""


GROUPS = Path("/sys/fs/cgroup")
"""The control groups of the system."""
OWN_GROUPS = Path("/proc/self/cgroup")
"""The control groups of this process, one `hierarchy:controllers:path` a line; version 2 has no controllers."""


def matrix_memory(weights: Sequence[int]) -> int:
    """Return the bytes that compiling needs at its peak for maps with these numbers of weights (non-zeros)."""
    return KEPT * sum(weights) + AT_ONCE * max(weights, default=0)


def available_memory() -> int | None:
    """Return the bytes that this process can still get, the lesser of the system's and the control group's numbers.

    Returns:
        The number of bytes, or None if neither number is known.
    """
    limits: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        # "max" stands for no limit; it is not a number, and its ValueError is suppressed.
        limit = int((group / "memory.max").read_text())
        limits.append(limit - int((group / "memory.current").read_text()))
    return min(limits, default=None)


def physical_memory() -> int | None:
    """Return the bytes of memory that this process can have at most: the least of the machine's memory, the limits of
    its control groups and its own; None if none is known."""
    limits: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                limits.append(int(line.split()[1]) * 1024)
    for file in _group_limits():
        with contextlib.suppress(OSError, ValueError):  # "max" stands for no limit
            limits.append(int(file.read_text()))
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/limits").read_text().splitlines():
            if line.startswith("Max address space"):
                limits.append(int(line.split()[3]))
    return min(limits, default=None)


def _group_limits() -> list[Path]:
    """Return the files that may hold the memory limit of a control group that this process is in: its own group and
    those above it, and the root, which a container sees as its own."""
    roots = {"": (GROUPS, "memory.max"), "memory": (GROUPS / "memory", "memory.limit_in_bytes")}
    files = [folder / name for folder, name in roots.values()]
    with contextlib.suppress(OSError, ValueError):
        for line in OWN_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                if controller in roots:
                    root, name = roots[controller]
                    group = root / path.lstrip("/")
                    files += [parent / name for parent in (group, *group.parents) if root in parent.parents]
    return files


def machine_memory() -> int | None:
    """Return the bytes of memory that a run may take on this machine, within its control group and process limits.

    Returns:
        SHARE of the number of bytes, rounded down to 2^k or 3 * 2^k so that machines of one size agree; None if it is
        not known.
    """
    usable = int(SHARE * (physical_memory() or 0))
    if usable < 2:
        return None
    power = 1 << usable.bit_length() - 1
    return power * 3 // 2 if usable >= power * 3 // 2 else power


def too_large(weights: Sequence[int], *, made: bool = False) -> str | None:
    """Return the sentence that refuses maps with these numbers of weights, or None if they fit in memory.

    `made`: True if the matrices exist already, so that the available memory does not have to hold them.
    """
    available, needed = available_memory(), matrix_memory(weights)
    if available is None or needed <= available + (MATRIX * sum(weights) if made else 0):
        return None
    return (
        f"{sum(weights)} weights take about {size_text(needed)} of memory to compile, "
        f"{size_text(max(available, 0))} are available"
    )


SMALLER = "use smaller layers (a bottleneck, a stride, pooling before it), or compile with more memory"
"""The advice that follows the sentence of too_large."""
