"""Files in memory alone (memfd), for uploads that the key folder cannot take: it is full, read-only or gone.

They are lost when the process ends. Other processes of the same user may map them by their path under /proc. They are
sealed: nobody can change or truncate them.
"""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from hetorch.serving.keys.catalogue import Slot

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def memory_file() -> BinaryIO:
    """Return an empty file in memory, whose bytes are free when nobody has it any more."""
    descriptor = os.memfd_create("hetorch-upload", os.MFD_CLOEXEC)
    file = os.fdopen(descriptor, "w+b", closefd=False)
    weakref.finalize(file, os.close, descriptor)
    return cast(BinaryIO, file)


@dataclass(frozen=True, slots=True)
class SpareFile:
    """An upload in memory. `content`: its SHA-256 (hex); `bytes`: the size of its file; `what`: "keys" or "weights"."""

    content: str
    what: str
    bytes: int
    descriptor: int

    @property
    def path(self) -> Path:
        """The path by which processes of the same user open it."""
        return Path(f"/proc/{os.getpid()}/fd/{self.descriptor}")


class SpareFiles:
    """Files in memory of at most `limit` bytes: the least recently used leave first, but not the last one. Safe to use
    from many threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._files: OrderedDict[Slot, SpareFile] = OrderedDict()

    def find(self, slot: Slot) -> SpareFile | None:
        """Return the file of a slot, or None."""
        with self._lock:
            if slot in self._files:
                self._files.move_to_end(slot)
            return self._files.get(slot)

    def put(self, slot: Slot, content: str, what: str, pieces: Iterable[bytes]) -> None:
        """Write a file in place of the slot's; OSError if there is no memory for it."""
        descriptor = os.memfd_create("hetorch-keys", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                for piece in pieces:
                    stream.write(piece)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            size = os.fstat(descriptor).st_size
        except BaseException:
            os.close(descriptor)
            raise
        self.drop(slot)
        with self._lock:
            self._files[slot] = SpareFile(content, what, size, descriptor)
        self._shrink(self._limit, fewest=1)

    def drop(self, slot: Slot) -> bool:
        """Delete the file of a slot; False if there is none. Its memory is free when nobody has it mapped."""
        with self._lock:
            file = self._files.pop(slot, None)
        if file is not None:
            os.close(file.descriptor)
        return file is not None

    def make_room(self) -> None:
        """Drop the least recently used half, by size."""
        self._shrink(self.bytes // 2, fewest=0)

    def entries(self) -> dict[Slot, SpareFile]:
        """Return the files, the least recently used first."""
        with self._lock:
            return dict(self._files)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        with self._lock:
            return sum(file.bytes for file in self._files.values())

    def close(self) -> None:
        """Drop all files."""
        self._shrink(0, fewest=0)

    def _shrink(self, target: int, fewest: int) -> None:
        with self._lock:
            used = sum(file.bytes for file in self._files.values())
            while used > target and len(self._files) > fewest:
                _, file = self._files.popitem(last=False)
                used -= file.bytes
                os.close(file.descriptor)
