"""`hetorch demo`: the whole path from training to an encrypted answer, on real digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def demo(
    samples: Annotated[int, typer.Option(help="Test digits to query encrypted.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the split and the training.", min=0)] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the measurements as JSON.")
    ] = None,
    report: Annotated[Path, typer.Option(metavar="FILE.html", help="Where the report goes.")] = Path(
        "hetorch-demo.html"
    ),
) -> None:
    """Train a small CNN on 4,000 real digits, compile and serve it, and classify other digits encrypted.

    Example: [bold]hetorch demo --samples 50 --report demo.html[/bold]
    """
    from rich.console import Console

    from hetorch.cli.output_paths import check_file
    from hetorch.demo.display import show
    from hetorch.demo.report import render
    from hetorch.demo.run import run_demo
    from hetorch.progress import reporting

    check_file(report)
    check_file(json_file)
    with reporting(None, "demo") as say:
        demonstration = run_demo(samples, seed, say)
    show(demonstration.result, Console())
    report.write_text(render(demonstration), encoding="utf-8")
    if json_file is not None:
        json_file.write_text(json.dumps(demonstration.result.to_json(), indent=2) + "\n")
    print(f"report: {report}")
