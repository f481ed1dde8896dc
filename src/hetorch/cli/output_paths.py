"""Checks of the places where a verb will write, before it works for minutes."""

from __future__ import annotations

import os
from pathlib import Path

from hetorch.errors import StorageError


def check_file(path: Path | None) -> None:
    """Raise StorageError unless a file can be written at `path`, as far as its folder tells; None is no file."""
    if path is None:
        return
    if path.is_dir():
        raise StorageError(f"cannot write {path}: it is a folder; name a file")
    if not path.exists():
        _check_folder(path, path.absolute().parent)


def check_plan_folder(path: Path) -> None:
    """Raise StorageError unless a plan can be written to the folder `path`, which need not exist."""
    if path.exists() and not path.is_dir():
        raise StorageError(
            f"cannot write the plan to {path}: it is a file; name a folder, such as net.hetorch"
        )
    _check_folder(
        path, next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    )


def _check_folder(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise StorageError(
            f"cannot write {path}: there is no folder {folder}; make it, or choose another place"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write {path}: you may not write to {folder}; choose another place")
