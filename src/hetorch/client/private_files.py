"""Folders and files that only their owner may use: modes 0700 and 0600, checked at each use. Every failure is a
VaultError."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hetorch.atomic_files import PRIVATE, TEMPORARY_PREFIX, flush_folder, write_atomically
from hetorch.errors import VaultError
from hetorch.regular_files import open_regular

MAX_BYTES = 1 << 20
"""Most bytes that are read of a private file; a larger one is no file of a vault."""
ANOTHER_FOLDER = "give a folder that only you can use and that stays: vault= or the variable HETORCH_VAULT"
"""What to do where the vault's folder cannot be used. There is no folder to fall back to: one that does not stay would
lose the key."""


def private_folder(path: Path) -> None:
    """Make the folder (mode 0700) if it is missing; VaultError if others can use it or it is not ours."""
    try:
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # the umask cuts mkdir's mode, and may take our own rights away
    except FileExistsError:
        pass
    except OSError as error:
        raise VaultError(f"the folder {path} cannot be made: {error.strerror}; {ANOTHER_FOLDER}") from error
    try:
        status = os.stat(path)
    except OSError as error:
        raise VaultError(f"the folder {path} cannot be used: {error.strerror}; {ANOTHER_FOLDER}") from error
    _check_private(path, status, folder=True)


def read_private(path: Path) -> bytes:
    """Read a file; VaultError if others can read it, it is not ours, or it is a symbolic link."""
    try:
        with open_regular(path, follow=False) as file:
            _check_private(path, os.fstat(file.fileno()), folder=False)
            return file.read(MAX_BYTES)
    except OSError as error:
        raise VaultError(f"{path} cannot be read: {error.strerror}") from error


def write_private(path: Path, data: bytes) -> None:
    """Replace a file (mode 0600) whole or not at all; it is on the disk when the call returns."""
    try:
        write_atomically(path, data, mode=PRIVATE)
    except OSError as error:
        raise VaultError(f"{path} cannot be written: {error.strerror}; {ANOTHER_FOLDER}") from error


def write_named(folder: Path, pieces: Iterator[bytes], name: Callable[[], str]) -> Path:
    """Write a file (mode 0600) of a locked folder, one piece after the other; return its path.

    It has its `name`, which is asked for after the last piece, only when it is whole and on the disk. VaultError if it
    cannot be written; an error of `pieces` leaves no file.
    """
    temporary = folder / f"{TEMPORARY_PREFIX}unnamed"
    try:
        try:
            write_atomically(temporary, pieces, mode=PRIVATE)
            path = folder / name()
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_folder(folder)
    except OSError as error:
        raise VaultError(f"{folder} cannot be written: {error.strerror}; {ANOTHER_FOLDER}") from error
    return path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder until the block ends; other processes and threads wait for it.

    Every change of the folder holds it, so a temporary file that is there already was left by a process that was
    killed: it is deleted. VaultError if the folder cannot be written.
    """
    path = folder / ".lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise VaultError(
            f"the vault's folder {folder} cannot be used: {error.strerror}; {ANOTHER_FOLDER}"
        ) from error
    try:
        _check_private(path, os.fstat(descriptor), folder=False)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for left in folder.glob(f"{TEMPORARY_PREFIX}*"):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise VaultError(f"the vault's folder {folder} cannot be used: {error.strerror}") from error
        yield
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result, *, folder: bool) -> None:
    is_right_kind = stat.S_ISDIR if folder else stat.S_ISREG
    if not is_right_kind(status.st_mode):
        raise VaultError(f"{path} is not a {'folder' if folder else 'regular file'}; it cannot hold keys")
    if status.st_uid != os.geteuid():
        raise VaultError(
            f"{path} belongs to user {status.st_uid}, not to you ({os.geteuid()}); choose another vault"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        wanted = "700" if folder else "600"
        raise VaultError(
            f"{path} has mode {mode:03o}, so others may read your keys; run: chmod {wanted} {path}"
        )
