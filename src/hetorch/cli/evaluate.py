"""`hetorch evaluate`: how a plan does on a test set, without encryption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.model_source import METAVAR
from hetorch.progress import LINES


def evaluate_plan(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The plan folder.")],
    inputs: Annotated[
        Path, typer.Option(help="The test samples, batch first: .npy, .npz or .csv; as for predict.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Their classes, or their targets in the shape of the outputs: .npy, .npz or .csv; labels of a "
            "classifier may be text."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar=METAVAR, help="The model in clear to compare with; the code of its file is run."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the modelled noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show accuracy, agreement and worst error of a plan on a test set, with the modelled noise of encryption.

    Example: [bold]hetorch evaluate digits.hetorch --inputs digits.npy --labels labels.npy[/bold]
    """
    from hetorch.cli.model_source import load_model
    from hetorch.cli.tables import as_plan_input, load_labels, load_samples
    from hetorch.inspect.evaluate import evaluate
    from hetorch.plan.plan import Plan

    loaded = Plan.load(plan)
    samples = as_plan_input(loaded.public(), load_samples(inputs), inputs)
    count = len(next(iter(samples.values())) if isinstance(samples, dict) else samples)
    targets = None if labels is None else load_labels(labels, count)
    clear = None if model is None else load_model(model)
    result = evaluate(loaded, samples, targets, model=clear, seed=seed, progress=False if as_json else LINES)
    print(json.dumps(result.to_dict()) if as_json else str(result))
