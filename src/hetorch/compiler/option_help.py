"""The fields of CompileOptions in the form that signatures, docstrings and command lines need."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, get_args

from hetorch.compiler.options import CompileOptions, expected


def signature_with_options(function: Callable[..., object], names: Iterable[str]) -> inspect.Signature:
    """Return the signature of `function` with the options `names` in place of its **options."""
    own = inspect.signature(function)
    kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default(name),
            annotation=kind(name),
        )
        for name in names
    ]
    return own.replace(parameters=[*kept, *added])


def options_help() -> str:
    """Return one paragraph for each option, indented for a docstring: name, values, default, help."""
    return "\n".join(
        textwrap.fill(
            f"{name}: {expected(name)}{'' if field.default is None else f' (default {default(name)!r})'}. "
            f"{field.description}",
            width=110,
            initial_indent=" " * 12,
            subsequent_indent=" " * 16,
        )
        for name, field in CompileOptions.model_fields.items()
    )


def default(name: str) -> object:
    """Return the default of the option `name` as a user would write it: a number or text."""
    value = CompileOptions.model_fields[name].default
    return value.value if isinstance(value, Enum) else value


def kind(name: str) -> type:
    """Return the type of a value of the option `name`: bool, int, float or str."""
    pending: list[Any] = [CompileOptions.model_fields[name].annotation]
    while pending:
        part = pending.pop()
        if part in (bool, int, float):
            return part  # type: ignore[no-any-return]
        pending += get_args(part)
    return str


def unit(name: str) -> int | None:
    """Return the value of one unit of the option `name` on the command line; None if that takes the value itself."""
    extra = CompileOptions.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    scale = extra["unit"]
    return scale if isinstance(scale, int) else None
