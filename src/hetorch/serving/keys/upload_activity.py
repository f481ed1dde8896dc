"""What a process knows of an upload under way: who writes to it, and the file that is made of it meanwhile."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from hetorch.errors import WireError
from hetorch.serving.errors import Busy, UploadOffset, UploadUnknown
from hetorch.serving.keys.key_folder import locked
from hetorch.serving.keys.packed_upload import PackedUpload


@dataclass(slots=True)
class Activity:
    """What this process knows of an upload: the lock of its file, who writes to it, when a byte came last, the file
    that is made of it, and True if that is made only when the upload is whole."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    writer: Writer | None = None
    last: float = field(default_factory=time.monotonic)
    packed: PackedUpload | None = None
    packs_at_end: bool = False

    def drop_packed(self) -> None:
        """Delete the file that is made of the upload, and make it when the upload is whole."""
        packed, self.packed, self.packs_at_end = self.packed, None, True
        if packed is not None:
            packed.file.drop()

    def take_packed(self, upload: Path) -> PackedUpload | None:
        """Return the file that is made of a complete upload, for the caller to keep or drop; None if it must be made
        anew. WireError if the upload is malformed."""
        packed = self.packed
        try:
            whole = packed is not None and packed.advance(upload)
        except (OSError, MemoryError):
            whole = False
        if not whole:
            self.drop_packed()
            return None
        self.packed, self.packs_at_end = None, True
        return packed


class Writer:
    """The right to continue one upload, until it is closed or another one takes it over. `offset`: the next byte."""

    def __init__(self, path: Path, limit: int, activity: Activity) -> None:
        self._limit = limit
        self._activity = activity
        try:
            self._descriptor = locked(path, os.O_WRONLY | os.O_APPEND)
        except BlockingIOError:
            raise Busy("another process of the server takes this upload; try again") from None
        except FileNotFoundError:
            raise UploadUnknown from None
        self._open = True
        self.offset = os.fstat(self._descriptor).st_size

    def write(self, piece: bytes) -> None:
        """Append bytes.

        Raises:
            WireError: they are more than the upload has.
            UploadOffset: another request has taken the upload over.
            Busy: the disk is full.
        """
        if self.offset + len(piece) > self._limit:
            raise WireError(f"the upload has {self._limit} bytes, more than these came")
        with self._activity.lock:
            if not self._open:
                raise UploadOffset(self.offset)
            self._activity.last = time.monotonic()
            view = memoryview(piece)
            try:
                while view:
                    written = os.write(self._descriptor, view)
                    self.offset += written
                    view = view[written:]
            except OSError as error:
                raise Busy(f"the server cannot store the upload now: {error.strerror}; try again") from error

    def close(self) -> None:
        """Give the right back."""
        with self._activity.lock:
            self.give_up()

    def give_up(self) -> None:
        """Close the file, by whoever has the lock."""
        if self._open:
            self._open = False
            os.close(self._descriptor)
