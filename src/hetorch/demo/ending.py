"""The end of a demonstration by a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def ending_on_signal() -> Iterator[None]:
    """Let SIGTERM unwind as Ctrl-C does, so that children end and temporary folders are removed.

    In another thread than the main one, where no signals arrive, the block is left as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
