"""The store of what clients upload: evaluation keys, and weights encrypted under a client's key.

Keys are named by the SHA-256 of their upload, weights by the id of the evaluation keys that they belong to. Both are
ready for use in memory, and kept on disk if there is a folder. Neither is secret: they let a server compute, not
decrypt. Whoever knows a key id may compute with the keys, and may replace the weights that are there; with
API tokens, only within one tenant (TenantKind).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from hetorch.atomic_files import write_atomically
from hetorch.errors import OtherVersionError, PlanUseError, StorageError, WireError
from hetorch.quantities import exact_size_text
from hetorch.serving.keys.stored_kinds import StoredKind
from hetorch.serving.private_folder import PrivateFolder
from hetorch.serving.quiet_log import QuietLog
from hetorch.wire.answers import KEY_ID

log = logging.getLogger("hetorch.server")

V = TypeVar("V")
SUFFIXES = (".evk", ".weights")
"""The suffixes of stored files, by which the disk limit finds them."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Keys or weights ready for use, and the SHA-256 (hex) of the upload that they were parsed from."""

    value: object
    content: str


class KeyStore:
    """A store within limits: the least recently used entries leave first, from memory and from disk. Safe to use from
    many threads.

    A folder that is full or read-only stops nobody: what cannot be written is served from memory, counted, and told in
    the log once a minute.

    Args:
        memory_limit: bytes of keys and weights ready for use; the last one stays even if it is larger.
        folder: where uploads are kept on disk; made if it is missing. None for memory only.
        disk_limit: bytes that the files in `folder` may take; the last one written stays even if it is larger.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, memory_limit: int, folder: Path | None = None, disk_limit: int = 1 << 40) -> None:
        self._memory_limit = memory_limit
        self._disk_limit = disk_limit
        self._folder = folder
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # memory and disk change in the same order
        self._ready: OrderedDict[tuple[StoredKind[Any], str], _Held] = OrderedDict()
        self._used = 0
        self._disk_failures = 0
        self._quiet = QuietLog(log)
        self._spare = PrivateFolder("keys")
        self._outdated: set[Path] = set()  # not read: of another version, or neither replaced nor deleted
        if folder is not None:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(
                    f"the key folder {folder} cannot be used: {error.strerror or error}"
                ) from error

    def check_fits(self, kinds: Sequence[StoredKind[object]], name: str) -> None:
        """Raise PlanUseError if the uploads of one client for the model `name` alone exceed the memory limit."""
        needed = sum(kind.memory_bytes for kind in kinds)
        if needed > self._memory_limit:
            what = " and ".join(kind.what for kind in kinds)
            raise PlanUseError(
                f"{what} of one client for {name!r} take {exact_size_text(needed)}, the limit is "
                f"{exact_size_text(self._memory_limit)}; raise key_memory= (--key-memory)"
            )

    def has(self, kind: StoredKind[object], key_id: str) -> bool:
        """True if the keys or weights are in memory or on disk."""
        with self._lock:
            if (kind, key_id) in self._ready:
                return True
        path = self._path(kind, key_id)
        return path is not None and path not in self._outdated and os.path.exists(path)

    def get(self, kind: StoredKind[V], key_id: str) -> V | None:
        """Return the keys or weights, read from disk if they had left memory; None if they are unknown. A damaged file
        is deleted; one of another format version stays, and is not read again."""
        with self._lock:
            held = self._ready.get((kind, key_id))
            if held is not None:
                self._ready.move_to_end((kind, key_id))
                return cast(V, held.value)
        path = self._path(kind, key_id)
        if path is None or path in self._outdated:
            return None
        try:
            data = path.read_bytes()
            inode = path.stat().st_ino
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell("a stored file cannot be read, so its client uploads it again", error)
            return None
        with self._telling("the time of use of a stored file cannot be written; it may be deleted too early"):
            os.utime(path)
        try:
            identity = kind.identify(data)
            if identity.key_id != key_id:
                raise WireError("not what its name says")
            value = kind.parse(data)
        except OtherVersionError as error:
            self._quiet.warn(f"{path} stays on disk and is not used: {error}")
            self._outdated.add(path)
            return None
        except WireError:
            refusal = "a damaged file cannot be deleted"
            with self._writing, self._telling(refusal), contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == inode:  # not the file that another upload has put there since
                    path.unlink()
            return None
        self._insert(kind, key_id, _Held(value, identity.content), replace=False)
        return value

    def file(self, kind: StoredKind[object], key_id: str) -> Path | None:
        """Return the file of keys or weights, for the processes that compute; None if they are unknown."""
        path = self._path(kind, key_id)
        if path is not None and path not in self._outdated and os.path.exists(path):
            with self._telling(
                "the time of use of a stored file cannot be written; it may be deleted too early"
            ):
                os.utime(path)
            return path
        spare = self._spare_path(kind, key_id)
        return spare if os.path.exists(spare) else None

    def check_file(self, kind: StoredKind[object], key_id: str) -> None:
        """Read a file again that a worker could not use, so that a damaged one is deleted."""
        with self._lock:
            if self._ready.pop((kind, key_id), None) is not None:
                self._left(kind, key_id)
        self.get(kind, key_id)

    def put(self, kind: StoredKind[object], data: bytes | bytearray) -> str:
        """Parse and keep an upload; return the id of the keys that it is or belongs to.

        The same bytes again change nothing. WireError if the upload is malformed.
        """
        identity = kind.identify(data)
        key_id = identity.key_id
        with self._lock:
            held = self._ready.get((kind, key_id))
        parsed = held
        if parsed is None or parsed.content != identity.content:
            parsed = _Held(kind.parse(data), identity.content)
        path = self._path(kind, key_id)
        with self._writing:
            with self._lock:
                held = self._ready.get((kind, key_id))
            known = held is not None and held.content == identity.content
            if not known:
                self._insert(kind, key_id, parsed, replace=True)
            same = known or identity.content == key_id
            stored = same and self.file(kind, key_id) is not None
            if not stored and (path is None or not self._write(path, data)):
                self._write_spare(self._spare_path(kind, key_id), data)
        return key_id

    def make_room(self) -> None:
        """Drop the least recently used half of what is in memory, by size, and the last entry if it is the only one."""
        with self._lock:
            target = self._used // 2
            while self._ready and self._used > target:
                (old, old_id), _ = self._ready.popitem(last=False)
                self._left(old, old_id)

    def snapshot(self) -> dict[str, int]:
        """Return the numbers of keys and of weights that are ready, and their bytes in memory."""
        with self._lock:
            held = {what: sum(kind.what == what for kind, _ in self._ready) for what in ("keys", "weights")}
            return {
                "keys_held": held["keys"],
                "weights_held": held["weights"],
                "key_memory_bytes": self._used,
                "key_disk_failures": self._disk_failures,
            }

    def _insert(self, kind: StoredKind[object], key_id: str, held: _Held, *, replace: bool) -> None:
        """Add an entry, or replace the one that is there if `replace`, and drop the oldest ones above the limit."""
        with self._lock:
            if (kind, key_id) in self._ready:
                if replace:
                    self._ready[kind, key_id] = held  # as large as the entry that was there
                    self._ready.move_to_end((kind, key_id))
                return
            self._ready[kind, key_id] = held
            self._used += kind.memory_bytes
            while self._used > self._memory_limit and len(self._ready) > 1:
                (old, old_id), _ = self._ready.popitem(last=False)
                self._left(old, old_id)

    def _path(self, kind: StoredKind[object], key_id: str) -> Path | None:
        """Return the file of an upload; None without a folder or for an id that is none."""
        if self._folder is None or not KEY_ID.fullmatch(key_id):
            return None
        return self._folder / kind.folder / f"{key_id}{kind.suffix}"

    def _spare_path(self, kind: StoredKind[object], key_id: str) -> Path:
        """Return the file of an upload that is not in the folder."""
        return self._spare.path / kind.folder / f"{key_id}{kind.suffix}"

    def _write_spare(self, path: Path, data: bytes | bytearray) -> None:
        """Write an upload that cannot be in the folder where workers find it all the same, if that is possible."""
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.with_suffix(".new").write_bytes(data)
            path.with_suffix(".new").replace(path)
        except OSError as error:
            self._quiet.warn(f"an upload cannot be stored in {path.parent} either: {error.strerror or error}")
            with contextlib.suppress(OSError):
                path.with_suffix(".new").unlink(missing_ok=True)

    def _left(self, kind: StoredKind[object], key_id: str) -> None:
        """Note that an entry left memory, with the lock held."""
        self._used -= kind.memory_bytes
        with contextlib.suppress(OSError):
            self._spare_path(kind, key_id).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes | bytearray) -> bool:
        """Write an upload to disk, or take away the file that it would have replaced; True if it was written."""
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                write_atomically(path, data)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._trim_disk(path, room=len(data))  # the disk is smaller than the limit
                write_atomically(path, data)
        except OSError as error:
            self._tell(
                "an upload cannot be stored; it is served from memory and lost with this process", error
            )
            try:
                path.unlink(missing_ok=True)
            except OSError:
                self._outdated.add(path)
            return False
        self._outdated.discard(path)
        self._trim_disk(path)
        return True

    @contextlib.contextmanager
    def _telling(self, sentence: str) -> Iterator[None]:
        """Tell an OSError of the block, which the caller can do without, instead of raising it."""
        try:
            yield
        except OSError as error:
            self._tell(sentence, error)

    def _tell(self, sentence: str, error: OSError) -> None:
        with self._lock:
            self._disk_failures += 1
        self._quiet.warn(f"the key folder {self._folder}: {sentence}: {error.strerror or error}")

    def _trim_disk(self, newest: Path, room: int = 0) -> None:
        """Delete the least recently used files above the disk limit, and those that make `room` bytes free if there are
        as many, but never the newest one. A file that cannot be deleted is left, and the next one taken."""
        if self._folder is None:
            return
        files: list[tuple[float, int, Path]] = []
        with self._telling("its files cannot be listed"):
            for path in (path for suffix in SUFFIXES for path in self._folder.glob(f"*/*{suffix}")):
                with contextlib.suppress(FileNotFoundError):  # another request may just have dropped it
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
        files.sort()
        total = sum(size for _, size, _ in files)
        target = min(self._disk_limit, total) - room
        if target < 0:
            return
        for _, size, path in files:
            if total <= target:
                break
            if path != newest:
                with self._telling("a file above the disk limit cannot be deleted"):
                    path.unlink(missing_ok=True)
                    total -= size
