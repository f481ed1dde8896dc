"""The store of what clients upload: evaluation keys, and weights encrypted under a client's key.

Keys are named by the SHA-256 of their upload, weights by the id of the evaluation keys that they belong to. Neither is
secret: they let a server compute, not decrypt. Each belongs to one tenant. What two tenants upload is kept twice, even
if it is the same, so that no answer, and no time that an answer takes, tells a tenant what another one has. Without API
tokens there is one tenant, and whoever knows a key id may compute with the keys, and may replace the weights.

Both are files: keys in the form that the kernels read, which all processes map, so that they are in memory once. What
the folder cannot take is in memory alone (SpareFiles). Servers without a common folder may have a SharedStore, which is
then the truth: what it has not is nowhere, and what it has is brought from there.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from hetorch.errors import PlanUseError, StorageError, WireError
from hetorch.quantities import exact_size_text, size_text
from hetorch.serving.errors import Busy, QuotaExceeded
from hetorch.serving.keys.catalogue import Entry, Slot
from hetorch.serving.keys.disk_store import DiskLimits, DiskStore
from hetorch.serving.keys.packed_upload import PackedUpload
from hetorch.serving.keys.shared_store import SharedStore
from hetorch.serving.keys.spare_files import SpareFiles, memory_file
from hetorch.serving.keys.stored_kinds import Identity, StoredKind
from hetorch.serving.quiet_log import QuietLog
from hetorch.wire.answers import KEY_ID

log = logging.getLogger("hetorch.server")

COMPARE_SECONDS = 60.0
"""Time between two comparisons with the shared store, in seconds. Raised, what was deleted through another server is
used for longer here, and the store has fewer requests."""


class KeyStore:
    """A store within limits. Safe to use from many threads, and from several processes with one folder.

    A folder that is full or read-only stops nobody: what cannot be written is served from memory, counted, and told in
    the log once a minute.

    Args:
        memory_limit: bytes of what is in memory alone, because the folder cannot take it; and those of one client's
            uploads when they are in use.
        folder: where uploads are kept; made if it is missing. None for a temporary folder.
        limits: the limits of the folder.
        share: the store that other servers use too, if there is one.

    Attributes:
        limits: those of the folder.
        disk: the folder.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(
        self,
        memory_limit: int,
        folder: Path | None = None,
        limits: DiskLimits | None = None,
        share: SharedStore | None = None,
    ) -> None:
        self._memory_limit = memory_limit
        self._share = share
        self._bringing = threading.Lock()
        self._next_comparison = time.monotonic() + COMPARE_SECONDS
        self.limits = limits or DiskLimits()
        self._folder = folder
        self._lock = threading.Lock()
        self._quiet = QuietLog(log)
        self._disk_failures = 0
        self._outdated: set[str] = set()  # files that were replaced and could not be forgotten
        self._spare = SpareFiles(memory_limit)
        self.disk = DiskStore(folder, self.limits, self.tell)

    def close(self) -> None:
        """Drop what is in memory alone, and delete a temporary folder."""
        self._spare.close()
        self.disk.close()

    def check_fits(self, kinds: Sequence[StoredKind[object]], name: str) -> None:
        """Raise PlanUseError if the uploads of one client for the model `name` alone exceed the limits."""
        what = " and ".join(kind.what for kind in kinds)
        needed = sum(kind.memory_bytes for kind in kinds)
        if needed > self._memory_limit:
            raise PlanUseError(
                f"{what} of one client for {name!r} take {exact_size_text(needed)}, the limit is "
                f"{exact_size_text(self._memory_limit)}; raise key_memory= (--key-memory)"
            )
        stored = sum(kind.file_bytes(kind.largest_upload) for kind in kinds)
        if self.limits.quota is not None and stored > self.limits.quota:
            raise PlanUseError(
                f"{what} of one client for {name!r} take {exact_size_text(stored)} on disk, a tenant's quota is "
                f"{exact_size_text(self.limits.quota)}; raise key_quota= (--key-quota)"
            )

    def has(self, kind: StoredKind[object], key_id: str) -> bool:
        """True if the keys or weights are here."""
        return self._find(kind, key_id)[0] is not None

    def file(self, kind: StoredKind[object], key_id: str) -> Path | None:
        """Return the file of keys or weights, for the processes that compute, which open it with `kind.open`; None if
        they are not here. It is a use of them."""
        path, entry = self._find(kind, key_id)
        if entry is not None:
            self.disk.used(entry)
        return path

    def check_file(self, kind: StoredKind[object], key_id: str) -> None:
        """Open a file that a worker could not open, and delete it if it is damaged."""
        path, entry = self._find(kind, key_id)
        if path is None or entry is None:
            return
        try:
            kind.open(path, key_id)
        except (WireError, FileNotFoundError) as error:
            self._quiet.warn(
                f"a stored file is damaged, so its client uploads it again; it is deleted: {path}: {error}"
            )
            with self._telling("a damaged file cannot be deleted"):
                self.disk.delete([entry])
        except OSError as error:
            self.tell("a stored file cannot be read", error)

    def put(
        self,
        kind: StoredKind[object],
        upload: BinaryIO,
        length: int,
        content: str | None = None,
        packed: PackedUpload | None = None,
    ) -> str:
        """Check and keep an upload; return the id of the keys that it is or belongs to.

        The same bytes again change nothing.

        Args:
            kind: what it must be.
            upload: the bytes, all of the file; it must be possible to seek.
            length: their number.
            content: their SHA-256 (hex), if the client told it.
            packed: the file, if it was made while the upload came; it is kept or dropped.

        Raises:
            WireError: the upload is malformed, or has another SHA-256.
            QuotaExceeded: it is larger than what a tenant may have.
            Busy: neither the folder nor the memory has room, or the shared store cannot be written.
        """
        try:
            identity = self._keep(kind, upload, length, content, packed)
        finally:
            if packed is not None:
                packed.file.drop()
        if self._share is not None:
            slot = Slot(kind.tenant, kind.name, identity.key_id)
            try:
                if self._share.content(slot) != identity.content:
                    self._share.put(slot, identity.content, upload)
            except StorageError as error:
                self.tell("an upload is refused, since other servers would not see it", error)
                with self._telling("the rest of a refused upload cannot be deleted"):
                    self._delete_here([slot])
                raise Busy(f"the server cannot keep these {kind.what} now; try again") from error
        return identity.key_id

    def may_be_elsewhere(self, kind: StoredKind[object], key_id: str) -> bool:
        """True if `bring` has something to ask the shared store: keys that are here never change under their id."""
        return self._share is not None and self._content(kind, Slot(kind.tenant, kind.name, key_id)) != key_id

    def bring(self, kind: StoredKind[object], key_id: str) -> None:
        """Fetch keys or weights from the shared store, unless the same ones are here; forget them if it has none.

        It may take seconds. Busy if the store cannot be reached: what is here may have been replaced or deleted there.
        """
        if self._share is None or not KEY_ID.fullmatch(key_id):
            return
        slot = Slot(kind.tenant, kind.name, key_id)
        with self._bringing:  # of many requests for the same keys, the first one fetches
            try:
                content, here = self._share.content(slot), self._content(kind, slot)
                if content is None and here is not None:
                    self._delete_here([slot])
                elif content is not None and content != here:
                    self._fetch(self._share, kind, slot)
            except StorageError as error:
                self.tell("uploads of other servers cannot be fetched", error)
                raise Busy(f"the server cannot look for these {kind.what} now; try again") from error

    def _fetch(self, share: SharedStore, kind: StoredKind[object], slot: Slot) -> None:
        size = share.size(slot)
        problem = f"it has {exact_size_text(size)}"
        if kind.smallest_upload <= size <= kind.largest_upload:
            with self._temporary_file() as file:
                content = share.fetch(slot, file, size)
                problem = "its checksum does not match"
                if content is not None:
                    try:
                        file.seek(0)
                        if kind.identify(file).key_id == slot.key_id:
                            self._keep(kind, file, size, content)
                            return
                        problem = "it is for other keys"
                    except WireError as error:
                        problem = str(error)
        self._quiet.warn(f"the shared key store has damaged {kind.what}, which are not used: {problem}")

    def _temporary_file(self) -> BinaryIO:
        try:
            return tempfile.TemporaryFile(dir=self.disk.folder.path)
        except OSError:
            return memory_file()

    def _keep(
        self,
        kind: StoredKind[object],
        upload: BinaryIO,
        length: int,
        content: str | None,
        packed: PackedUpload | None = None,
    ) -> Identity:
        """Check and keep an upload here; return its identity. Arguments and errors are those of `put`."""
        upload.seek(0)
        identity = kind.identify(upload) if packed is None else packed.identity
        if content is not None and identity.content != content:
            raise WireError("the checksum of the upload does not match; it was changed on its way")
        slot, size = Slot(kind.tenant, kind.name, identity.key_id), kind.file_bytes(length)
        if self._content(kind, slot) == identity.content:
            return identity
        if self.limits.quota is not None and size > self.limits.quota:
            raise QuotaExceeded(
                f"these {kind.what} take {size_text(size)}, a tenant may have {size_text(self.limits.quota)}"
            )

        def pieces() -> Iterator[bytes]:
            upload.seek(0)
            return kind.prepare(upload, length, identity.content)

        try:
            ready = None if packed is None else packed.file
            self.disk.put(slot, identity.content, kind.what, size, pieces, ready)
            self._spare.drop(slot)
        except (OSError, StorageError) as error:
            self.tell(
                "an upload cannot be stored; it is served from memory and lost with this process", error
            )
            self._put_spare(slot, identity.content, kind.what, pieces())
        return identity

    def delete(self, tenant: str, key_id: str, kinds: Iterable[str]) -> int:
        """Delete what a tenant has of these kinds (StoredKind.name) under a key id; return the number of uploads.

        Files are unlinked and entries overwritten; workers drop their mappings when they notice, and other servers with
        the same shared store theirs within COMPARE_SECONDS. StorageError if the catalogue or the shared store cannot be
        written.
        """
        slots = [Slot(tenant, kind, key_id) for kind in kinds]
        elsewhere = {slot for slot in slots if self._share is not None and self._share.delete(slot)}
        return len(elsewhere | self._delete_here(slots))

    def _delete_here(self, slots: Sequence[Slot]) -> set[Slot]:
        """Delete what is here in these slots; return those that had something."""
        dropped = {slot for slot in slots if self._spare.drop(slot)}
        entries = [entry for slot in slots if (entry := self.disk.catalogue.find(slot)) is not None]
        self.disk.delete(entries)
        return dropped | {entry.slot for entry in entries}

    def make_room(self) -> None:
        """Drop the least recently used half of what is in memory alone."""
        self._spare.make_room()

    def sweep(self) -> None:
        """Delete what nobody has used for too long. To be called every few seconds."""
        with self._telling("the catalogue cannot be written"):
            self.disk.sweep()
        if self._share is not None and time.monotonic() >= self._next_comparison:
            with self._telling("what other servers deleted cannot be found out"):
                self._forget_deleted(self._share)
            self._next_comparison = time.monotonic() + COMPARE_SECONDS

    def _forget_deleted(self, share: SharedStore) -> None:
        """Delete what is here and no longer in the shared store."""
        slots = {entry.slot for entry in self.disk.entries()} | set(self._spare.entries())
        for slot in slots:
            if (
                share.content(slot) is None
            ):  # one on its way to the store is fetched from there when it is used
                self._delete_here([slot])

    def snapshot(self) -> dict[str, int]:
        """Return the numbers of keys and of weights, and the bytes of those on disk and of those in memory alone."""
        whats = [file.what for file in self._spare.entries().values()]
        stored = 0
        with contextlib.suppress(StorageError):
            entries = self.disk.catalogue.entries()
            whats += [entry.what for entry in entries]
            stored = sum(entry.bytes for entry in entries)
        return {
            "keys_held": whats.count("keys"),
            "weights_held": whats.count("weights"),
            "key_disk_bytes": stored,
            "key_spare_bytes": self._spare.bytes,
            "key_evictions": self.disk.evictions,
            "key_disk_failures": self._disk_failures,
        }

    def tell(self, sentence: str, error: Exception) -> None:
        """Count a failure of the disk that the store can do without, and tell it in the log once a minute."""
        with self._lock:
            self._disk_failures += 1
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        self._quiet.warn(f"the key folder {self._folder or 'for this process'}: {sentence}: {reason}")

    @contextlib.contextmanager
    def _telling(self, sentence: str) -> Iterator[None]:
        """Tell an error of the folder in the block, which the caller can do without, instead of raising it."""
        try:
            yield
        except (OSError, StorageError) as error:
            self.tell(sentence, error)

    def _find(self, kind: StoredKind[object], key_id: str) -> tuple[Path | None, Entry | None]:
        """Return path and, if it is on disk, entry of an upload; None for what is not there."""
        if not KEY_ID.fullmatch(key_id):
            return None, None
        slot = Slot(kind.tenant, kind.name, key_id)
        spare = self._spare.find(slot)
        if spare is not None:
            return spare.path, None
        with self._telling("the catalogue cannot be read"):
            entry = self.disk.find(slot)
            if entry is not None and entry.file not in self._outdated:
                return self.disk.path(entry), entry
        return None, None

    def _content(self, kind: StoredKind[object], slot: Slot) -> str | None:
        """Return the SHA-256 of the upload that is in a slot, or None."""
        spare = self._spare.find(slot)
        if spare is not None:
            return spare.content
        entry = self._find(kind, slot.key_id)[1]
        return None if entry is None else entry.content

    def _put_spare(self, slot: Slot, content: str, what: str, pieces: Iterable[bytes]) -> None:
        try:
            self._spare.put(slot, content, what, pieces)
        except OSError as error:
            raise Busy(f"the server has no room for these {what} now; try again") from error
        with contextlib.suppress(StorageError):
            before = self.disk.catalogue.find(slot)
            if before is not None:  # a later process would read it, but not this one
                self._outdated.add(before.file)
                self.disk.delete([before])
