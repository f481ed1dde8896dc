"""The configurations of a sweep: every combination of the values of the options."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from hetorch.compiler.options import ONE_VALUE, CompileOptions
from hetorch.errors import InputError
from hetorch.plan.fields import Cell

Options = Mapping[str, Cell]
"""The options of one configuration by name; None leaves the choice to the compiler."""

MOST = 10_000
"""Number of configurations above which a sweep is refused. Raised, a slip of the keyboard runs for longer."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The configurations, in order, and the names of the options that were given in lists."""

    varied: tuple[str, ...]
    configurations: tuple[Options, ...]


def make_grid(options: Mapping[str, object]) -> Grid:
    """Return every combination of the options' values: a list has one for each configuration, others are for all.

    Raises:
        InputError: a value is out of range, a list is empty, or there are too many combinations.
        TypeError: an option does not exist.
    """
    values: dict[str, list[Cell]] = {}
    varied = []
    for name, option in options.items():
        if name in ONE_VALUE or isinstance(option, str | bytes | Mapping) or not isinstance(option, Iterable):
            values[name] = [_checked(name, option)]
            continue
        listed = list(option)
        if not listed:
            raise InputError(
                f"the list for {name} is empty; give one value or more, None for the compiler's choice"
            )
        values[name] = list(dict.fromkeys(_checked(name, value) for value in listed))
        varied.append(name)
    count = 1
    for several in values.values():
        count *= len(several)
    if count > MOST:
        raise InputError(
            f"the lists make {count} configurations; give fewer values, at most {MOST} combinations"
        )
    combinations = itertools.product(*values.values())
    return Grid(tuple(varied), tuple(dict(zip(values, chosen, strict=True)) for chosen in combinations))


def _checked(name: str, value: object) -> Cell:
    """Return a value of an option as CompileOptions holds it, in a form that JSON and tables have."""
    held = getattr(CompileOptions(**{name: value}), name)
    if isinstance(held, Enum):
        held = held.value
    return ",".join(held) if isinstance(held, tuple) else held


def text_of(options: Options, names: Iterable[str]) -> str:
    """Return some options as a user would write them: "ring_degree=8192, precision=0.001"."""
    return ", ".join(f"{name}={value_text(options.get(name))}" for name in names)


def value_text(value: Cell) -> str:
    """Return a value of an option as a table has it; None is the compiler's choice, "auto"."""
    if value is None:
        return "auto"
    return f"{value:g}" if isinstance(value, float) else str(value)
