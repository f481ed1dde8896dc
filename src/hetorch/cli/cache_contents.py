"""What hetorch keeps on this machine: where it is, how large it is, and what it saves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hetorch.atomic_files import TEMPORARY_PREFIX
from hetorch.errors import HetorchError, InputError
from hetorch.quantities import count_text
from hetorch.regular_files import read_regular

SMALLEST_LEFTOVER_AGE = 3600.0
"""Seconds after which a temporary file counts as left behind by a process that was killed. Raised, fewer are cleared;
a file that is being written, such as large evaluation keys, takes far less."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of thing that is kept.

    kind       its name, as `hetorch cache clear` takes it
    place      the folder or file; a sentence if there is none
    files      the files that it consists of
    size       their size in bytes
    content    what there is, in words
    saves      what it saves; empty if there never is any
    loss       what is lost when it is cleared; empty if it is not cleared by this command
    by_default True if it is cleared when no kind is named
    """

    kind: str
    place: str
    files: tuple[Path, ...]
    size: int
    content: str
    saves: str
    loss: str = ""
    by_default: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data, without the list of files."""
        return {
            "kind": self.kind,
            "place": self.place,
            "files": len(self.files),
            "bytes": self.size,
            "content": self.content,
            "saves": self.saves,
            "lost_by_clearing": self.loss or None,
            "cleared_by_default": self.by_default,
        }


def kept_things(vault: Path | None, key_folder: Path | None) -> tuple[Kept, ...]:
    """Return every kind, those of which there is nothing too.

    Args:
        vault: the folder of the key vault; the default one if it is None. It is not made, and nothing in it is read but
            the names and sizes of its files.
        key_folder: the folder of `hetorch serve --key-folder`; None if it is not known.
    """
    return (
        _tuned(),
        _contexts(),
        *_vault(vault),
        _uploads(key_folder),
    )


def _tuned() -> Kept:
    """Return the tuned constants, and temporary files beside them."""
    from hetorch.compiler.costs.machine import default_path, load_machine

    saves = "the 20 seconds of hetorch tune; with them compile predicts times of this machine and chooses by these"
    loss = "plans that are compiled later are chosen by default constants, until hetorch tune measures again"
    path = default_path()
    if path is None:
        return Kept("tuning", "no place: this user has no home folder", (), 0, "nothing", saves)
    files = [path] if path.is_file() and _is_tuning(path) else []
    files += _leftovers(path.parent)
    try:
        machine = load_machine()
        rings = count_text(len(machine.times), "ring")
        content = "nothing" if machine.label == "default" else f"constants of {rings} ({machine.name})"
    except HetorchError as error:
        content = f"constants that cannot be used: {error}"
    return Kept("tuning", str(path), tuple(files), _size(files), content, saves, loss, by_default=True)


def _is_tuning(path: Path) -> bool:
    """Return True for the file in hetorch's own folder; one that the user named must say that it is hetorch's."""
    from hetorch.compiler.costs.machine import FORMAT, MAX_BYTES

    if not os.environ.get("HETORCH_TUNING"):
        return True
    try:
        data = json.loads(read_regular(path)) if path.stat().st_size <= MAX_BYTES else None
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get("format") == FORMAT


def _contexts() -> Kept:
    return Kept(
        "contexts",
        "nowhere: each process makes the tables of its rings and encodes the weights of its plans anew",
        (),
        0,
        "nothing",
        "",
    )


def _vault(vault: Path | None) -> tuple[Kept, Kept]:
    """Return the secret keys and the evaluation keys of the data owner."""
    from hetorch.client.vault import default_vault_path
    from hetorch.errors import VaultError

    secret_saves = "what only they can do: reading results"
    saves = "making the keys again (seconds) and uploading them again"
    try:
        path = vault.expanduser() if vault is not None else default_vault_path()
    except (VaultError, RuntimeError):
        place = "no place: this user has no home folder"
        return (
            Kept("secret-keys", place, (), 0, "nothing", secret_saves),
            Kept("evaluation-keys", place, (), 0, "nothing", saves),
        )
    secrets = _files(path, lambda file: file.name in ("seed", "seed.id", "shared"))
    public = _files(path, lambda file: file.suffix == ".evk")
    seeds = sum(file.name == "seed" for file in secrets)
    return (
        Kept(
            "secret-keys",
            str(path),
            tuple(secrets),
            _size(secrets),
            count_text(seeds, "secret key") if seeds else "nothing",
            secret_saves,
        ),
        Kept(
            "evaluation-keys",
            str(path),
            tuple(public),
            _size(public),
            f"keys for {count_text(len(public), 'plan')}" if public else "nothing",
            saves,
            "the next prediction makes new keys and uploads them; weights that a model owner encrypted for the old "
            "ones must be encrypted and uploaded again",
        ),
    )


def _uploads(folder: Path | None) -> Kept:
    """Return what clients uploaded to a server on this machine."""
    saves = "uploading again after the server was started anew"
    if folder is None:
        place = "in the memory of a running server, or the folder of hetorch serve --key-folder"
        return Kept("uploads", place, (), 0, "not known; --key-folder DIR shows it", saves)
    if not folder.is_dir():
        raise InputError(f"there is no key folder {folder}; give that of hetorch serve --key-folder")
    files = _files(folder, lambda file: file.suffix in (".evk", ".weights"))
    content = f"{count_text(len(files), 'upload')} of clients" if files else "nothing"
    return Kept("uploads", str(folder), tuple(files), _size(files), content, saves)


def _files(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the wanted files below a folder, in order; none if it is missing. Links are not followed.

    Raises:
        InputError: the folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error

    if not os.path.isdir(folder):
        return []
    return sorted(
        path
        for parent, _, names in os.walk(folder, onerror=refuse)
        for path in (Path(parent, name) for name in names)
        if wanted(path) and not path.is_symlink()
    )


def _leftovers(folder: Path) -> Iterator[Path]:
    """Yield the temporary files of killed processes in hetorch's own cache folder."""
    import time

    if os.environ.get("HETORCH_TUNING") or not folder.is_dir():
        return
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_file() and time.time() - path.stat().st_mtime > SMALLEST_LEFTOVER_AGE:
            yield path


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.exists())
