"""Uploads in pieces: what has come is on disk, so that a client goes on where its connection, or the server, broke off.

The offset of an upload is the length of its file: it holds what was written, and nothing else is noted anywhere. A file
that lost its end with the power has a wrong checksum at the end, and the upload begins again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hetorch.errors import StorageError, WireError
from hetorch.quantities import count_text, size_text
from hetorch.serving.errors import Busy, QuotaExceeded, UploadOffset, UploadUnknown
from hetorch.serving.keys.catalogue import Catalogue, UploadEntry
from hetorch.serving.keys.key_folder import KeyFolder, locked, random_name
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.packed_upload import PackedUpload
from hetorch.serving.keys.stored_kinds import StoredKind
from hetorch.serving.keys.upload_activity import Activity, Writer

IDLE_SECONDS = 60.0
"""Time without a byte after which an upload may give way to another one of its tenant, in seconds. A lower value lets
an upload be pushed out while its client connects again."""

PACK_BYTES = 2 << 20
"""Bytes of an upload that are packed at a time, beside a key that is longer; more than are written at a time, so that a
server that was started anew catches up. Raised, one request may wait longer for its turn."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The limits of uploads that are under way.

    Args:
        per_tenant: their number. Beyond it the one that has waited longest gives way, if it has waited IDLE_SECONDS.
        bytes: the lengths that all of them declare, and the files that are made of them meanwhile, together.
        seconds: time after which an upload that has not ended is given up.
    """

    per_tenant: int = 16
    bytes: int = 1 << 40
    seconds: float = 24 * 3600.0


class Uploads:
    """The uploads under way of one key store. Safe to use from many threads; every method may wait for the disk."""

    def __init__(self, store: KeyStore, limits: UploadLimits) -> None:
        self._store = store
        self._place = _Place(store.disk.catalogue, store.disk.folder)
        self._aside: _Place | None = None
        self._limits = limits
        self._beginning = threading.Lock()
        self._active: dict[str, Activity] = {}

    def begin(self, kind: StoredKind[object], model: str, content: str, size: int) -> tuple[UploadEntry, int]:
        """Begin an upload, or find the one of the same bytes; return it and its offset. Nothing is allocated for what
        has not come.

        Args:
            kind: what it will be.
            model: the name of the model for which it is.
            content: the SHA-256 (hex) of its bytes.
            size: their number.

        Raises:
            WireError: no upload of this kind has this number.
            QuotaExceeded: its tenant has too much under way.
            Busy: all tenants together have, or the folder cannot be written.
        """
        if not kind.smallest_upload <= size <= kind.largest_upload:
            raise WireError(
                f"an upload of {kind.what} for {model!r} has {_sizes(kind)} bytes, this one says {size}"
            )
        with self._beginning:
            underway = self._all(None)
            for one in underway:
                if (one.tenant, one.kind, one.content) == (kind.tenant, kind.name, content):
                    if one.bytes == size and one.model == model:
                        return one, self.offset(one)
                    self.cancel(one)
            self._check_room(kind.tenant, size, underway)
            upload = UploadEntry(random_name(), kind.tenant, kind.name, content, model, kind.what, size)
            try:
                self._place.begin(upload)
            except (OSError, StorageError) as error:
                self._store.tell("an upload in pieces cannot be kept; it is lost with this process", error)
                self._begin_aside(upload)
        return upload, 0

    def find(self, tenant: str, upload: str) -> UploadEntry:
        """Return an upload of a tenant; UploadUnknown if it has none with this id."""
        for one in self._all(tenant):
            if one.id == upload:
                return one
        raise UploadUnknown

    def offset(self, upload: UploadEntry) -> int:
        """Return the number of bytes that have come; UploadUnknown if it has ended."""
        try:
            return self._path(upload).stat().st_size
        except OSError:
            raise UploadUnknown from None

    def write(self, upload: UploadEntry, offset: int) -> Writer:
        """Return the right to continue an upload, taken from whoever had it: the client has connected again.

        Raises:
            UploadOffset: it does not go on at `offset`.
            UploadUnknown: it has ended.
            Busy: another process has it.
        """
        activity = self._activity(upload)
        with activity.lock:
            if activity.writer is not None:
                activity.writer.give_up()
            writer = activity.writer = Writer(self._path(upload), upload.bytes, activity)
            if writer.offset != offset:
                writer.give_up()
                raise UploadOffset(writer.offset)
        return writer

    def packs(self, upload: UploadEntry) -> bool:
        """True if `pack` has something to do for an upload whose bytes come; it does not wait."""
        return not self._activity(upload).packs_at_end

    def pack(self, kind: StoredKind[object], upload: UploadEntry) -> None:
        """Make the file of an upload as far as its bytes have come, some PACK_BYTES further than before.

        What does not fit the limits or the disk now is made by `finish`. WireError if the upload is malformed; it is
        over then.
        """
        activity = self._activity(upload)
        self._begin_packing(kind, upload, activity)
        with activity.lock:
            if activity.packed is None:
                return
            try:
                activity.packed.advance(self._path(upload), PACK_BYTES)
            except WireError:
                self._end(upload)
                raise
            except (OSError, MemoryError):
                activity.drop_packed()

    def _begin_packing(self, kind: StoredKind[object], upload: UploadEntry, activity: Activity) -> None:
        """Begin to make the file of an upload, if it has not begun and there is room for it beside all uploads."""
        if activity.packed is not None or activity.packs_at_end:
            return
        with self._beginning:
            packing, size = kind.begin(upload.bytes, upload.content), kind.file_bytes(upload.bytes)
            folder = self._place.folder
            if packing is None or not folder.part(upload.id).exists() or not self._has_room(upload, size):
                activity.packs_at_end = True
                return
            try:
                activity.packed = PackedUpload(packing, folder, upload.content, size)
            except OSError:
                activity.packs_at_end = True

    def _has_room(self, upload: UploadEntry, size: int) -> bool:
        """True if a file of `size` bytes fits into the limits of uploads under way, and on the disk."""
        underway, quota = self._all(None), self._store.limits.quota
        taken = {one.id: one.bytes for one in underway}
        for name, activity in list(self._active.items()):
            if activity.packed is not None:
                taken[name] = taken.get(name, 0) + activity.packed.size
        own = sum(taken[one.id] for one in underway if one.tenant == upload.tenant)
        if sum(taken.values()) + size > self._limits.bytes or (quota is not None and own + size > quota):
            return False
        return shutil.disk_usage(self._place.folder.path).free >= upload.bytes + size

    def finish(self, kind: StoredKind[object], upload: UploadEntry) -> str:
        """Check and keep a complete upload; return the id of the keys that it is or belongs to.

        It is over then, and also if it is malformed; after any other error the client may try again.

        Raises:
            WireError: it is malformed, or has another SHA-256 than was told.
            UploadOffset: it is not complete.
            UploadUnknown: it has ended.
            QuotaExceeded, Busy: as KeyStore.put.
        """
        path = self._path(upload)
        activity = self._activity(upload)
        with activity.lock:
            try:
                descriptor = locked(path, os.O_RDONLY)
            except BlockingIOError:
                raise Busy("another request takes this upload; try again") from None
            except OSError:
                raise UploadUnknown from None
            with os.fdopen(descriptor, "rb") as file:
                size = os.fstat(descriptor).st_size
                if size < upload.bytes:
                    raise UploadOffset(size)
                try:
                    key_id = self._store.put(kind, file, size, upload.content, activity.take_packed(path))
                except (WireError, QuotaExceeded):
                    self._end(upload)
                    raise
                self._end(upload)
        return key_id

    def cancel(self, upload: UploadEntry) -> None:
        """Give an upload up and delete its file."""
        activity = self._activity(upload)
        with activity.lock:
            if activity.writer is not None:
                activity.writer.give_up()
            self._end(upload)

    @property
    def count(self) -> int:
        """The number of uploads under way."""
        return len(self._all(None))

    def sweep(self) -> None:
        """Give up the uploads that began too long ago."""
        for place in self._places():
            try:
                old = set(place.catalogue.uploads_older_than(self._limits.seconds))
                for upload in place.catalogue.uploads():
                    if upload.id in old:
                        self.cancel(upload)
            except StorageError as error:
                self._store.tell("uploads under way cannot be read", error)

        for name, activity in list(self._active.items()):
            if (
                activity.packed is not None and not self._place.folder.part(name).exists()
            ):  # another process ended it
                with activity.lock:
                    activity.drop_packed()

    def close(self) -> None:
        """Delete what is under way outside of the key folder, and files that are not whole."""
        for activity in self._active.values():
            with activity.lock:
                activity.drop_packed()
        if self._aside is not None:
            self._aside.catalogue.close()
            self._aside.folder.close()

    def _check_room(self, tenant: str, size: int, underway: list[UploadEntry]) -> None:
        """Make room for one more upload; QuotaExceeded or Busy if there is none."""
        own = [one for one in underway if one.tenant == tenant]
        quota = self._store.limits.quota
        if quota is not None and sum(one.bytes for one in own) + size > quota:
            raise QuotaExceeded(
                f"the uploads under way and this one have more than the {size_text(quota)} of a tenant; end one of them"
            )
        if sum(one.bytes for one in underway) + size > self._limits.bytes:
            raise Busy("the server takes as many uploads as it may; try again")
        if len(own) < self._limits.per_tenant:
            return
        waiting = min(own, key=lambda one: self._activity(one).last)
        if time.monotonic() - self._activity(waiting).last < IDLE_SECONDS:
            raise Busy(f"{count_text(len(own), 'upload')} are under way; try again when one has ended")
        self.cancel(waiting)

    def _end(self, upload: UploadEntry) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path(upload).unlink()
        for place in self._places():
            with contextlib.suppress(StorageError):
                place.catalogue.end_upload(upload.id)
        activity = self._active.pop(upload.id, None)
        if activity is not None:
            activity.drop_packed()

    def _activity(self, upload: UploadEntry) -> Activity:
        return self._active.setdefault(upload.id, Activity())

    def _places(self) -> list[_Place]:
        return [self._place] if self._aside is None else [self._place, self._aside]

    def _all(self, tenant: str | None) -> list[UploadEntry]:
        """Return the uploads under way, of one tenant if it is given."""
        found: list[UploadEntry] = []
        for place in self._places():
            try:
                found += place.catalogue.uploads(tenant)
            except StorageError as error:
                self._store.tell("uploads under way cannot be read", error)
        return found

    def _path(self, upload: UploadEntry) -> Path:
        paths = [place.folder.part(upload.id) for place in self._places()]
        return next((path for path in paths if path.exists()), paths[0])

    def _begin_aside(self, upload: UploadEntry) -> None:
        """Begin an upload in a temporary folder; Busy if that is full too."""
        try:
            if self._aside is None:
                self._aside = _Place(Catalogue(":memory:"), KeyFolder(None))
            self._aside.begin(upload)
        except (OSError, StorageError) as error:
            raise Busy("the server has no room for an upload in pieces now; try again") from error


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder with uploads under way, and its catalogue."""

    catalogue: Catalogue
    folder: KeyFolder

    def begin(self, upload: UploadEntry) -> None:
        """Make the empty file of an upload; OSError or StorageError if that fails or the disk has too little room."""
        if shutil.disk_usage(self.folder.path).free < upload.bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path = self.folder.part(upload.id)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            self.catalogue.begin_upload(upload)
        except BaseException:
            path.unlink()
            raise


def _sizes(kind: StoredKind[object]) -> str:
    low, high = kind.smallest_upload, kind.largest_upload
    return str(low) if low == high else f"{low} to {high}"
