"""The uploads in a key folder: files and their entries, within the limits of all tenants and of each."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from hetorch.errors import StorageError
from hetorch.serving.keys.catalogue import Catalogue, CatalogueDamaged, CatalogueFull, Entry, Slot
from hetorch.serving.keys.key_folder import KeyFolder, NewFile

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """The limits of a key folder.

    Args:
        bytes: those of all files; the last file written stays even if it is larger.
        quota: bytes of one tenant's files, and of its uploads under way; None for no limit of its own.
        unused_seconds: time after which what nobody has used is deleted, in seconds of the folder's life; None to keep
            it.
        shared: True if processes of several machines use the folder.
    """

    bytes: int = 1 << 40
    quota: int | None = None
    unused_seconds: float | None = None
    shared: bool = False


class DiskStore:
    """The files of a key folder and its catalogue. Safe to use from many threads and processes.

    A tenant beyond its quota makes room among its own files; beyond the limit of all, the tenant with the most bytes
    does, which has more than its share of the limit. So a tenant that takes no more than its share loses nothing to
    others, whatever they upload. In a tenant, uploads with which nobody ever computed leave first, then the least
    recently used.

    Args:
        path: the folder, made if it is missing; None for a temporary one.
        limits: the limits.
        tell: is called with a sentence about what went wrong and could be done without, and its reason.

    Attributes:
        evictions: the number of files that were deleted to make room.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, path: Path | None, limits: DiskLimits, tell: Callable[[str, Exception], None]) -> None:
        self._limits = limits
        self._tell = tell
        self.folder = KeyFolder(path)
        self.catalogue = self._open_catalogue()
        self._lock = threading.Lock()
        self._evicting = threading.Lock()
        self.evictions = 0
        self._uses: OrderedDict[str, int] = OrderedDict()  # of files, since the catalogue was told
        self._clean()

    def close(self) -> None:
        """Write down the last uses, and delete a temporary folder."""
        self._tell_uses()
        self.catalogue.close()
        self.folder.close()

    def find(self, slot: Slot) -> Entry | None:
        """Return the entry of a slot whose file is there, or None; StorageError if the catalogue cannot be read."""
        entry = self.catalogue.find(slot)
        return entry if entry is not None and self.path(entry).exists() else None

    def path(self, entry: Entry) -> Path:
        """Return the path of an entry's file."""
        return self.folder.stored(entry.file)

    def used(self, entry: Entry) -> None:
        """Count a use; the catalogue is told later."""
        with self._lock:
            self._uses[entry.file] = self._uses.pop(entry.file, 0) + 1

    def put(
        self,
        slot: Slot,
        content: str,
        what: str,
        size: int,
        pieces: Callable[[], Iterable[bytes]],
        ready: NewFile | None = None,
    ) -> None:
        """Write a file of `size` bytes in place of the slot's, and make room for it.

        If the disk is full below the limit, old files leave first, if there are as many as it needs. OSError or
        StorageError if it cannot be written; then the slot is as it was. `ready` is the file, if it is written already;
        it is kept or dropped.
        """
        self._tell_uses()
        try:
            self._keep(
                slot, content, what, size, self.folder.writing(pieces()) if ready is None else ready.kept()
            )
        except (OSError, CatalogueFull) as error:
            if isinstance(error, OSError) and error.errno not in _FULL:
                raise
            if not self._evict(slot.tenant, "", size):
                raise
            self._keep(slot, content, what, size, self.folder.writing(pieces()))

    def delete(self, entries: Sequence[Entry]) -> None:
        """Delete entries and their files; StorageError if the entries cannot be deleted."""
        self.catalogue.forget(entries)
        self._unlink(entries)

    def entries(self, tenant: str | None = None, kind: str | None = None) -> list[Entry]:
        """Return what is there, the least recently used first; only that of a tenant or kind if it is given."""
        self._tell_uses()
        return self.catalogue.entries(tenant, kind)

    def sweep(self) -> None:
        """Write down uses and time, and delete what nobody has used for too long; StorageError if that fails."""
        self._tell_uses()
        self.catalogue.write_time()
        if self._limits.unused_seconds is not None:
            self.delete(self.catalogue.unused_for(self._limits.unused_seconds))

    def _keep(
        self, slot: Slot, content: str, what: str, size: int, writing: AbstractContextManager[str]
    ) -> None:
        """Put the file that `writing` gives into the catalogue, and make room for it."""
        with writing as file:
            before = self.catalogue.put(slot, content, what, file, size)
        if before is not None:
            self._unlink([before])
        for entry in self.catalogue.of_keys(slot.tenant, slot.key_id):
            if entry.file != file:  # keys for which weights come are wanted
                self.used(entry)
        self._tell_uses()
        self._evict(slot.tenant, file, 0)

    def _evict(self, tenant: str, newest: str, room: int) -> bool:
        """Delete files beyond the limits, and to make `room` bytes free for a tenant, but not the file `newest`. False
        without a deletion if there are fewer than `room`."""
        with self._evicting:
            usage = self.catalogue.usage()
            if room > sum(usage.values()):
                return False
            victims = list(self._victims(usage, tenant, newest, room))
            self.evictions += len(victims)
            if room:  # a full disk has no room for changes of the catalogue either
                self._unlink(victims)
            self.catalogue.forget(victims)
            if not room:
                self._unlink(victims)
        return True

    def _victims(self, usage: dict[str, int], tenant: str, newest: str, room: int) -> Iterator[Entry]:
        """Yield the entries that must leave: `usage` has the bytes of each tenant, `room` is what `tenant` needs."""
        queues: dict[str, Iterator[Entry]] = {}
        usage = {**usage, tenant: usage.get(tenant, 0) + room}
        left = usage.copy()  # of the tenants that have something that may leave
        total = sum(usage.values())
        target = min(self._limits.bytes, total - room)
        while left and (total > target or self._exceeds_quota(left.get(tenant, 0))):
            largest = max(left, key=lambda name: left[name])
            chosen = tenant if self._exceeds_quota(left.get(tenant, 0)) else largest
            queue = queues.setdefault(
                chosen, (one for one in self.catalogue.entries(chosen) if one.file != newest)
            )
            victim = next(queue, None)
            if victim is None:
                del left[chosen]
                continue
            left[chosen] -= victim.bytes
            total -= victim.bytes
            yield victim

    def _exceeds_quota(self, size: int) -> bool:
        return self._limits.quota is not None and size > self._limits.quota

    def _unlink(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            try:
                self.path(entry).unlink(missing_ok=True)
            except OSError as error:  # the next process deletes it
                self._tell("a file that is no longer used cannot be deleted", error)

    def _tell_uses(self) -> None:
        with self._lock:
            uses, self._uses = self._uses, OrderedDict()
        if uses:
            try:
                self.catalogue.used(uses)
            except StorageError as error:
                self._tell("the times of use cannot be written; uploads may be deleted too early", error)

    def _open_catalogue(self) -> Catalogue:
        path = self.folder.catalogue
        try:
            return Catalogue(path, shared=self._limits.shared)
        except CatalogueDamaged as error:
            self._tell("the catalogue is damaged, so clients upload everything again", error)
            self.folder.delete_all()
        except StorageError as error:
            self._tell("it cannot be written; uploads are lost with this process", error)
            with contextlib.suppress(StorageError):
                return Catalogue.copy_of(path)
        try:
            return Catalogue(path, shared=self._limits.shared)
        except StorageError as error:
            self._tell("it cannot be written; uploads are lost with this process", error)
            return Catalogue(":memory:")

    def _clean(self) -> None:
        """Delete what killed processes have left, and entries without files."""
        try:
            # The files are listed before the entries are read, so that one that comes in between is not taken for lost.
            leftovers = self.folder.files()
            entries, uploads = self.catalogue.entries(), self.catalogue.uploads()
            self.folder.delete_unlocked(
                leftovers - {entry.file for entry in entries} - {upload.id for upload in uploads}
            )
            self.catalogue.forget([entry for entry in entries if not self.path(entry).exists()])
            for upload in uploads:
                if not self.folder.part(upload.id).exists():
                    self.catalogue.end_upload(upload.id)
        except StorageError as error:
            self._tell("it cannot be cleaned", error)
