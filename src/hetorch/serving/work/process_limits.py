"""What a worker process may take: its memory, and the order in which the kernel ends processes when memory runs out."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

SPARE_BYTES = 512 << 20
"""Memory of a worker beyond the predicted need, in bytes: the interpreter's objects, the request and its response, and
what the allocator keeps. Raised, a worker that goes wrong may take as much more."""
OOM_SCORE = 500
"""Points, of 1000, by which a worker is preferred when the kernel must end a process for want of memory; higher than
the server, which has none."""


def limit_memory(allowance: int) -> None:
    """Let this process allocate `allowance` bytes more than it has now, and have it ended before others.

    The limit is that of data (RLIMIT_DATA): memory that the process itself writes. Files that it maps to read, such as
    keys, do not count, and neither does the reserved address space of threads and allocators, which RLIMIT_AS counts
    and nobody predicts. Beyond the limit an allocation fails (MemoryError) instead of driving other processes out.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    data = _data_bytes()
    if data is None:
        return  # not Linux
    limit = data + allowance
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _data_bytes() -> int | None:
    """Return the bytes of data of this process; None if the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return None
