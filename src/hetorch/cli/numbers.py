"""The check of numbers that applies to every verb."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import typer


def with_finite_numbers(verb: Callable[..., None]) -> Callable[..., None]:
    """Return the verb with a check before it: nan and inf, which every range lets by, are wrong usage (exit code 2)."""

    @functools.wraps(verb)
    def run(**arguments: Any) -> None:
        for name, value in arguments.items():
            if isinstance(value, float) and not math.isfinite(value):
                hint = f"'--{name.replace('_', '-')}'"
                raise typer.BadParameter(f"{value} is no finite number", param_hint=hint)
        verb(**arguments)

    return run
