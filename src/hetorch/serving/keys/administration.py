"""The key folder as its owner sees it on the server's machine: listing and deleting, also while servers use it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from hetorch.errors import StorageError
from hetorch.serving.keys.catalogue import Catalogue, Entry
from hetorch.serving.keys.key_folder import KeyFolder


def list_stored(path: Path) -> list[Entry]:
    """Return what a key folder has, the least recently used first; StorageError if it is none."""
    with _opened(path) as (catalogue, _):
        return sorted(catalogue.entries(), key=lambda entry: entry.used)


def delete_stored(path: Path, *, key_id: str | None = None, tenant: str | None = None) -> list[Entry]:
    """Delete what a key folder has under a key id, of a tenant, or all if both are None; return what was deleted.

    Files are unlinked and entries overwritten. Servers find them missing at once, and their workers drop the mappings
    within seconds. StorageError if the folder is none, or cannot be written.
    """
    with _opened(path) as (catalogue, folder):
        entries = [
            entry for entry in catalogue.entries(tenant) if key_id is None or entry.slot.key_id == key_id
        ]
        catalogue.forget(entries)
        try:
            for entry in entries:
                folder.stored(entry.file).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"the deleted files in {path} cannot be unlinked: {error.strerror or error}; the next server that "
                "starts with this folder does"
            ) from error
    return entries


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Catalogue, KeyFolder]]:
    if not (path / KeyFolder.CATALOGUE).is_file():
        raise StorageError(f"{path} is not a key folder: it has no {KeyFolder.CATALOGUE}")
    catalogue = Catalogue(path / KeyFolder.CATALOGUE)
    try:
        yield catalogue, KeyFolder(path)
    finally:
        catalogue.close()
