"""The choice of levels and bootstraps with the least time, over all choices or, where branches are too entangled for
that, over those near a known one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.bootstraps.eliminate import Table, minimise
from hetorch.compiler.bootstraps.level_graph import LevelGraph
from hetorch.errors import InfeasibleError


@dataclass(frozen=True, slots=True)
class LevelChoice:
    """The level at which each value is made, the values that are bootstrapped, and the seconds of the whole."""

    levels: tuple[int, ...]
    bootstrapped: frozenset[int]
    cost: float


def choose_levels(graph: LevelGraph) -> LevelChoice:
    """Return the choice of least time, or the least that hetorch.compiler.bootstraps.eliminate finds.

    A value has a state for each level at which it can be made, and a last one: made at graph.start and bootstrapped.
    Costs do not fall with the level, so no other level is cheaper for a value that is bootstrapped.

    Raises:
        InfeasibleError: an operation takes more levels than there are.
    """
    count = graph.level_count
    made = np.array([*range(count), graph.start])
    available = np.array([*range(count), graph.refreshed])
    tables = []
    # Recurrent layers have large tables: states that cannot be are left out of them.
    possible: list[NDArray[np.intp]] = []
    for value in range(graph.value_count):
        own = graph.costs[value][made]
        own[-1] += graph.bootstraps[value]
        possible.append(np.flatnonzero(np.isfinite(own)))
        tables.append(Table((value,), own[possible[value]]))
        for source in dict.fromkeys(graph.reads[value]):
            needed, there = made[possible[value]] + graph.depths[value], available[possible[source]]
            tables.append(Table((source, value), np.where(needed[None, :] <= there[:, None], 0.0, np.inf)))
    sizes = [len(states) for states in possible]
    # Where every value is bootstrapped, each operation has all levels.
    known = [size - 1 for size in sizes]
    chosen, cost = minimise(sizes, tables, known) if all(sizes) else ((), np.inf)
    if not np.isfinite(cost):
        raise InfeasibleError(
            f"an operation takes more levels than the {graph.refreshed - graph.start} that a bootstrap leaves"
        )
    states = [int(possible[value][state]) for value, state in enumerate(chosen)]
    levels = tuple(int(made[state]) for state in states)
    return LevelChoice(levels, frozenset(v for v, state in enumerate(states) if state == count), cost)
