"""The stored files that a process has open: mapped keys and parsed weights, within a memory limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar, cast

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Opened:
    value: object
    bytes: int
    what: str


class OpenFiles:
    """Open files by their names; the least recently used are closed first, but not the last one.

    A value that is in use stays until its last user drops it. Safe to use from many threads; a file is opened once.

    Args:
        limit: bytes that the values may take. Mapped keys take them once for all processes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}
        self._used = 0

    def get(self, file: str, what: str, size: int, open_it: Callable[[], V]) -> V:
        """Return the value of a file, which `open_it` gives if it is not open; its errors are passed on."""
        with self._lock:
            opening = self._opening.setdefault(file, threading.Lock())
        with opening:
            try:
                with self._lock:
                    opened = self._opened.get(file)
                    if opened is not None:
                        self._opened.move_to_end(file)
                        return cast(V, opened.value)
                value = open_it()
                with self._lock:
                    opened = self._opened.get(
                        file
                    )  # another thread's, if the attempt that both waited for failed
                    if opened is None:
                        opened = self._opened[file] = _Opened(value, size, what)
                        self._used += size
                        self._shrink(self._limit, fewest=1)
                return cast(V, opened.value)
            finally:
                with self._lock:
                    self._opening.pop(file, None)

    def close(self, files: Collection[str]) -> None:
        """Close these files, as far as they are open."""
        with self._lock:
            for file in files:
                opened = self._opened.pop(file, None)
                self._used -= 0 if opened is None else opened.bytes

    def close_all_but(self, files: Collection[str]) -> None:
        """Close the files that are not among these."""
        with self._lock:
            others = [file for file in self._opened if file not in files]
        self.close(others)

    def make_room(self) -> None:
        """Close the least recently used half, by size."""
        with self._lock:
            self._shrink(self._used // 2, fewest=0)

    def count(self, what: str) -> int:
        """Return the number of open files with keys or with weights."""
        with self._lock:
            return sum(one.what == what for one in self._opened.values())

    @property
    def bytes(self) -> int:
        """The memory of all values."""
        with self._lock:
            return self._used

    def _shrink(self, target: int, fewest: int) -> None:
        while self._used > target and len(self._opened) > fewest:
            _, opened = self._opened.popitem(last=False)
            self._used -= opened.bytes
