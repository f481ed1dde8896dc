"""The machine that a benchmark runs on, as its results name it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, object]:
    """Return the processor, the kernel path in use, the number of cores and the versions in use."""
    from hetorch.engine import _native

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "isa": _native.selected_kernel_path(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in ("hetorch", "numpy")}
        | {"python": platform.python_version()},
    }
