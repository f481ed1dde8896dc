"""`hetorch analyze`: what of a model can run on encrypted data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hetorch.cli.compile_options import takes_options
from hetorch.compiler.options import ACTIVATION_OPTIONS


@takes_options(ACTIVATION_OPTIONS)
def analyze_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.py:factory|MODEL.pt2|MODEL.onnx", help="What to look at; its code is run."
        ),
    ],
    calibration: Annotated[Path, typer.Option(help="Typical inputs, batch first: .npy, .npz or .csv.")],
    options: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which parts of a model convert exactly, which by approximation, and which not: with the line, the reason and the
    nearest thing that works. Ends with 1 if the model cannot be compiled.

    Example: [bold]hetorch analyze net.py:make_model --calibration samples.npy[/bold]
    """
    from hetorch.cli.arrays import load_array
    from hetorch.cli.model_source import load_model

    inputs = load_array(calibration)
    module = load_model(model)
    from hetorch import analyze  # loads torch, which takes seconds

    found = analyze(module, inputs, **options)
    print(json.dumps(found.to_dict()) if as_json else str(found))
    if not found.supported:
        raise typer.Exit(1)
