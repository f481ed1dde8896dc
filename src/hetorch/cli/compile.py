"""`hetorch compile`: compile a trained model into a plan folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hetorch.cli.compile_options import takes_options
from hetorch.cli.model_source import HELP, METAVAR
from hetorch.cli.option_names import spelled
from hetorch.compiler.options import CompileOptions
from hetorch.progress import LINES


@takes_options(CompileOptions.model_fields)
def compile_model(
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
    output: Annotated[Path, typer.Option("-o", "--output", help="The plan folder to write.")],
    options: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compile a trained model.

    FILE.py:name names an nn.Module, a fitted scikit-learn estimator, or a class or function without arguments that
    makes one, in a Python file. FILE.pt2 is a file of torch.export.save. Both run code of the file: compile only models
    that you trust. FILE.onnx is an ONNX model (it needs the package onnx).

    Example: [bold]hetorch compile net.py:make_model --calibration samples.npy -o digits.hetorch[/bold]
    """
    from hetorch.cli.model_source import load_model
    from hetorch.cli.output_paths import check_plan_folder
    from hetorch.cli.tables import load_samples, with_numbers

    check_plan_folder(output)
    samples = load_samples(calibration)
    inputs = with_numbers(samples) if isinstance(samples, dict) else samples
    module = load_model(model)
    from hetorch import compile as compile_plan  # It loads torch, which takes seconds.

    plan = compile_plan(module, inputs, progress=False if as_json else LINES, **options)
    plan.save(output)
    if as_json:
        print(json.dumps(plan.to_report() | {"path": str(output)}))
    else:
        print(spelled(str(plan)))
        print(f"\nwritten to {output}")
