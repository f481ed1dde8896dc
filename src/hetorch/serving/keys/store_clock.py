"""Seconds of a key folder's life, by which its time to live is counted; a jump of the system's clock cannot empty it.

While a process runs, its monotonic clock counts. Between two processes the system's clock counts, never backwards and
at most LONGEST_PAUSE: a clock that is set forward, by mistake or by the first message of a time server, ages the keys
by a day at most.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

LONGEST_PAUSE = 24 * 3600.0
"""Most seconds that count between two processes. Raised, keys age more of the time in which no server runs, and a wrong
clock at the start takes more of their time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of the clock: `seconds` of the folder's life, and the system's time `wall`, since 1970."""

    seconds: float
    wall: float


class StoreClock:
    """A clock that goes on from the last reading that was stored; None for a new folder."""

    def __init__(self, last: Reading | None) -> None:
        self._begin = 0.0
        if last is not None:
            self._begin = last.seconds + min(max(time.time() - last.wall, 0.0), LONGEST_PAUSE)
        self._start = time.monotonic()

    def read(self) -> Reading:
        """Return the reading now."""
        return Reading(self._begin + time.monotonic() - self._start, time.time())
