"""Two implementations timed in turns, so that what else the machine does meets both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Times are medians in milliseconds; ratio = theirs / ours, min and max over the pairs.

    A side that did not run has no time, and the row a `reason`. `details` is what else was measured, by side.
    """

    name: str
    peer: str
    peer_version: str
    threads: int
    theirs_ms: float | None
    ours_ms: float | None
    ratio: float | None
    ratio_min: float | None
    ratio_max: float | None
    repetitions: int
    reason: str = ""
    details: dict[str, dict[str, object]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The row as one JSON object; `reason` only where the peer did not run, `details` only where there are any."""
        data = asdict(self)
        for name in ("reason", "details"):
            if not data[name]:
                del data[name]
        return data


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(
    name: str,
    peer: str,
    peer_version: str,
    threads: int,
    theirs: Callable[[], object] | None,
    ours: Callable[[], object],
    *,
    repetitions: int = 15,
    reason: str = "",
) -> Row:
    """Medians of `repetitions` pairs, theirs and ours in turns, after one warm-up of each.

    Where `theirs` is None the peer did not run, for `reason`; ours is measured all the same.
    """
    ours()
    if theirs is None:
        own = [seconds(ours) for _ in range(repetitions)]
        median = 1e3 * statistics.median(own)
        return Row(name, peer, peer_version, threads, None, median, None, None, None, repetitions, reason)
    theirs()
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(repetitions)]
    their_ms = 1e3 * statistics.median(pair[0] for pair in pairs)
    our_ms = 1e3 * statistics.median(pair[1] for pair in pairs)
    ratios = [their / our for their, our in pairs]
    return Row(
        name,
        peer,
        peer_version,
        threads,
        their_ms,
        our_ms,
        their_ms / our_ms,
        min(ratios),
        max(ratios),
        repetitions,
    )
