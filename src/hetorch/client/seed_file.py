"""The seed of one folder of a vault: drawn, read, checked against its name, sealed and thrown away."""

from __future__ import annotations

import hashlib
import hmac
import logging
from pathlib import Path

from hetorch.client.private_files import read_private, write_private
from hetorch.client.sealing import SEALED, Seal, is_sealed
from hetorch.engine.random import SEED_BYTES, random_seed, wipe
from hetorch.errors import VaultError
from hetorch.quantities import count_text

log = logging.getLogger("hetorch.client")
"""Tells of each new secret key. Whether there was an earlier one in a folder that is gone nobody can know."""


def checked_seed(folder: Path, seal: Seal | None) -> bytes:
    """Return the seed of a locked folder, drawn (and told in the log) if there is none.

    A seed in clear is sealed if the vault has a seal. VaultError unless it is the seed of seed.id, or if it is sealed
    and the vault is not open.
    """
    path, record = folder / "seed", folder / "seed.id"
    if not path.exists():
        if record.exists():
            raise VaultError(
                f"the secret {path} is gone; put it back from a copy, or delete the folder {folder} for a new key: "
                "what was encrypted under the old one is then lost"
            )
        drawn = random_seed()
        write_seed(folder, drawn, seal)
        wipe(drawn)
        log.warning(
            "made a new secret key in %s: keep this folder, without it results cannot be read; this key reads nothing "
            "that was encrypted under an earlier one",
            folder,
        )
    seed = _read_seed(folder, seal)
    own = seed_id(folder, seed)
    if not record.exists():  # a new seed, or a vault of an earlier version
        write_private(record, f"{own}\n".encode())
    elif not hmac.compare_digest(read_private(record), f"{own}\n".encode()):
        raise VaultError(
            f"the secret in {path} is not the one that {record} belongs to: one of the files was damaged or replaced; "
            f"put both back from a copy, or delete the folder {folder} for a new key: what was encrypted under the "
            "old one is then lost"
        )
    return seed


def write_seed(folder: Path, seed: bytes, seal: Seal | None) -> None:
    """Write the seed of a locked folder, sealed if the vault has a seal."""
    write_private(folder / "seed", seed if seal is None else seal.encrypt(seed, folder.name))


def discard_seed(folder: Path) -> None:
    """Delete everything that belongs to the seed of a locked folder: its name, its keys, its count of shared results.

    The seed's file is overwritten first, which reaches the disk's own copies only where the file system writes in
    place. The count goes last: a seed that is still there must keep it.
    """
    path = folder / "seed"
    try:
        if path.exists():
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
        for left in (*folder.glob("*.evk"), path, folder / "seed.id", folder / "shared"):
            left.unlink(missing_ok=True)
    except OSError as error:
        raise VaultError(f"the old key in {folder} cannot be deleted: {error.strerror}") from error


def seed_id(folder: Path, seed: bytes) -> str:
    """Return 32 hex digits that name a seed of the parameters after which the folder is named."""
    return hashlib.sha256(b"hetorch vault seed id\0" + folder.name.encode() + b"\0" + seed).hexdigest()[:32]


def _read_seed(folder: Path, seal: Seal | None) -> bytes:
    path = folder / "seed"
    data = read_private(path)
    if is_sealed(data):
        if seal is None:
            raise VaultError(f"the secret in {path} is sealed, and the vault's file key is gone; put it back")
        try:
            return seal.decrypt(data, folder.name)
        except VaultError as error:
            raise VaultError(f"the secret in {path} cannot be opened: {error}") from None
    if len(data) != SEED_BYTES or data.startswith(SEALED):
        raise VaultError(
            f"the secret in {path} has {count_text(len(data), 'byte')} instead of {SEED_BYTES}; the file is damaged"
        )
    if seal is not None:  # the vault was sealed later
        write_seed(folder, data, seal)
    return data
