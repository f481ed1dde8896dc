"""Command-line options, generated from the fields of CompileOptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from hetorch.compiler.option_help import default, kind, unit
from hetorch.compiler.options import GIGABYTE, MEGABYTE, ONE_VALUE, CompileOptions

Verb = Callable[..., None]
"""The function of a verb of the command line."""
CHOICE = "auto"
"""The word in a list of values that leaves the choice to the compiler."""


def takes_options(names: Iterable[str]) -> Callable[[Verb], Verb]:
    """Return a decorator that gives a verb of the command line one option for each of `names`.

    The verb gets them as one dictionary, its parameter `options`. This holds only the options that the user gave, in
    the units of CompileOptions, which checks them before the verb runs: reading a model takes seconds.
    """

    def check(options: dict[str, Any]) -> None:
        CompileOptions(**options)

    return functools.partial(
        _with_options, names=tuple(names), parameter=_parameter, read=_scaled, check=check
    )


def takes_option_lists(names: Iterable[str]) -> Callable[[Verb], Verb]:
    """Return a decorator like takes_options for a verb whose options take several values, separated by commas.

    The parameter `options` has a list where the user gave several values, and None in it for the compiler's choice. The
    lists are checked as hetorch.inspect.sweep does.
    """

    def check(options: dict[str, Any]) -> None:
        from hetorch.inspect.sweeps.grid import make_grid

        make_grid(options)

    return functools.partial(
        _with_options, names=tuple(names), parameter=_list_parameter, read=_read_list, check=check
    )


def _with_options(
    verb: Verb,
    *,
    names: tuple[str, ...],
    parameter: Callable[[str], inspect.Parameter],
    read: Callable[[str, Any], object],
    check: Callable[[dict[str, Any]], None],
) -> Verb:
    """Return a verb that takes an option for each of `names`, made by `parameter`; `read` makes its value of what
    typer has, and `check` refuses values."""

    @functools.wraps(verb)
    def run(**arguments: Any) -> None:
        values = {name: arguments.pop(name) for name in names}
        options = {name: read(name, value) for name, value in values.items() if value is not None}
        check(options)
        verb(**arguments, options=options)

    own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.name != "options"]
    parameters = [*own, *(parameter(name) for name in names)]
    # Keyword-only, so that parameters without a default may follow those with one.
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameter(name: str) -> inspect.Parameter:
    """Return the parameter of an option. Its default is None: CompileOptions has the real one, which the help shows."""
    value_type = float if unit(name) else kind(name)
    # A flag has one name, without the one that typer adds to turn it off.
    flag = (_flag(name),) if value_type is bool else ()
    option = typer.Option(
        *flag,
        help=_help(name, value_type),
        show_default=False,
        callback=_positive if unit(name) else None,
    )
    return _keyword(name, Annotated[value_type | None, option])


def _list_parameter(name: str) -> inspect.Parameter:
    """Return the parameter of an option that takes several values as text; a flag and text have one value."""
    if kind(name) is bool or name in ONE_VALUE:
        return _parameter(name)
    option = typer.Option(_flag(name), help=_help(name, str), show_default=False, metavar="LIST")
    return _keyword(name, Annotated[str | None, option])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _help(name: str, value_type: type) -> str:
    """Return what --help says of an option: its description, unit and default."""
    field = CompileOptions.model_fields[name]
    shown = "" if field.default is None or value_type is bool else f" Default: {default(name)}."
    in_unit = {MEGABYTE: " In MB.", GIGABYTE: " In GB."}.get(unit(name) or 0, "")
    return f"{field.description}{in_unit}{shown}"


def _positive(value: float | None) -> float | None:
    """Refuse a size that is not above 0. A range of the type would need so wide a column that --help cuts off names."""
    if value is not None and not value > 0:
        raise typer.BadParameter(f"{value:g} is not above 0")
    return value


def _scaled(name: str, value: object) -> object:
    """Return the value in the unit of CompileOptions."""
    factor = unit(name)
    return round(value * factor) if factor is not None and isinstance(value, float) else value


def _read_list(name: str, text: object) -> object:
    """Return the value in the text of an option, or the list of several; typer.BadParameter if one cannot be read."""
    if not isinstance(text, str) or name in ONE_VALUE:
        return _scaled(name, text)
    values = [_read(name, part.strip()) for part in text.split(",")]
    return values if len(values) > 1 else values[0]


def _read(name: str, text: str) -> object:
    value_type = float if unit(name) else kind(name)
    if text == CHOICE and CompileOptions.model_fields[name].default is None:
        return None
    try:
        return _scaled(name, value_type(text))
    except (ValueError, OverflowError):
        words = {int: "whole number", float: "number"}.get(value_type, "value")
        raise typer.BadParameter(
            f"{text!r} is no {words}; write several as 1,2", param_hint=f"'{_flag(name)}'"
        ) from None
