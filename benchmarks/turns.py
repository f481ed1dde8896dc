"""Two workers timed in turns, so that what else the machine does meets both alike.

A turn begins with a pause, in which the other side's threads stop spinning for more work, and a short operation with a
call that is not counted, which brings its own data back into the caches that the other side has just used.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace

from benchmarks.measure import Row
from benchmarks.peers.worker import PeerFailedError, Worker

TURN_MS = 10.0
"""Short operations are repeated until a turn takes about this long; the turn counts as its median."""
PAUSE = 0.02
"""Seconds before a turn. OpenMP's threads, as GCC has them, spin for some milliseconds after their last work."""
LEAST, MOST, LEAST_IF_SLOW = 5, 25, 3
"""Turns of each side, as many as the time allows."""
SLOW_SECONDS = 1.5
"""Of one turn of both."""


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
    """One row for `operation`, after a warm-up of each side; about `seconds` of measuring, and `least` turns at least.

    `their_turns`, if given, is filled with the milliseconds of each. Where `theirs` is None or fails, the row has no
    ratio and says why. PeerFailedError if ours fails: that is no row.
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
    """Ours all the same, where the peer did not run; in half the time."""
    turns: list[float] = []
    end = time.monotonic() + seconds / 2
    while len(turns) < MOST and (len(turns) < least or time.monotonic() < end):
        turns.append(_turn(ours, operation, _calls(warm)))
    return replace(row, ours_ms=statistics.median(turns), repetitions=len(turns))


def _turn(worker: Worker, operation: str, calls: int) -> float:
    """The median of `calls` calls in milliseconds, after one that is not counted where there are several."""
    time.sleep(PAUSE)
    if calls == 1:
        return worker.times(operation)[0]
    return statistics.median(worker.times(operation, calls + 1)[1:])


def _calls(warm_ms: float) -> int:
    return max(1, min(50, math.ceil(TURN_MS / max(warm_ms, 1e-3))))
