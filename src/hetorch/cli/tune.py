"""`hetorch tune`: measure the costs of operations on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hetorch.progress import LINES
from hetorch.quantities import count_text


def tune(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; by default the one that compile reads."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Seconds for which each operation is repeated.")] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure on this machine the constants by which compile predicts times and chooses layouts.

    The measurement takes about 20 seconds. Run it while the machine does nothing else, with as many threads as the
    server will have.

    Example: [bold]hetorch tune[/bold]
    """
    from hetorch.compiler.costs.machine import storing_path
    from hetorch.compiler.costs.tune import tune as measure

    target = storing_path(output)
    machine = measure(target, seconds=seconds, progress=False if as_json else LINES)
    path = str(target)
    if as_json:
        times = {str(ring): asdict(row) for ring, row in machine.times.items()}
        print(json.dumps({"path": path, "name": machine.name, "threads": machine.threads, "times": times}))
        return
    names = list(asdict(next(iter(machine.times.values()))))
    width = max(map(len, names))
    print(" " * width + "".join(f"{'2^' + str(ring.bit_length() - 1):>10}" for ring in machine.times))
    for name in names:
        print(
            f"{name:<{width}}"
            + "".join(f"{1e6 * getattr(row, name):>10.3g}" for row in machine.times.values())
        )
    print(
        f"\nmicroseconds a limb, {count_text(machine.threads, 'thread')}; {machine.name}, written to {path}"
    )
