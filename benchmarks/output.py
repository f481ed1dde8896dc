"""The options that every benchmark takes, and the machine that it runs on."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, object]:
    """Processor, instruction-set path in use, cores, and the versions that matter."""
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


def arguments(description: str, *, threads: Sequence[int] | None = (1, 2)) -> argparse.Namespace:
    """The options that every benchmark takes; --threads only where it can choose them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    if threads is not None:
        parser.add_argument(
            "--threads",
            type=int,
            nargs="+",
            default=list(threads),
            metavar="N",
            help=f"numbers of threads; {' and '.join(map(str, threads))} unless given",
        )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only rows whose name or peer holds this text"
    )
    return parser.parse_args()
