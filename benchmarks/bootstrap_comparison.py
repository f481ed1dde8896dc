"""The row that compares a peer's bootstraps with ours, from what the processes measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.worker import PeerFailedError
from benchmarks.row import Row

Array = NDArray[np.float64]

MAX_ERROR = 2.0**-11
"""Largest accepted error of a slot, of values up to 1, and largest difference of two libraries' results. The standard
deviation of ours is 2^-18.1, and the sine is off by 2^-13.3 at 1."""
MAX_ERRORS = {8: 2.0**-10}
"""The same by levels, for the noisiest set of the ring of 2^15: a standard deviation of 2^-14.2."""


@dataclass(frozen=True, slots=True)
class Side:
    """What a process measured: milliseconds of each bootstrap, the results, facts for the row, and the inputs if it is
    ours. The facts of a peer include its title and version."""

    times: tuple[float, ...]
    results: Array
    facts: dict[str, Any]
    inputs: Array | None = None


def check_worst(worst: float, user_levels: int) -> None:
    """Raise PeerFailedError if the worst slot of ours is wrong by more than a set of so many levels may be."""
    if not worst < MAX_ERRORS.get(user_levels, MAX_ERROR):
        raise PeerFailedError(f"the result is wrong by {worst:.2g}")


def comparison(title: str, threads: int, before: Side, theirs: Side, after: Side) -> Row:
    """Return the row of a peer, with the facts of both.

    The ratio is that of the medians; ours is the median of the times before the peer's turn and after it. Its range
    goes from the peer's fastest bootstrap against our slowest to the reverse.

    Raises:
        PeerFailedError: the peer's results are not the inputs, or not ours.
    """
    ours = (*before.times, *after.times)
    middle, our_middle = statistics.median(theirs.times), statistics.median(ours)
    facts = theirs.facts | agreement(theirs.results, before)
    return Row(
        title,
        facts.pop("title"),
        facts.pop("version"),
        threads,
        middle,
        our_middle,
        middle / our_middle,
        min(theirs.times) / max(ours),
        max(theirs.times) / min(ours),
        len(theirs.times),
        details={"theirs": facts, "ours": after.facts},
    )


def agreement(results: Array, ours: Side) -> dict[str, Any]:
    """Return the errors of a peer's results, and their largest difference from ours.

    Raises:
        PeerFailedError: one of them is MAX_ERROR or more, or not a number.
    """
    assert ours.inputs is not None
    worst, difference = (float(np.abs(results - other).max()) for other in (ours.inputs, ours.results))
    if not (worst < MAX_ERROR and difference < MAX_ERROR):
        raise PeerFailedError(f"the results are wrong by {worst:.2g}, and {difference:.2g} from ours")
    return {
        "worst": worst,
        "deviation": float(np.std(results - ours.inputs)),
        "difference_from_ours": difference,
    }
