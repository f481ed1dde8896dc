"""`hetorch diff`: what differs between two plans."""

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
    from hetorch.client.credentials import Credentials
    from hetorch.inspect.plan_difference.plans import PlanDifference


def diff(
    first: Annotated[str, typer.Argument(metavar="PLAN|URL", help="A plan folder or a server's address.")],
    second: Annotated[
        str,
        typer.Argument(metavar="PLAN|URL", help="The one to compare with: what is new in it is marked +."),
    ],
    model: Annotated[str | None, typer.Option(help="The model's name, if a server has several.")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for each answer of a server; a minute by default.")
    ] = None,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what differs between two plans: parameters, levels, keys, memory, predicted time, errors, and each layer.

    Of layers it compares polynomials, layouts and weights too. With the address of a server, only the public parts are
    compared: that tells whether a server runs the plan that you have.

    The exit code is 0 if the plans are equal in every byte, 1 if they differ, and 2 if they cannot be compared.

    Example: [bold]hetorch diff old.hetorch new.hetorch[/bold]
    """
    from hetorch.inspect.drawing.text import in_encoding

    credentials = read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    difference = _difference(first, second, model, timeout, credentials)
    if as_json:
        print(json.dumps(difference.to_dict()))
    else:
        print(in_encoding(spelled(str(difference)), sys.stdout.encoding))
    if not difference.equal:
        raise typer.Exit(1)


def _difference(
    first: str, second: str, model: str | None, timeout: float | None, credentials: Credentials
) -> PlanDifference:
    from hetorch.cli.target import is_address, plan_folder, public_plan
    from hetorch.inspect.plan_difference.plans import compare_plans, compare_public_plans
    from hetorch.plan import Plan
    from hetorch.user_information import without_user_information

    targets = (first, second)
    names = (without_user_information(first), without_user_information(second))
    if any(is_address(target) for target in targets):
        one, other = (public_plan(target, model, timeout, credentials) for target in targets)
        return compare_public_plans(one, other, names)
    plans = [Plan.load(Path(plan_folder(target))) for target in targets]
    return compare_plans(plans[0], plans[1], names)
