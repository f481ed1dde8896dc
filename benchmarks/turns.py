"""Two workers timed in turns, so that other work on the machine slows both alike.

A turn begins with a pause, in which the other side's threads stop spinning for more work. A short operation is then
called once without being counted, which brings its data back into the caches that the other side has just used.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace

from benchmarks.peers.worker import PeerFailedError, Worker
from benchmarks.row import Row

TURN_MS = 10.0
"""Length of a turn of short operations, in milliseconds; the turn counts as the median of its calls."""
PAUSE = 0.02
"""Pause before a turn, in seconds. The OpenMP threads of GCC spin for some milliseconds after their last work."""
LEAST, MOST, LEAST_IF_SLOW = 5, 25, 3
"""Smallest and largest number of turns of each side, and the smallest of slow operations; the time decides between."""
SLOW_SECONDS = 1.5
"""Time of the two warm-ups, in seconds, from which an operation counts as slow."""


def take_turns(
    name: str,
    theirs: Worker | None,
    ours: Worker | None,
    operation: str,
    threads: int,
    *,
    peer: str = "",
    peer_version: str = "",
    reason: str = "",
    seconds: float = 3.0,
    least: int = LEAST,
    their_turns: list[float] | None = None,
) -> Row:
    """Return the row of `operation`, measured for about `seconds` and at least `least` turns after a warm-up of both.

    `their_turns` receives the milliseconds of each turn of theirs. If `theirs` is None or fails, the row has no ratio
    and gives the reason.

    Raises:
        PeerFailedError: our own side failed.
    """
    empty = Row(name, peer, peer_version, threads, None, None, None, None, None, 0, reason)
    if ours is None:
        return empty
    begun = time.monotonic()
    warm_ours = ours.times(operation)[0]
    if theirs is None:
        return _alone(empty, ours, operation, warm_ours, seconds, least)
    empty = replace(empty, peer=theirs.title, peer_version=theirs.version)
    try:
        warm_theirs = theirs.times(operation)[0]
    except PeerFailedError as error:
        return _alone(replace(empty, reason=str(error)), ours, operation, warm_ours, seconds, least)
    if time.monotonic() - begun > SLOW_SECONDS:
        least = min(least, LEAST_IF_SLOW)
    calls_theirs, calls_ours = _calls(warm_theirs), _calls(warm_ours)
    pairs: list[tuple[float, float]] = []
    end = time.monotonic() + seconds
    while len(pairs) < MOST and (len(pairs) < least or time.monotonic() < end):
        try:
            their_turn = _turn(theirs, operation, calls_theirs)
        except PeerFailedError as error:
            return _alone(replace(empty, reason=str(error)), ours, operation, warm_ours, seconds, least)
        if their_turns is not None:
            their_turns.append(their_turn)
        pairs.append((their_turn, _turn(ours, operation, calls_ours)))
    their_ms, our_ms = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = [their / our for their, our in pairs]
    return replace(
        empty,
        theirs_ms=their_ms,
        ours_ms=our_ms,
        ratio=their_ms / our_ms,
        ratio_min=min(ratios),
        ratio_max=max(ratios),
        repetitions=len(pairs),
        reason="",
    )


def _alone(row: Row, ours: Worker, operation: str, warm: float, seconds: float, least: int) -> Row:
    """Measure ours alone, in half the time, where the peer did not run."""
    turns: list[float] = []
    end = time.monotonic() + seconds / 2
    while len(turns) < MOST and (len(turns) < least or time.monotonic() < end):
        turns.append(_turn(ours, operation, _calls(warm)))
    return replace(row, ours_ms=statistics.median(turns), repetitions=len(turns))


def _turn(worker: Worker, operation: str, calls: int) -> float:
    """Return the median of `calls` calls in milliseconds, after one that is not counted if there are several."""
    time.sleep(PAUSE)
    if calls == 1:
        return worker.times(operation)[0]
    return statistics.median(worker.times(operation, calls + 1)[1:])


def _calls(warm_ms: float) -> int:
    return max(1, min(50, math.ceil(TURN_MS / max(warm_ms, 1e-3))))
