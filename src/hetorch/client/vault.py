"""The key vault of the data owner: a private folder with one sub-folder for each parameter set.

    <vault>/                       mode 0700
      <parameter fingerprint>/     mode 0700
        seed                       32 bytes: everything secret follows from it; mode 0600
        seed.id                    the name of this seed, so that a wrong or damaged one is noticed
        shared                     the number of results decrypted for sharing, and the noise budget that they spent
        <spec>.<seed id>.<key id>.evk   evaluation keys as uploaded (not secret), kept to save making them again

The seed id is a hash of the seed under a domain of its own. It cannot be inverted, because the seed is 256 random bits,
and nothing secret is derived from it. A vault of an earlier version has no seed.id and gets one on its first use; its
evaluation keys do not name their seed, and are made again, as are those in another format version.

Files are replaced atomically and are on the disk when a call returns (`hetorch.atomic_files`): a count of shared
results must not go back when the power fails. Two processes may use a vault at once: every change holds a lock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hetorch.client.private_files import ANOTHER_FOLDER, locked, private_folder, read_private, write_private
from hetorch.engine.codec import is_of_other_version
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.random import SEED_BYTES, random_seed, wipe
from hetorch.errors import VaultError
from hetorch.params import ParameterSet
from hetorch.quantities import count_text
from hetorch.regular_files import read_regular

log = logging.getLogger("hetorch.client")
"""Tells of each new secret key. Whether there was an earlier one in a folder that is gone nobody can know."""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """Serialised evaluation keys in the vault: their id (SHA-256 of the bytes, hex), file and length in bytes."""

    key_id: str
    path: Path
    size: int

    def read(self) -> bytes:
        """Return the bytes, checked against the id; VaultError if the file was changed."""
        try:
            data = read_regular(self.path)
        except OSError as error:
            raise VaultError(
                f"the evaluation keys in {self.path} cannot be read: {error.strerror}"
            ) from error
        if hashlib.sha256(data).hexdigest() != self.key_id:
            raise VaultError(
                f"the evaluation keys in {self.path} were changed; delete the file, they are made again"
            )
        return data


@dataclass(frozen=True, slots=True)
class SharedSoFar:
    """The number of results that left the key holder, and the share of the key's noise budget that they spent.

    Noise chosen for tau results spends 1/tau for each result. The information about the key that results reveal adds
    up, as the Kullback-Leibler divergence does, so results with noise for different tau are safe together while the sum
    stays at most 1.
    """

    results: int
    spent: Fraction


def default_vault_path() -> Path:
    """Return $HETORCH_VAULT, else $XDG_DATA_HOME/hetorch/keys, else ~/.local/share/hetorch/keys.

    VaultError if none of the three is there: a user without a home folder must name one.
    """
    chosen = os.environ.get("HETORCH_VAULT")
    if chosen:
        return _expanded(chosen)
    data_home = os.environ.get("XDG_DATA_HOME")
    if data_home and Path(data_home).is_absolute():
        return Path(data_home) / "hetorch" / "keys"
    return _expanded("~/.local/share/hetorch/keys")


def spec_digest(spec: EvaluationKeySpec) -> str:
    """Return 32 hex digits that name a key spec: the beginning of the SHA-256 of its canonical JSON."""
    text = json.dumps(
        [spec.relinearisation_level, [list(pair) for pair in spec.galois]], separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Vault:
    """A vault folder, made (mode 0700) if it is missing; `path` is default_vault_path() if left out.

    VaultError if others can read the folder or it is not ours.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = _expanded(path) if path is not None else default_vault_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            private_folder(self.path)
        except OSError as error:
            raise VaultError(
                f"the vault {self.path} cannot be used: {error.strerror or error}; {ANOTHER_FOLDER}"
            ) from error

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    def has_seed(self, parameters: ParameterSet) -> bool:
        """True if the vault has a secret for these parameters."""
        return (self._folder_path(parameters) / "seed").exists()

    def seed(self, parameters: ParameterSet) -> bytes:
        """Return the 32-byte seed of the secret key for these parameters, drawn from the operating system on first use.

        VaultError if the seed that was drawn here is damaged, replaced or removed.
        """
        folder = self._folder(parameters)
        with locked(folder):
            return _checked_seed(folder)

    def find_evaluation_keys(self, parameters: ParameterSet, spec: EvaluationKeySpec) -> StoredKeys | None:
        """Return the stored evaluation keys of this spec, or None; VaultError if there are keys of another secret."""
        folder = self._folder(parameters)
        with locked(folder):
            return _find_evaluation_keys(folder, spec)

    def evaluation_keys(
        self, parameters: ParameterSet, spec: EvaluationKeySpec, make: Callable[[], bytes]
    ) -> StoredKeys:
        """Return the stored evaluation keys of this spec; if there are none, store the bytes of `make()` first.

        The folder is locked meanwhile, so that two processes make keys once: `make` may not use the vault. VaultError
        like find_evaluation_keys.
        """
        folder = self._folder(parameters)
        with locked(folder):
            stored = _find_evaluation_keys(folder, spec)
            if stored is not None:
                return stored
            own = _seed_id(folder, _checked_seed(folder))
            data = make()
            key_id = hashlib.sha256(data).hexdigest()
            path = folder / f"{spec_digest(spec)}.{own}.{key_id}.evk"
            write_private(path, data)
        return StoredKeys(key_id, path, len(data))

    def shared(self, parameters: ParameterSet) -> SharedSoFar:
        """Return the results that were decrypted for sharing with this key up to now."""
        path = self._folder(parameters) / "shared"
        if not path.exists():
            return SharedSoFar(0, Fraction(0))
        text = read_private(path).decode("ascii", "replace")
        match = re.fullmatch(r"(\d{1,18}) (\d{1,4000})/(\d{1,4000})\n", text)
        if match is None or int(match[3]) == 0:
            raise VaultError(f"the record of shared decryptions in {path} is damaged: {text[:40]!r}")
        return SharedSoFar(int(match[1]), Fraction(int(match[2]), int(match[3])))

    def record_shared(self, parameters: ParameterSet, queries: int) -> SharedSoFar:
        """Count one result whose noise is chosen for `queries` results in all, on disk and before it is decrypted.

        VaultError if this would spend more than the whole budget of the key.
        """
        folder = self._folder(parameters)
        with locked(folder):
            before = self.shared(parameters)
            after = SharedSoFar(before.results + 1, before.spent + Fraction(1, queries))
            if after.spent > 1:
                raise VaultError(
                    f"{before.results} results of this key were shared, which leaves {float(1 - before.spent):.3g} of "
                    f"its noise budget; one more with noise for {queries} results is too much: choose more queries, "
                    "or a new vault and with it a new key"
                )
            spent = after.spent
            write_private(
                folder / "shared", f"{after.results} {spent.numerator}/{spent.denominator}\n".encode()
            )
        return after

    def _folder_path(self, parameters: ParameterSet) -> Path:
        return self.path / parameters.fingerprint().hex()

    def _folder(self, parameters: ParameterSet) -> Path:
        path = self._folder_path(parameters)
        private_folder(path)
        return path


