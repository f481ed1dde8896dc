"""The flags of `hetorch serve`, generated from the fields of its configuration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from hetorch.errors import InputError
from hetorch.server.configuration.fields import Field
from hetorch.server.configuration.kinds import Switch
from hetorch.server.configuration.sources import FIELDS

PLANS = "plans"
"""The field that is the argument of the verb, and no flag."""


def takes_settings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb of the command line one flag for each field of the configuration.

    The verb gets those that the user gave as one dictionary, its parameter `flags`; a value out of range is wrong
    usage.
    """
    flags = [field for field in FIELDS if field.name != PLANS]

    @functools.wraps(verb)
    def run(**arguments: Any) -> None:
        values = {field: arguments.pop(field.name) for field in flags}
        given = {field: value for field, value in values.items() if value is not None}
        for field, value in given.items():
            try:
                field.kind.read(value)
            except InputError as error:
                raise typer.BadParameter(str(error), param_hint=f"'{field.flag}'") from None
        verb(**arguments, flags={field.name: value for field, value in given.items()})

    own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.name != "flags"]
    # Keyword-only, so that parameters without a default may follow those with one.
    parameters = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in (*own, *(_parameter(field) for field in flags))
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameter(field: Field) -> inspect.Parameter:
    """Return the parameter of a field. Its default is None, which leaves the field to the other sources."""
    is_switch = isinstance(field.kind, Switch)
    shown = "" if field.default in (None, ()) or is_switch else f" Default: {_plain(field)}."
    option = typer.Option(
        f"{field.flag}/--no-{field.flag[2:]}" if is_switch else field.flag,
        help=(field.help + shown).replace("[", r"\["),
        show_default=False,
        metavar=None if is_switch else field.kind.metavar,
    )
    value_type = bool if is_switch else str
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[value_type | None, option],
    )


def _plain(field: Field) -> str:
    """Return the default of a field without the quotes of TOML."""
    return field.kind.show(field.default).strip('"')
