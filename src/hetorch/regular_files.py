"""Files that users name, opened for reading only if they are regular files.

Opening a pipe waits for someone who writes, and a device may give bytes for ever; both are refused at once.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: str | os.PathLike[str], *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading bytes.

    Args:
        path: the file.
        follow: False to refuse a symbolic link.

    Raises:
        OSError: the file cannot be opened, or is a folder, a pipe, a socket or a device.
    """
    # Without O_NONBLOCK the call would wait for a pipe's writer; for a regular file the flag has no effect.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        _check(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Return the bytes of a regular file, at most `most` of them; OSError as open_regular."""
    with open_regular(path) as file:
        return file.read() if most is None else file.read(most)


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise OSError if something is at `path` that is neither a regular file nor a folder.

    For files that another package opens by their names. A file that is not there is left to it.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        _check(status, path)


def _check(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(Path(path)))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(
            errno.EINVAL, "it is a pipe, a socket or a device, and no regular file", str(Path(path))
        )
