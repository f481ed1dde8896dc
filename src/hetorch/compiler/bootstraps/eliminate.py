"""Exact minimisation of a sum of tables, each over a few variables, by elimination of one variable after the other.

A variable is replaced by a table over its neighbours: the least sum for each of their states. On a chain this is a
shortest path. The branches between a fork and a join become one table for all pairs of states of the two, and such
tables are added; with the fewest neighbours first, this happens from the innermost fork and join outwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    graph = _Graph(len(sizes), tables)
    left = set(range(len(sizes)))
    eliminated: list[_Eliminated] = []
    while left:
        variable = min(left, key=lambda name: (len(graph.neighbours[name]), -name))
        left.discard(variable)
        neighbours = tuple(sorted(graph.neighbours[variable]))
        axes = (*neighbours, variable)
        shape = tuple(sizes[axis] for axis in axes)
        if math.prod(shape) > MOST_ENTRIES:
            raise InfeasibleError(
                f"the branches of the network are too entangled to place bootstraps: a choice depends on "
                f"{len(neighbours)} others at a time"
            )
        total = np.zeros(shape)
        for table in graph.taken(variable):
            total += table.spread(axes)
        best = np.argmin(total, axis=-1)
        graph.add(Table(neighbours, np.take_along_axis(total, best[..., None], axis=-1)[..., 0]))
        eliminated.append(_Eliminated(variable, neighbours, best))
    return _states(eliminated, len(sizes)), graph.constant


class _Graph:
    """The tables of a sum, by variable, and the `neighbours` of each variable: the others in its tables.

    `constant`: the sum of the tables without a variable.
    """

    def __init__(self, count: int, tables: Sequence[Table]) -> None:
        self.neighbours: list[set[int]] = [set() for _ in range(count)]
        self.constant = 0.0
        self._tables: dict[int, Table] = {}
        self._touching: list[set[int]] = [set() for _ in range(count)]
        self._made = 0
        for table in tables:
            self.add(table)

    def add(self, table: Table) -> None:
        if not table.variables:
            self.constant += float(table.values)
            return
        self._tables[self._made] = table
        for variable in table.variables:
            self._touching[variable].add(self._made)
            self.neighbours[variable].update(table.variables)
            self.neighbours[variable].discard(variable)
        self._made += 1

    def taken(self, variable: int) -> list[Table]:
        """Return the tables of a variable, the oldest first, which are removed with it."""
        numbers = sorted(self._touching[variable])
        tables = [self._tables.pop(number) for number in numbers]
        for number, table in zip(numbers, tables, strict=True):
            for other in table.variables:
                self._touching[other].discard(number)
        for other in self.neighbours[variable]:
            self.neighbours[other].discard(variable)
        return tables


def _states(eliminated: Sequence[_Eliminated], count: int) -> tuple[int, ...]:
    states = [0] * count
    for step in reversed(eliminated):
        states[step.variable] = int(step.best[tuple(states[name] for name in step.neighbours)])
    return tuple(states)
