"""Command-line options made from the fields of CompileOptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from hetorch.compiler.option_help import kind, unit
from hetorch.compiler.options import CompileOptions


def takes_options(names: Iterable[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a verb whose parameter `options` gets a dictionary: give it one command-line option for each of `names`.

    The dictionary has only what the user gave, in the units of CompileOptions, which checks it.
    """
    wanted = tuple(names)

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def run(**given: Any) -> None:
            options = {name: given.pop(name) for name in wanted}
            verb(**given, options={name: _scaled(name, v) for name, v in options.items() if v is not None})

        own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.name != "options"]
        parameters = [*own, *(_parameter(name) for name in wanted)]
        # Parameters without defaults come first; all are given by name.
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    """Every option may be left out: then CompileOptions has its default, which the help shows."""
    field = CompileOptions.model_fields[name]
    taken = float if unit(name) else kind(name)
    shown = "" if field.default is None else f" Default: {field.default}."
    option = typer.Option(help=f"{field.description}{shown}", show_default=False)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[taken | None, option],
    )


def _scaled(name: str, value: object) -> object:
    factor = unit(name)
    return round(value * factor) if factor is not None and isinstance(value, float) else value
