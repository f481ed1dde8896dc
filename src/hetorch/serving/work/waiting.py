"""What waits in a pool: short computations, for which somebody waits, and long ones, which leave them a worker."""

from __future__ import annotations

from collections.abc import Iterator

from hetorch.serving.work.computation import Computation
from hetorch.serving.work.fair_queue import FairQueue

UNBOUNDED = 1 << 30
"""Places for long computations: whoever submits them, such as the jobs, bounds their number."""


class Waiting:
    """The waiting computations of a pool of `workers`. Both kinds are fair to lanes (FairQueue).

    Long computations run on all workers but one. Where both kinds wait, short ones go first, and after each of them a
    long one that would otherwise wait for ever.
    """

    def __init__(self, workers: int, capacity: int, per_lane: int) -> None:
        self._short: FairQueue[Computation] = FairQueue(capacity, per_lane)
        self._long: FairQueue[Computation] = FairQueue(UNBOUNDED, UNBOUNDED)
        self._most_long = max(1, workers - 1)
        self._long_turn = False

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def __iter__(self) -> Iterator[Computation]:
        yield from (*self._short, *self._long)

    def push(self, computation: Computation) -> tuple[bool, Computation | None]:
        """Add a computation; return True if it was added, and the one that lost its place for it."""
        return self._of(computation).push(computation.order.lane, computation)

    def push_first(self, computation: Computation) -> None:
        """Put a computation in front of all others."""
        self._of(computation).push_first(computation.order.lane, computation)

    def ahead(self, lane: str, *, long: bool) -> Iterator[Computation]:
        """Yield the computations that would begin before a new one of a lane."""
        return (self._long if long else self._short).ahead(lane)

    def first(self, long_running: int) -> Computation | None:
        """Return the computation whose turn it is while so many long ones run; None if there is none."""
        short = self._short.first()
        long = self._long.first() if long_running < self._most_long else None
        if short is None or (long is not None and long_running == 0 and self._long_turn):
            return long
        return short

    def take(self, computation: Computation) -> None:
        """Take out the computation that `first` returned."""
        taken = self._of(computation).pop()
        assert taken is computation
        self._long_turn = not computation.order.long

    def remove(self, computation: Computation) -> bool:
        """Take out any computation; False if it is not there."""
        return self._of(computation).remove(computation.order.lane, computation)

    def clear(self) -> list[Computation]:
        """Take out all computations."""
        taken = list(self)
        for computation in taken:
            self.remove(computation)
        return taken

    def _of(self, computation: Computation) -> FairQueue[Computation]:
        return self._long if computation.order.long else self._short
