"""`hetorch analyze`: tell which parts of a model can run on encrypted data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hetorch.cli.compile_options import takes_options
from hetorch.cli.model_source import HELP, METAVAR
from hetorch.cli.option_names import spelled
from hetorch.compiler.options import ANALYSIS_OPTIONS
from hetorch.progress import LINES


@takes_options(ANALYSIS_OPTIONS)
def analyze_model(
    model: Annotated[
        str,
        typer.Argument(metavar=METAVAR, help=HELP),
    ],
    calibration: Annotated[
        Path,
        typer.Option(
            "--calibration",
            "--input",
            "--inputs",
            help="Typical inputs, batch first: .npy, .npz (or .npz:NAME) or .csv.",
        ),
    ],
    options: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell which parts of a model convert exactly, which by approximation, and which not.

    Each part comes with its line, the reason and the nearest thing that works. The exit code is 1 if the model cannot
    be compiled.

    Example: [bold]hetorch analyze net.py:make_model --calibration samples.npy[/bold]
    """
    from hetorch.cli.model_source import load_model
    from hetorch.cli.tables import load_samples, with_numbers

    samples = load_samples(calibration)
    inputs = with_numbers(samples) if isinstance(samples, dict) else samples
    module = load_model(model)
    from hetorch import analyze  # It loads torch, which takes seconds.

    analysis = analyze(module, inputs, progress=False if as_json else LINES, **options)
    print(json.dumps(analysis.to_dict()) if as_json else spelled(str(analysis)))
    if not analysis.supported:
        raise typer.Exit(1)
