"""The processor time and the memory of this process, as the operating system tells them, without other packages."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """The use of the machine at a moment.

    seconds       time since the block began
    cpu           processors that were busy with this process since the sample before, on average: 2.0 is two of them
    memory_bytes  resident memory
    """

    seconds: float
    cpu: float
    memory_bytes: int


def memory_now() -> int:
    """Return the resident memory of this process in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # a system without /proc knows the peak only
        return memory_peak()
    return pages * resource.getpagesize()


def memory_peak() -> int:
    """Return the largest resident memory that this process has had, in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))
