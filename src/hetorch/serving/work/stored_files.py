"""Keys and encrypted weights in a worker: opened from the files that the store names, and kept for later computations.

Keys are mapped, so that all workers share one copy. The store never writes to a file under its name: a path is one
content as long as it is there.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import TypeVar, cast

from hetorch.serving.keys.stored_kinds import StoredKind

V = TypeVar("V")


class StoredFiles:
    """The files that this process has open, within `memory` bytes: the least recently used are closed first, but not
    the last one."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._used = 0
        self._open: OrderedDict[tuple[Path, int, str], tuple[int, object]] = OrderedDict()

    def load(self, kind: StoredKind[V], path: Path, key_id: str) -> V:
        """Return the keys or weights in a file.

        Raises:
            FileNotFoundError: it left the store.
            WireError: it is damaged, or not for these keys.
        """
        self.close_deleted()
        name = path, os.stat(path).st_ino, key_id
        known = self._open.get(name)
        if known is not None:
            self._open.move_to_end(name)
            return cast(V, known[1])
        value = kind.open(path, key_id)
        self._open[name] = kind.memory_bytes, value
        self._used += kind.memory_bytes
        while self._used > self._memory and len(self._open) > 1:
            _, (size, _) = self._open.popitem(last=False)
            self._used -= size
        return value

    def close_deleted(self) -> None:
        """Close what the store has deleted, so that its memory and disk space are free."""
        for path, inode, key_id in list(self._open):
            try:
                gone = os.stat(path).st_ino != inode
            except OSError:
                gone = True
            if gone:
                self._used -= self._open.pop((path, inode, key_id))[0]
