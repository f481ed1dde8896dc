"""Evaluation keys of clients, named by the SHA-256 of their upload: ready in memory, and on disk if there is a folder.

Evaluation keys are not secret: they let a server compute, not decrypt. Whoever knows a key id may compute with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from hetorch.engine.codec import evaluation_key_bytes, load_evaluation_keys
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import EvaluationKeys
from hetorch.errors import PlanError
from hetorch.params import ParameterSet
from hetorch.plan.memory import key_memory
from hetorch.wire.answers import KEY_ID


@dataclass(frozen=True, slots=True)
class KeyKind:
    """What keys of one plan look like: the parameters and spec they are parsed with."""

    parameters: ParameterSet
    spec: EvaluationKeySpec

    @property
    def upload_bytes(self) -> int:
        """Exact bytes of an upload."""
        return evaluation_key_bytes(self.parameters, self.spec)

    @property
    def memory_bytes(self) -> int:
        """Bytes when ready for use: both halves of every digit."""
        return key_memory(self.parameters, self.spec)

    @property
    def folder(self) -> str:
        """Name of the folder of these keys: the same upload parses differently for another spec."""
        text = f"{self.parameters.fingerprint().hex()}:{self.spec.relinearisation_level}:{self.spec.galois}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class KeyStore:
    """Least recently used keys leave first, from memory and from disk. Safe to use from many threads."""

    def __init__(self, memory_limit: int, folder: Path | None = None, disk_limit: int = 1 << 40) -> None:
        self._memory_limit = memory_limit
        self._disk_limit = disk_limit
        self._folder = folder
        self._lock = threading.Lock()
        self._ready: OrderedDict[tuple[KeyKind, str], EvaluationKeys] = OrderedDict()
        self._used = 0
        if folder is not None:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise PlanError(
                    f"the key folder {folder} cannot be used: {error.strerror or error}"
                ) from error

    def check_fits(self, kind: KeyKind, name: str) -> None:
        """PlanError if one client's keys alone are above the memory limit."""
        if kind.memory_bytes > self._memory_limit:
            raise PlanError(
                f"keys of one client for {name!r} take {kind.memory_bytes} bytes, the limit is {self._memory_limit}; "
                "raise --key-memory"
            )

    def has(self, kind: KeyKind, key_id: str) -> bool:
        """Whether the keys are ready or on disk."""
        with self._lock:
            if (kind, key_id) in self._ready:
                return True
        path = self._path(kind, key_id)
        return path is not None and path.exists()

    def get(self, kind: KeyKind, key_id: str) -> EvaluationKeys | None:
        """The keys, read from disk if they had left memory; None if they are unknown."""
        with self._lock:
            keys = self._ready.get((kind, key_id))
            if keys is not None:
                self._ready.move_to_end((kind, key_id))
                return keys
        path = self._path(kind, key_id)
        if path is None:
            return None
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != key_id:
            path.unlink(missing_ok=True)
            return None
        keys = load_evaluation_keys(kind.parameters, kind.spec, data)
        self._insert(kind, key_id, keys)
        return keys

    def put(self, kind: KeyKind, data: bytes) -> str:
        """Parse and keep an upload; its key id. The same bytes again change nothing. WireError if malformed."""
        key_id = hashlib.sha256(data).hexdigest()
        with self._lock:
            known = (kind, key_id) in self._ready
        if not known:
            keys = load_evaluation_keys(kind.parameters, kind.spec, data)
            self._insert(kind, key_id, keys)
        path = self._path(kind, key_id)
        if path is not None and not path.exists():
            self._write(path, data)
        return key_id

    def snapshot(self) -> dict[str, int]:
        """How many key sets are ready, and their bytes in memory."""
        with self._lock:
            return {"keys_held": len(self._ready), "key_memory_bytes": self._used}

    def _insert(self, kind: KeyKind, key_id: str, keys: EvaluationKeys) -> None:
        with self._lock:
            if (kind, key_id) in self._ready:
                return
            self._ready[kind, key_id] = keys
            self._used += kind.memory_bytes
            while self._used > self._memory_limit and len(self._ready) > 1:
                (old, _), _ = self._ready.popitem(last=False)
                self._used -= old.memory_bytes

    def _path(self, kind: KeyKind, key_id: str) -> Path | None:
        if self._folder is None or not KEY_ID.fullmatch(key_id):
            return None
        return self._folder / kind.folder / f"{key_id}.evk"

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._trim_disk(path)

    def _trim_disk(self, newest: Path) -> None:
        """Delete the least recently used files above the disk limit, but never the one just written."""
        if self._folder is None:
            return
        with self._lock:
            files = []
            for path in self._folder.glob("*/*.evk"):
                with contextlib.suppress(FileNotFoundError):  # another request may just have dropped it
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
            files.sort()
            total = sum(size for _, size, _ in files)
            for _, size, path in files:
                if total <= self._disk_limit:
                    break
                if path != newest:
                    path.unlink(missing_ok=True)
                    total -= size
