"""`hetorch without-weights`: write the part of a plan that its server gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def without_weights(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="A plan folder, compiled with --weights encrypted.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The plan folder to write.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a plan without its weights, for a server that must not see them.

    Keep the whole plan: it is needed to encrypt the weights.

    Example: [bold]hetorch without-weights digits.hetorch -o digits-public.hetorch[/bold]
    """
    from hetorch.cli.output_paths import check_plan_folder
    from hetorch.errors import InputError
    from hetorch.plan.plan import Plan

    check_plan_folder(output)
    if output.resolve() == plan.resolve():
        raise InputError(f"{output} is the plan itself, whose weights would be lost; choose another folder")
    hidden = Plan.load(plan).without_weights()
    hidden.save(output)
    public = hidden.public()
    if as_json:
        facts = {"fingerprint": public.fingerprint, "encrypted_weight_bytes": public.encrypted_weight_bytes}
        print(json.dumps(facts | {"path": str(output)}))
    else:
        print(f"the plan {hidden.name!r} without its weights is in {output}; serve that one")
