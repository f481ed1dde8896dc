"""Files that inspection writes for other programs: drawings, graphs, timelines."""

from __future__ import annotations

import os
from pathlib import Path

from hetorch.atomic_files import open_atomically
from hetorch.errors import StorageError


def save_file(path: str | os.PathLike[str], content: bytes, *, mode: int) -> None:
    """Write a file whole or not at all; ~ is the home folder, a link is followed, a device or a pipe written as it is.

    Args:
        path: the file, which is replaced if it is there.
        content: the bytes.
        mode: hetorch.atomic_files.PRIVATE for values that only the user may read, else SHARED.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        target = Path(path).expanduser()
        # Not resolved: /dev/stdout of a pipeline leads to a name that is no file.
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(content)
            return
        with open_atomically(target.resolve(), mode=mode) as file:
            file.write(content)
    except (
        OSError,
        RuntimeError,
    ) as error:  # RuntimeError: no home folder, or a circle of links before Python 3.13
        raise StorageError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