def _expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with its ~ expanded; VaultError if that user has no home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise VaultError(f"the vault {path} cannot be found: {error}; {ANOTHER_FOLDER}") from None


def _checked_seed(folder: Path) -> bytes:
    """Return the seed of a locked folder, drawn (and told in the log) if there is none; VaultError unless it is the one
    of seed.id."""
    path, record = folder / "seed", folder / "seed.id"
    if not path.exists():
        if record.exists():
            raise VaultError(
                f"the secret {path} is gone; put it back from a copy, or delete the folder {folder} for a new key: "
                "what was encrypted under the old one is then lost"
            )
        drawn = random_seed()
        write_private(path, drawn)
        wipe(drawn)
        log.warning(
            "made a new secret key in %s: keep this folder, without it results cannot be read; this key reads nothing "
            "that was encrypted under an earlier one",
            folder,
        )
    seed = read_private(path)
    if len(seed) != SEED_BYTES:
        raise VaultError(
            f"the secret in {path} has {count_text(len(seed), 'byte')} instead of {SEED_BYTES}; the file is damaged"
        )
    own = _seed_id(folder, seed)
    if not record.exists():  # a new seed, or a vault of an earlier version
        write_private(record, f"{own}\n".encode())
    elif not hmac.compare_digest(read_private(record), f"{own}\n".encode()):
        raise VaultError(
            f"the secret in {path} is not the one that {record} belongs to: one of the files was damaged or replaced; "
            f"put both back from a copy, or delete the folder {folder} for a new key: what was encrypted under the "
            "old one is then lost"
        )
    return seed


def _seed_id(folder: Path, seed: bytes) -> str:
    """Return 32 hex digits that name a seed of the parameters after which the folder is named."""
    return hashlib.sha256(b"hetorch vault seed id\0" + folder.name.encode() + b"\0" + seed).hexdigest()[:32]


def _is_of_other_version(path: Path) -> bool:
    try:
        return is_of_other_version(read_regular(path, 5))
    except OSError as error:
        raise VaultError(f"the evaluation keys in {path} cannot be read: {error.strerror}") from error


def _find_evaluation_keys(folder: Path, spec: EvaluationKeySpec) -> StoredKeys | None:
    """Return the keys of a spec in a locked folder, after checking that all keys of the spec belong to its secret."""
    if not any((folder / name).exists() for name in ("seed", "seed.id")) and not any(folder.glob("*.evk")):
        return None
    own = _seed_id(folder, _checked_seed(folder))
    stored = None
    for path in sorted(folder.glob(f"{spec_digest(spec)}.*.evk")):
        names = path.name.split(".")
        if len(names) != 4 or _is_of_other_version(path):
            # An earlier version did not name the secret, or wrote other bytes: the keys are made again.
            path.unlink(missing_ok=True)
        elif names[1] != own:
            raise VaultError(
                f"the evaluation keys in {path} were made with another secret than {folder / 'seed'}; delete the file "
                "(keys are made again), or put back the secret that it belongs to"
            )
        else:
            stored = stored or StoredKeys(names[2], path, path.stat().st_size)
    return stored
