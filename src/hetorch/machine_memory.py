"""The memory of the machine and of this process's control groups: what there is, and what is free.

Client, compiler and server bound by it what they take on, so that the system kills no process without a message.
"""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

SHARE = 0.9
"""Share of a machine's memory that a run may take: the system and the program itself need the rest. Raised, runs may
be killed on machines whose memory is just above a power of two."""


GROUPS = Path("/sys/fs/cgroup")
"""The control groups of the system."""
OWN_GROUPS = Path("/proc/self/cgroup")
"""The control groups of this process, one `hierarchy:controllers:path` a line; version 2 has no controllers."""


def available_memory() -> int | None:
    """Return the bytes that this process can still get: the least of the system's number, of what its control groups
    leave and of what its own limit leaves; None if none is known."""
    limits: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
    for file in _group_limits():
        with contextlib.suppress(OSError, ValueError):  # "max" stands for no limit
            limits.append(int(file.read_text()) - _group_use(file))
    with contextlib.suppress(OSError, ValueError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits.append(_own_limit() - taken)
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
    with contextlib.suppress(ValueError):
        limits.append(_own_limit())
    return min(limits, default=None)


def _own_limit() -> int:
    """Return the address space in bytes that this process may have; ValueError if it is not limited."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        raise ValueError
    return limit


def _group_use(limit: Path) -> int:
    """Return the bytes that a control group takes, less the files that it can drop; `limit` is the file of its limit.

    OSError or ValueError if it is not told.
    """
    second = limit.name == "memory.max"
    use = "memory.current" if second else "memory.usage_in_bytes"
    droppable = "inactive_file" if second else "total_inactive_file"
    taken = int(limit.with_name(use).read_text())
    with contextlib.suppress(OSError, ValueError):
        for line in limit.with_name("memory.stat").read_text().splitlines():
            if line.startswith(f"{droppable} "):
                taken -= int(line.split()[1])
    return taken


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
