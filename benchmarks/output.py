"""What a benchmark writes: a table for people, JSON for machines, and the machine that both were measured on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row


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


def rows_for_each_thread_count(module: str, counts: Sequence[int]) -> list[Row]:
    """Run `python -m module --rows` once for each number of threads (the pool is made once in a process)."""
    rows: list[Row] = []
    for count in counts:
        environment = os.environ | {"HETORCH_NUM_THREADS": str(count)}
        done = subprocess.run(
            [sys.executable, "-m", module, "--rows"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows += [Row(**entry) for entry in json.loads(done.stdout)]
    return rows


def write(title: str, rows: Sequence[Row], json_file: Path | None) -> None:
    """Print the table, and write `{machine, rows}` to `json_file`."""
    table = Table(title=title)
    for column in ("operation", "peer", "threads", "theirs ms", "ours ms", "ratio", "min-max"):
        table.add_column(column, justify="left" if column in ("operation", "peer") else "right")
    for row in rows:
        peer = f"{row.peer} {row.peer_version}".strip()
        if row.ratio is None:
            table.add_row(row.name, peer, str(row.threads), row.reason, _ms(row.ours_ms), "-", "-")
        else:
            spread = f"{row.ratio_min:.1f}-{row.ratio_max:.1f}"
            table.add_row(
                row.name,
                peer,
                str(row.threads),
                f"{row.theirs_ms:.3f}",
                _ms(row.ours_ms),
                f"{row.ratio:.1f}",
                spread,
            )
    here = machine()
    console = Console(width=130)
    console.print(f"{here['cpu']}, {here['cores']} cores, path {here['isa']}")
    console.print(table)
    if json_file is not None:
        json_file.write_text(
            json.dumps({"machine": here, "rows": [row.to_json() for row in rows]}, indent=2) + "\n"
        )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


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
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()
