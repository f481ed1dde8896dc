"""Minimisation of a sum of tables, each over a few variables, by elimination of one variable after the other.

A variable is replaced by a table over its neighbours: the least sum for each of their states. On a chain this is a
shortest path. The branches between a fork and a join become one table for all pairs of states of the two, and such
tables are added; with the fewest neighbours first, this happens from the innermost fork and join outwards. The result
is exact.

Where many branches cross (each layer of a DenseNet reads all layers before it), tables would be too large. Some
variables are then held at states of a known choice, those with the most neighbours, and all others are chosen at once;
after that one held variable after the other is chosen with them, until nothing gets less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
States = tuple[int, ...]

MOST_ENTRIES = 1 << 20
"""Largest table, in numbers of 8 bytes. Raised, more entangled branches are solved exactly, with more memory."""
FEWER_ENTRIES = 1 << 16
"""Largest table while variables are held. Raised, fewer of them are, the result is nearer to the least, and finding it
takes longer. One of them is set free at a time, so that tables become larger by its number of states."""
ROUNDS = 2
"""Most times that each held variable is chosen anew. Raised, sums may become less, and finding them takes longer."""


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

    def held(self, states: Mapping[int, int]) -> Table:
        """Return the table over the other variables, with some at these states."""
        if not states.keys() & set(self.variables):
            return self
        index = tuple(states.get(variable, slice(None)) for variable in self.variables)
        return Table(tuple(v for v in self.variables if v not in states), np.asarray(self.values[index]))


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """An order of elimination: the variables, and those that must be `held` so that no table is too large."""

    variables: tuple[int, ...]
    held: tuple[int, ...]


def minimise(
    sizes: Sequence[int], tables: Sequence[Table], known: Sequence[int] | None = None
) -> tuple[States, float]:
    """Return the states with the least sum of the tables, and this sum. Among equal ones, low states are preferred.

    If a table would have more than MOST_ENTRIES, they are the least that is found from `known`.

    Args:
        sizes: the number of states of each variable.
        tables: the terms of the sum; infinity forbids a choice.
        known: states whose sum is finite, if there are such; all 0 if left out.
    """
    scopes = [table.variables for table in tables]
    exact = order_of(sizes, scopes, MOST_ENTRIES)
    if not exact.held:
        return _eliminated(exact.variables, tables, dict[int, int]())
    order = order_of(sizes, scopes, FEWER_ENTRIES)
    states = tuple(known or (0,) * len(sizes))
    least = math.inf
    for _ in range(ROUNDS):
        before = least
        for free in ((), *((variable,) for variable in order.held)):
            held = {variable: states[variable] for variable in order.held if variable not in free}
            found, total = _eliminated((*order.variables, *free), tables, held)
            if total < least:
                states, least = found, total
        if least >= before:
            break
    return states, least


def order_of(sizes: Sequence[int], scopes: Sequence[Sequence[int]], most: int) -> Order:
    """Return the order that eliminates the variable with the fewest neighbours first, the last one among equals.

    Args:
        sizes: the number of states of each variable.
        scopes: the variables of each table.
        most: the largest table, in numbers. Where a larger one would be needed, the variable with the most neighbours
            of those in it is held.
    """
    neighbours: list[set[int]] = [set() for _ in sizes]
    for scope in scopes:
        for variable in scope:
            neighbours[variable].update(scope)
    for variable, own in enumerate(neighbours):
        own.discard(variable)
    left = set(range(len(sizes)))
    variables: list[int] = []
    held: list[int] = []
    while left:
        variable = min(left, key=lambda name: (len(neighbours[name]), -name))
        own = neighbours[variable]
        if math.prod(sizes[name] for name in (*own, variable)) > most:
            variable = max((variable, *own), key=lambda name: (len(neighbours[name]), -name))
            held.append(variable)
            own = set()
        else:
            variables.append(variable)
        for name in neighbours[variable]:
            neighbours[name] |= own - {name}
            neighbours[name].discard(variable)
        left.discard(variable)
    return Order(tuple(variables), tuple(held))


def _eliminated(
    order: Sequence[int], tables: Sequence[Table], held: Mapping[int, int]
) -> tuple[States, float]:
    """Return the states with the least sum, and this sum, by eliminating variables in this order; the other ones are
    held at these states."""
    place = {variable: number for number, variable in enumerate(order)}
    waiting: list[list[Table]] = [[] for _ in range(len(order) + 1)]

    def keep(table: Table) -> None:
        """Keep a table until the first of its variables is eliminated."""
        waiting[min((place[variable] for variable in table.variables), default=len(order))].append(table)

    for table in tables:
        keep(table.held(held))
    best: list[tuple[tuple[int, ...], NDArray[np.intp]]] = []
    for variable, touching in zip(order, waiting, strict=False):
        neighbours = tuple(sorted({name for table in touching for name in table.variables} - {variable}))
        total = sum((table.spread((*neighbours, variable)) for table in touching), start=np.zeros(1))
        least = np.argmin(total, axis=-1)
        best.append((neighbours, least))
        keep(Table(neighbours, np.take_along_axis(total, least[..., None], axis=-1)[..., 0]))
    states = dict(held)
    for variable, (neighbours, chosen) in zip(reversed(order), reversed(best), strict=True):
        states[variable] = int(chosen[tuple(states[name] for name in neighbours)])
    return tuple(states[name] for name in sorted(states)), sum(float(table.values) for table in waiting[-1])
