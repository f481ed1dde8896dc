"""`hetorch inspect`: show the costs, the parameters and the predicted error of a plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from hetorch.cli.option_names import spelled

if TYPE_CHECKING:
    from hetorch.plan.public import PublicPlan


def inspect(
    target: Annotated[
        str, typer.Argument(metavar="PLAN|URL", help="A plan folder or the address of a server.")
    ],
    model: Annotated[str | None, typer.Option(help="Name of the model, if the server has several.")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for each answer of the server; a minute by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the layers, levels, rotations, parameters, security and sizes of a plan.

    With the address of a server, show the public part of the plan that it serves.

    Example: [bold]hetorch inspect digits.hetorch[/bold]
    """
    from hetorch.cli.target import is_address, plan_folder, public_plan

    if not is_address(target):
        from hetorch.plan.plan import Plan

        plan = Plan.load(plan_folder(target))
        print(json.dumps(plan.to_report()) if as_json else spelled(str(plan)))
        return
    rows = _describe(public_plan(target, model, timeout))
    if as_json:
        print(json.dumps(rows))
        return
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name.replace('_', ' '):<{width}}  {value}")


def _describe(plan: PublicPlan) -> dict[str, object]:
    parameters = plan.parameters
    return {
        "name": plan.name,
        "fingerprint": plan.fingerprint,
        "input_shape": list(plan.input_shape),
        "output_shape": list(plan.output_shape),
        "input_range": list(plan.input_range),
        "batch_size": plan.batch_size,
        "ring_degree": parameters.ring_degree,
        "levels": parameters.max_level,
        "log2_qp": round(parameters.log2_qp, 2),
        "security": parameters.security.value,
        "rotation_keys": len(plan.key_spec.galois),
        "evaluation_key_bytes": plan.evaluation_key_bytes,
        "input_ciphertext_bytes": plan.input_ciphertext_bytes,
        "output_ciphertext_bytes": plan.output_ciphertext_bytes,
        "encrypted_weight_bytes": plan.encrypted_weight_bytes,
        "predicted_error": plan.precision,
        **plan.interface.describe(),
    }
