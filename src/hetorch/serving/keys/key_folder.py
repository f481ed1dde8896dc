"""The folder of a key store: its files, and what processes that were killed left behind in it.

    <folder>/               mode 0700
      catalogue.sqlite      hetorch.serving.keys.catalogue
      stored/               one read-only file for each upload that is kept; `.new-*` while it is written
      parts/                uploads that are under way

A file is never changed under its name, and never truncated, since other processes may have it mapped. Whoever writes
one holds its lock (flock) until the catalogue knows it. So what the catalogue does not know and nobody has locked is
the rest of a process that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from hetorch.atomic_files import TEMPORARY_PREFIX
from hetorch.engine.random import random_seed
from hetorch.errors import StorageError

_TEMPORARY_FOLDERS = "hetorch-keys-"
_LOCK = "lock"
FLUSH_BYTES = 64 << 20
"""Bytes of a new file after which they are flushed to the disk. Raised, the flush at its end takes longer; lowered, the
disk is asked more often."""


class KeyFolder:
    """A key folder, made if it is missing; StorageError if it cannot be made.

    `path`: None for a temporary folder, which only this process uses, and which goes when it is closed. A killed
    process leaves one behind, which the next one deletes.
    """

    CATALOGUE = "catalogue.sqlite"

    def __init__(self, path: Path | None) -> None:
        self._temporary = path is None
        try:
            if path is None:
                _delete_abandoned()
                path = Path(tempfile.mkdtemp(prefix=_TEMPORARY_FOLDERS))
                self._lock = locked(path / _LOCK, os.O_RDWR | os.O_CREAT)
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the key folder {path} cannot be used: {error.strerror or error}") from error
        self._delete = weakref.finalize(self, _delete_own, path, os.getpid()) if self._temporary else None
        self.path = path
        self._stored, self._parts = path / "stored", path / "parts"
        for folder in (self._stored, self._parts):
            with contextlib.suppress(OSError):  # a read-only folder is still read
                folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def catalogue(self) -> Path:
        """The path of the catalogue."""
        return self.path / self.CATALOGUE

    def stored(self, file: str) -> Path:
        """Return the path of a stored file."""
        return self._stored / file

    def part(self, upload: str) -> Path:
        """Return the path of the file of an upload under way."""
        return self._parts / upload

    def close(self) -> None:
        """Delete a temporary folder."""
        if self._delete is not None and self._delete.alive:
            self._delete()
            os.close(self._lock)

    def new_file(self) -> NewFile:
        """Begin a file; OSError if it cannot be made."""
        return NewFile(self._stored, durable=not self._temporary)

    @contextlib.contextmanager
    def writing(self, pieces: Iterable[bytes]) -> Iterator[str]:
        """Write a file; give its name to the block, which tells the catalogue. It is deleted if the block raises.

        OSError if it cannot be written; nothing of it is left then.
        """
        file = self.new_file()
        try:
            for piece in pieces:
                file.write(piece)
        except BaseException:
            file.drop()
            raise
        with file.kept() as name:
            yield name

    def files(self) -> set[str]:
        """Return the names of all files, stored and under way."""
        return {path.name for path in self._paths()}

    def delete_unlocked(self, names: set[str]) -> None:
        """Delete the files with these names, but those that a process has locked."""
        for path in self._paths():
            if path.name not in names:
                continue
            try:
                descriptor = locked(path, os.O_RDONLY)
            except OSError:  # it is being written, or gone
                continue
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)

    def delete_all(self) -> None:
        """Delete the catalogue and all files, for want of a catalogue that can be read."""
        databases = (Path(f"{self.catalogue}{suffix}") for suffix in ("", "-wal", "-shm"))
        for path in (*self._paths(), *databases):
            with contextlib.suppress(OSError):
                path.unlink()

    def _paths(self) -> list[Path]:
        paths: list[Path] = []
        for folder in (self._stored, self._parts):
            with contextlib.suppress(OSError):
                paths.extend(folder.iterdir())
        return paths


class NewFile:
    """A file of a key folder while it is written: locked, and without its name, so that nobody takes it for whole.

    Args:
        folder: where it will be.
        durable: True if it must be on the disk when it gets its name.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._name = random_name()
        self._temporary = folder / f"{TEMPORARY_PREFIX}{self._name}"
        self._descriptor = locked(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._stream = os.fdopen(self._descriptor, "wb")
        self._unflushed = 0

    def write(self, piece: bytes) -> None:
        """Append bytes; OSError if that fails."""
        self._stream.write(piece)
        self._unflushed += len(piece)
        if self._durable and self._unflushed >= FLUSH_BYTES:
            self._stream.flush()
            os.fdatasync(self._descriptor)
            self._unflushed = 0

    @contextlib.contextmanager
    def kept(self) -> Iterator[str]:
        """Give the file its name, and the name to the block, which tells the catalogue; it is locked until the block
        ends, and deleted if the block raises. OSError if the file is not on the disk; then it is deleted too."""
        try:
            self._stream.flush()
            os.fchmod(self._descriptor, 0o400)
            if self._durable:
                os.fsync(self._descriptor)
            os.rename(self._temporary, self._folder / self._name)
            if self._durable:
                _flush(self._folder)
            yield self._name
        except BaseException:
            self.drop()
            raise
        self._stream.close()

    def drop(self) -> None:
        """Delete the file, unless it was kept."""
        if self._stream.closed:
            return
        for path in (self._temporary, self._folder / self._name):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):  # what could not be written is not needed
            self._stream.close()


def random_name() -> str:
    """Return 32 hex digits that nobody can guess."""
    return random_seed().hex()[:32]


def locked(path: Path, flags: int) -> int:
    """Open a file and lock it, until it is closed; OSError if another process has it locked."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete_own(path: Path, process: int) -> None:
    """Delete a temporary folder, in the process that made it and not in a forked child."""
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


def _delete_abandoned() -> None:
    """Delete temporary key folders of processes that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY_FOLDERS}*"):
        try:
            if path.stat().st_uid != os.geteuid():
                continue
            descriptor = locked(path / _LOCK, os.O_RDWR)
        except OSError:  # in use, or just being made
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
