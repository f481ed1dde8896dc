"""The problem of placing bootstraps, in numbers: values, levels, and the time of each choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LevelGraph:
    """A network as values with a level each.

    A value is made at some level, and read at this or any lower one. If it is bootstrapped, it is made at `start` and
    read at `refreshed` or below.

    Args:
        reads: the values that each value is made of; they have lower numbers. An input reads none.
        depths: the levels that making each value takes: what it reads must be that much above it.
        costs: the seconds to make each value at each level, (values, levels). They do not fall with the level. Infinity
            marks a level at which the value cannot be made.
        bootstraps: the seconds to bootstrap each value; infinity for one that cannot be.
        start: the level at which a bootstrap starts. Values at lower levels cannot be bootstrapped any more.
        refreshed: the level after a bootstrap.
    """

    reads: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...]
    costs: Array
    bootstraps: Array
    start: int
    refreshed: int

    @property
    def value_count(self) -> int:
        return len(self.reads)

    @property
    def level_count(self) -> int:
        return int(self.costs.shape[1])

    def cost(self, levels: Sequence[int], bootstrapped: frozenset[int]) -> float:
        """Return the seconds of a choice; infinity for one that reads a value above its level."""
        available = [self.refreshed if v in bootstrapped else level for v, level in enumerate(levels)]
        for value, level in enumerate(levels):
            if value in bootstrapped and level < self.start:
                return np.inf
            if any(level + self.depths[value] > available[source] for source in self.reads[value]):
                return np.inf
        own = sum(float(self.costs[value, level]) for value, level in enumerate(levels))
        return own + sum(float(self.bootstraps[value]) for value in bootstrapped)
