"""Log lines about what a stranger or a full disk can cause at any rate: at most one a minute each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

QUIET_SECONDS = 60.0
"""Time between two lines of one QuietLog in seconds; a lower value lets strangers fill the log faster."""


class QuietLog:
    """One kind of line in a log; safe to use from many threads. `clock` tells seconds."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._untold = 0
        self._next = float("-inf")

    def warn(self, sentence: str) -> None:
        """Log a sentence, with the number of those since the last line; within QUIET_SECONDS of it only count."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._untold += 1
                return
            untold, self._untold = self._untold, 0
            self._next = now + QUIET_SECONDS
        more = f" ({untold} more since the last line)" if untold else ""
        self._log.warning("%s%s", sentence, more)
