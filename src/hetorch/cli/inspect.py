"""`hetorch inspect`: draw the program of a plan, and show its costs, parameters and predicted error."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hetorch.cli.credential_options import (
    CaOption,
    CertOption,
    PlainOption,
    TokenFileOption,
    read_credentials,
)
from hetorch.cli.option_names import spelled

if TYPE_CHECKING:
    from hetorch.plan import Plan, PublicPlan


def inspect(
    target: Annotated[
        str, typer.Argument(metavar="PLAN|URL", help="A plan folder or the address of a server.")
    ],
    model: Annotated[str | None, typer.Option(help="Name of the model, if the server has several.")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for each answer of the server; a minute by default.")
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the drawing as SVG, for a browser or a document."),
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the layers as an ONNX graph, for Netron (https://netron.app)."
        ),
    ] = None,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw the layers of a plan, and show its rotations, parameters, security and sizes.

    Each line of the drawing is a layer, with a bar as long as its level is high and with lines to the layers that read
    it. With the address of a server, show the public part of the plan that it serves, which has no layers.

    Example: [bold]hetorch inspect digits.hetorch --svg digits.svg[/bold]
    """
    from hetorch.cli.output_paths import check_file
    from hetorch.cli.target import is_address, plan_folder, public_plan

    for path in (svg, onnx):
        check_file(path)
    if not is_address(target):
        from hetorch.plan import Plan

        _show(Plan.load(plan_folder(target)), svg, onnx, as_json)
        return
    if svg is not None or onnx is not None:
        from hetorch.errors import InputError

        raise InputError("a server tells no layers, so there is nothing to draw; give the folder of the plan")
    credentials = read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    from hetorch.plan.key_groups import key_groups, key_lines

    public = public_plan(target, model, timeout, credentials)
    rows = _describe(public)
    if as_json:
        groups = key_groups(public.parameters, public.key_spec)
        print(json.dumps(rows | {"keys": [group.to_json() for group in groups]}))
        return
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name.replace('_', ' '):<{width}}  {_with_few_digits(value)}")
        if name == "evaluation_key_bytes":
            for line in key_lines(public.parameters, public.key_spec):
                print(f"{'':<{width}}  {line}")


def _with_few_digits(value: object) -> object:
    """Return a real number as text with four digits, in a list too; anything else as it is."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value and all(isinstance(part, float) for part in value):
        return ", ".join(f"{part:.4g}" for part in value)
    return value


def _show(plan: Plan, svg: Path | None, onnx: Path | None, as_json: bool) -> None:
    """Write the files that are asked for, and print the rest."""
    from hetorch.inspect.drawing.boxes import boxes_of
    from hetorch.inspect.drawing.text import as_text, in_encoding

    if svg is not None:
        from hetorch.inspect.drawing.svg import save_svg

        save_svg(plan, svg)
    if onnx is not None:
        from hetorch.inspect.onnx_graph import to_onnx_graph

        to_onnx_graph(plan, onnx)
    if as_json:
        print(json.dumps(plan.to_report()))
        return
    encoding = sys.stdout.encoding
    print(as_text(boxes_of(plan), encoding))
    print()
    print(in_encoding(spelled(str(plan)), encoding))
    print(f"SHA-256 of the public part (--pinned): {plan.public().sha256}")


def _describe(plan: PublicPlan) -> dict[str, object]:
    parameters = plan.parameters
    return {
        "name": plan.name,
        "fingerprint": plan.fingerprint,
        "public_part_sha256": plan.sha256,
        "input_shape": list(plan.input_shape),
        "output_shape": list(plan.output_shape),
        "input_range": list(plan.input_range),
        "batch_size": plan.batch_size,
        "ring_degree": parameters.ring_degree,
        "levels": parameters.max_level,
        "log2_qp": round(parameters.log2_qp, 2),
        "security": parameters.security.value,
        "evaluation_key_bytes": plan.evaluation_key_bytes,
        "input_ciphertext_bytes": plan.input_ciphertext_bytes,
        "output_ciphertext_bytes": plan.output_ciphertext_bytes,
        "encrypted_weight_bytes": plan.encrypted_weight_bytes,
        "predicted_error": plan.precision,
        **plan.interface.describe(),
    }
