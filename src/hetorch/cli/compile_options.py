"""Command-line options, generated from the fields of CompileOptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from hetorch.compiler.option_help import default, kind, unit
from hetorch.compiler.options import GIGABYTE, MEGABYTE, CompileOptions


def takes_options(names: Iterable[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a verb of the command line one option for each of `names`.

    The verb gets them as one dictionary, its parameter `options`. This holds only the options that the user gave, in
    the units of CompileOptions, which checks them before the verb runs: reading a model takes seconds.
    """
    wanted = tuple(names)

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def run(**arguments: Any) -> None:
            values = {name: arguments.pop(name) for name in wanted}
            options = {name: _scaled(name, value) for name, value in values.items() if value is not None}
            CompileOptions(**options)
            verb(**arguments, options=options)

        own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.name != "options"]
        parameters = [*own, *(_parameter(name) for name in wanted)]
        # Keyword-only, so that parameters without a default may follow those with one.
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    """Return the parameter of an option. Its default is None: CompileOptions has the real one, which the help shows."""
    field = CompileOptions.model_fields[name]
    value_type = float if unit(name) else kind(name)
    shown = "" if field.default is None or value_type is bool else f" Default: {default(name)}."
    in_unit = {MEGABYTE: " In MB.", GIGABYTE: " In GB."}.get(unit(name) or 0, "")
    # A flag has one name, without the one that typer adds to turn it off.
    flag = (f"--{name.replace('_', '-')}",) if value_type is bool else ()
    option = typer.Option(
        *flag,
        help=f"{field.description}{in_unit}{shown}",
        show_default=False,
        callback=_positive if unit(name) else None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[value_type | None, option],
    )


def _positive(value: float | None) -> float | None:
    """Refuse a size that is not above 0. A range of the type would need so wide a column that --help cuts off names."""
    if value is not None and not value > 0:
        raise typer.BadParameter(f"{value:g} is not above 0")
    return value


def _scaled(name: str, value: object) -> object:
    """Return the value in the unit of CompileOptions."""
    factor = unit(name)
    return round(value * factor) if factor is not None and isinstance(value, float) else value
