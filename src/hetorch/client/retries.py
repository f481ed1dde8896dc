"""When a client sends a request again, and how long it waits before.

A request is sent again where nothing of it can have been done (no connection, or the server says that it is busy), and,
if doing it twice is the same as doing it once, where its connection broke. After a timeout it is not: the server may
still be computing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hetorch.errors import RemoteError
from hetorch.wire.limits import MIN_RETRY_AFTER_SECONDS

REPEATS = 3
"""Times that a request is sent again after its connection broke, if it may be. Raised, a client bears longer restarts
of a server, and tells later that it is gone."""
PREDICT_REPEATS = 1
"""Times that a prediction is sent again after its connection broke: one that kills a server must not kill many."""
FIRST_PAUSE_SECONDS = 0.2
"""Pause before a request is sent again after its connection broke, in seconds; each further one is twice as long."""
JITTER = 0.25
"""Largest share by which a pause is lengthened at random, so that clients that failed together do not come back
together."""

_END: ContextVar[float | None] = ContextVar("end of the running call", default=None)
_HURRIED: ContextVar[bool] = ContextVar("another server is there", default=False)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Bound the time of everything that this thread or task sends in the block; None for no bound of its own."""
    if seconds is None:
        yield
        return
    end, outer = time.monotonic() + seconds, _END.get()
    token = _END.set(end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _END.reset(token)


@contextmanager
def afterwards(seconds: float) -> Iterator[None]:
    """Bound the time of what this thread or task sends in the block, which ends a call whatever is left of its time."""
    token = _END.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _END.reset(token)


@contextmanager
def hurried(yes: bool = True) -> Iterator[None]:
    """Send nothing again in the block, for this thread or task, since there is another server to ask."""
    token = _HURRIED.set(yes)
    try:
        yield
    finally:
        _HURRIED.reset(token)


def in_a_hurry() -> bool:
    """Return True in a block of `hurried`."""
    return _HURRIED.get()


def time_left(url: str) -> float | None:
    """Return the seconds that `within` leaves, None for no bound; RemoteError, with the address, if there are none."""
    end = _END.get()
    if end is None:
        return None
    left = end - time.monotonic()
    if left <= 0:
        raise RemoteError(
            f"the time for the call (deadline=) has passed while {url} was asked; give a longer one"
        )
    return left


def lengthened(seconds: float) -> float:
    """Return a pause with its jitter."""
    return seconds * (1 + JITTER * secrets.randbelow(1 << 16) / (1 << 16))


def pause_after_break(repeat: int) -> float:
    """Return the pause in seconds before a request is sent for the `repeat`-th time again, counted from 0."""
    return lengthened(FIRST_PAUSE_SECONDS * 2**repeat)


def pause_when_busy(retry_after: str) -> float:
    """Return the pause in seconds that a Retry-After header asks for, a number or a date, and its jitter.

    At least MIN_RETRY_AFTER_SECONDS, and 1 s if the header says nothing. There is no upper bound: the caller gives up
    when the pause is longer than its time.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        asked = float(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
            asked = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            asked = 1.0
    return lengthened(max(asked, MIN_RETRY_AFTER_SECONDS))
