"""Keys and encrypted weights in a worker: read from the files that the store names, and kept for later computations."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import TypeVar, cast

from hetorch.errors import WireError
from hetorch.serving.keys.stored_kinds import StoredKind

V = TypeVar("V")


class StoredFiles:
    """The parsed files that this process used last, within `memory` bytes; the last one stays even if it is larger."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._used = 0
        self._ready: OrderedDict[tuple[str, int, int], tuple[int, object]] = OrderedDict()

    def load(self, kind: StoredKind[V], path: Path, key_id: str) -> V:
        """Return the keys or weights in a file.

        Raises:
            FileNotFoundError: it left the store.
            WireError: it is damaged, or not for these keys.
        """
        status = os.stat(path)
        name = str(path), status.st_ino, status.st_mtime_ns
        known = self._ready.get(name)
        if known is not None:
            self._ready.move_to_end(name)
            return cast(V, known[1])
        data = path.read_bytes()
        if kind.identify(data).key_id != key_id:
            raise WireError("not what its name says")
        value = kind.parse(data)
        self._ready[name] = kind.memory_bytes, value
        self._used += kind.memory_bytes
        while self._used > self._memory and len(self._ready) > 1:
            _, (size, _) = self._ready.popitem(last=False)
            self._used -= size
        return value

    def clear(self) -> None:
        """Forget all."""
        self._ready.clear()
        self._used = 0
