"""`hetorch compile`: a trained model to a plan folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def compile_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.py:factory|MODEL.pt2|MODEL.onnx", help="What to compile; its code is run."
        ),
    ],
    calibration: Annotated[Path, typer.Option(help="Typical inputs, batch first: .npy, .npz or .csv.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The plan folder to write.")],
    name: Annotated[str | None, typer.Option(help="Name of the plan; the model's class if left out.")] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            help="Largest encryption error, of the output range; follows the activations if left out."
        ),
    ] = None,
    security: Annotated[str, typer.Option(help="128, 192 or 256 bits.")] = "128",
    ring_degree: Annotated[int | None, typer.Option(help="N, a power of two; chosen if left out.")] = None,
    scale_bits: Annotated[int | None, typer.Option(help="Bits of the scale; chosen if left out.")] = None,
    digit_size: Annotated[
        int | None, typer.Option(help="Data primes a digit of key switching; chosen if left out.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="latency (of one run) or throughput (samples a second).")
    ] = "latency",
    batch_size: Annotated[
        int | None, typer.Option(help="Samples a run takes; throughput chooses it if left out.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="native, or seal: a plan that SEAL can run too, in its order of slots.")
    ] = "native",
    key_limit: Annotated[
        float | None, typer.Option(help="MB of evaluation keys that a client may have to upload.")
    ] = None,
    activation_degree: Annotated[
        int | None, typer.Option(help="Degree of all activation polynomials; chosen if left out.")
    ] = None,
    activation_tolerance: Annotated[
        float | None, typer.Option(help="Largest error of the activations, of the output range: 0.05.")
    ] = None,
    activation_agreement: Annotated[
        float | None, typer.Option(help="Least share of calibration inputs with the same argmax: 0.995.")
    ] = None,
    activation_precision: Annotated[
        float | None,
        typer.Option(help="Error of each activation, of its range; kinks by polynomials of the sign."),
    ] = None,
    activation_ranges: Annotated[
        str, typer.Option(help="calibrated, or interval: no input within the calibrated range can leave it.")
    ] = "calibrated",
    weights: Annotated[
        str, typer.Option(help="clear, or encrypted: the server does not see the weights either.")
    ] = "clear",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compile a trained model. MODEL.py:factory names an nn.Module, a fitted scikit-learn estimator, or a class or
    function without arguments that makes one, in a Python file; MODEL.pt2 is what torch.export.save wrote. Both run
    code of the file: compile only what you trust. MODEL.onnx is an ONNX model (it needs the package onnx).

    Example: [bold]hetorch compile net.py:make_model --calibration samples.npy -o digits.hetorch[/bold]
    """
    from hetorch.cli.arrays import load_array
    from hetorch.cli.model_source import load_model
    from hetorch.cli.progress import progress

    inputs = load_array(calibration)
    module = load_model(model)
    from hetorch import compile as compile_plan  # loads torch, which takes seconds

    given = {
        "name": name,
        "precision": precision,
        "activation_degree": activation_degree,
        "activation_tolerance": activation_tolerance,
        "activation_agreement": activation_agreement,
        "activation_precision": activation_precision,
        "ring_degree": ring_degree,
        "scale_bits": scale_bits,
        "digit_size": digit_size,
        "batch_size": batch_size,
        "key_limit": None if key_limit is None else round(key_limit * 1e6),
    }
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    with progress(quiet=as_json) as report:
        plan = compile_plan(
            module,
            inputs,
            security=security,
            objective=objective,
            engine=engine,
            activation_ranges=activation_ranges,
            weights=weights,
            progress=report,
            **options,
        )
    plan.save(output)
    if as_json:
        print(json.dumps(plan.to_report() | {"path": str(output)}))
    else:
        print(plan)
        print(f"\nwritten to {output}")
