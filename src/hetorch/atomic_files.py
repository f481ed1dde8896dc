"""Atomic writes: a file is replaced completely or not at all, and is on the disk when the call returns.

The content goes to a temporary file in the same folder, which is flushed (fsync) and renamed to its target; then the
folder is flushed. A reader therefore sees the old or the new content and never a part, and a power failure after the
call cannot bring the old content back. Errors stay OSError, because only the caller knows the purpose of the file and
can write a useful message.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
"""Mode of a file that only its owner may read."""
SHARED = 0o666
"""Mode of a file that others may read as far as the umask allows, like any new file."""
TEMPORARY_PREFIX = ".new-"
"""Prefix of the names of temporary files. A killed process may leave one behind, which may be deleted."""


@contextmanager
def open_atomically(path: str | os.PathLike[str], *, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` when the block ends, or is deleted if the block raises.

    A symbolic link at `path` is replaced, not followed; resolve the path first to write through it. If several writers
    replace a file at once, each of them writes a complete file, and the last one stays.

    Args:
        path: the target; its folder must exist.
        mode: permission bits of the new file, less those that the umask removes. The bits of an existing file at `path`
            have no effect.

    Raises:
        OSError: the file cannot be created, written, flushed or renamed, and the old file stays as it was; or flushing
            the folder failed, and the new file is in its place; or `path` is a device, a pipe or a socket, which would
            be lost, as /dev/null is for a user who may write to /dev.
    """
    target = Path(path)
    _refuse_special_file(target)
    # The name is random because others may create files in a folder such as /tmp: nobody can put a link there first.
    temporary = target.with_name(TEMPORARY_PREFIX + os.urandom(8).hex())
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(target.parent)


def write_atomically(
    path: str | os.PathLike[str],
    content: bytes | bytearray | memoryview | Iterable[bytes],
    *,
    mode: int = PRIVATE,
) -> int:
    """Replace the file `path` by `content`, which is bytes or chunks that are written one after the other.

    Args:
        path: the target, as for open_atomically.
        content: the bytes; an exception of the iterator leaves the old file as it was.
        mode: permission bits, as for open_atomically.

    Returns:
        The number of bytes written.

    Raises:
        OSError: as open_atomically.
    """
    chunks = (content,) if isinstance(content, bytes | bytearray | memoryview) else content
    with open_atomically(path, mode=mode) as file:
        for chunk in chunks:
            file.write(chunk)
        return file.tell()


def _refuse_special_file(target: Path) -> None:
    """Raise OSError if `target` is there and is neither a file, a folder nor a link."""
    try:
        mode = target.lstat().st_mode
    except OSError:  # what is wrong with the path is told when the temporary file is opened
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        raise OSError(errno.EEXIST, "it is a device, a pipe or a socket, and would be lost", str(target))


def flush_folder(folder: Path) -> None:
    """Flush a folder, which holds the name of a renamed file; flushing the file itself does not (Linux, fsync(2))."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that may be written but not read cannot be flushed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without flushing of folders
            raise
    finally:
        os.close(descriptor)
