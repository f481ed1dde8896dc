"""The rows of a sweep in a folder: a file for each configuration, named by the digest of all that decides about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hetorch.atomic_files import SHARED, write_atomically
from hetorch.errors import StorageError
from hetorch.inspect.sweeps.row import Row, row_from_bytes

MAX_BYTES = 1 << 20
"""Size in bytes above which a file is refused before it is parsed; ours take a kilobyte or two."""
NAME_DIGITS = 32
"""Digits of the digest in a file's name. Fewer would let two configurations meet by chance."""


@dataclass(frozen=True, slots=True)
class Store:
    """The folder `path`, which is made when the first row is written."""

    path: Path

    def read(self, key: str) -> Row | None:
        """Return the row of a digest; None if there is none. StorageError if it cannot be read."""
        file = self._file(key)
        try:
            return _read(file) if file.exists() else None
        except OSError as error:
            raise StorageError(f"cannot read {file}: {error.strerror or error}") from None

    def write(self, key: str, row: Row) -> None:
        """Write the row of a digest whole or not at all. StorageError if that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(key), row.to_bytes(), mode=SHARED)
        except OSError as error:
            raise StorageError(
                f"cannot write the results of the sweep to {self.path}: {error.strerror or error}; give a folder that "
                "can be written"
            ) from None

    def rows(self) -> list[Row]:
        """Return all rows of the folder, in the order of their options. StorageError if one cannot be read."""
        if not self.path.is_dir():
            raise StorageError(
                f"there is no folder {self.path}; hetorch.inspect.sweep(..., folder=...) makes one"
            )
        files = sorted(self.path.glob("*.json"))
        try:
            found = [_read(file) for file in files]
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror or error}") from None
        return sorted(found, key=_order)

    def _file(self, key: str) -> Path:
        return self.path / f"{key[:NAME_DIGITS]}.json"


def open_store(folder: str | os.PathLike[str] | None) -> Store | None:
    """Return the store in `folder`, None without one; StorageError if it is a file."""
    if folder is None:
        return None
    path = Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        raise StorageError(
            f"folder={str(folder)!r} is a file; the results of a sweep are written to a folder"
        )
    return Store(path)


def _read(file: Path) -> Row:
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise StorageError(f"{file} is too large for a row of a sweep; delete it")
    return row_from_bytes(data, str(file))


def _order(row: Row) -> tuple[object, ...]:
    """Return a key by which rows are sorted: numbers before text, both before None."""
    values = (
        (2, "", 0.0) if value is None else (1, value, 0.0) if isinstance(value, str) else (0, "", value)
        for value in row.options.values()
    )
    return (row.study, *sorted(row.options), *values)
