"""Exact minimisation of a sum of tables, each over a few variables, by elimination of one variable after the other.

A variable is replaced by a table over its neighbours: the least sum for each of their states. On a chain this is a
shortest path. The branches between a fork and a join become one table for all pairs of states of the two, and such
tables are added; with the fewest neighbours first, this happens from the innermost fork and join outwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InfeasibleError

Array = NDArray[np.float64]

MOST_ENTRIES = 1 << 25
"""Largest table, in numbers of 8 bytes. Raised, more entangled branches are solved, with more memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A term of the sum: a number for each choice of states of its variables, one axis a variable."""

    variables: tuple[int, ...]
    values: Array

    def spread(self, variables: Sequence[int]) -> Array:
        """Return the numbers with an axis for each of `variables`, which hold those of the table."""
        order = [self.variables.index(variable) for variable in variables if variable in self.variables]
        axes = tuple(slice(None) if variable in self.variables else None for variable in variables)
        return self.values.transpose(order)[axes]


@dataclass(frozen=True, slots=True, eq=False)
class _Eliminated:
    """An eliminated variable: its best state for each choice of states of its neighbours."""

    variable: int
    neighbours: tuple[int, ...]
    best: NDArray[np.intp]


def minimise(sizes: Sequence[int], tables: Sequence[Table]) -> tuple[tuple[int, ...], float]:
    """Return the states with the least sum of the tables, and this sum. Among equal ones, low states are preferred.

    Args:
        sizes: the number of states of each variable.
        tables: the terms of the sum; infinity forbids a choice.

    Raises:
        InfeasibleError: a table would have more than MOST_ENTRIES.
    """
    remaining = list(tables)
    left = set(range(len(sizes)))
    eliminated: list[_Eliminated] = []
    while left:
        variable, neighbours = _next(left, remaining)
        touching = [table for table in remaining if variable in table.variables]
        remaining = [table for table in remaining if variable not in table.variables]
        axes = (*neighbours, variable)
        shape = tuple(sizes[axis] for axis in axes)
        if math.prod(shape) > MOST_ENTRIES:
            raise InfeasibleError(
                f"the branches of the network are too entangled to place bootstraps: a choice depends on "
                f"{len(neighbours)} others at a time"
            )
        total = np.zeros(shape)
        for table in touching:
            total += table.spread(axes)
        best = np.argmin(total, axis=-1)
        remaining.append(Table(neighbours, np.min(total, axis=-1)))
        eliminated.append(_Eliminated(variable, neighbours, best))
        left.discard(variable)
    least = sum(float(table.values) for table in remaining)
    return _states(eliminated, len(sizes)), least


def _next(left: set[int], tables: Sequence[Table]) -> tuple[int, tuple[int, ...]]:
    """Return the variable with the fewest neighbours, the last one among equals, and its neighbours."""
    neighbours: Mapping[int, set[int]] = {variable: set() for variable in left}
    for table in tables:
        for variable in table.variables:
            neighbours[variable].update(table.variables)
    variable = min(left, key=lambda name: (len(neighbours[name] - {name}), -name))
    return variable, tuple(sorted(neighbours[variable] - {variable}))


def _states(eliminated: Sequence[_Eliminated], count: int) -> tuple[int, ...]:
    states = [0] * count
    for step in reversed(eliminated):
        states[step.variable] = int(step.best[tuple(states[name] for name in step.neighbours)])
    return tuple(states)
