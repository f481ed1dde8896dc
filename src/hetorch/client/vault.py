"""The key vault of the data owner: a private folder with one sub-folder for each parameter set.

    <vault>/                       mode 0700
      key                          in a sealed vault, the wrapped key under which its seeds are (`sealing`)
      <parameter fingerprint>/     mode 0700
        seed                       32 bytes, sealed or in clear: everything secret follows from it; mode 0600
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
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hetorch.client.private_files import (
    ANOTHER_FOLDER,
    locked,
    private_folder,
    read_private,
    write_named,
    write_private,
)
from hetorch.client.sealing import KeyWrap, PassphraseWrap, Seal, WrappedKey
from hetorch.client.seed_file import checked_seed, discard_seed, seed_id
from hetorch.engine.codec import is_of_other_version
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.random import wipe
from hetorch.errors import InputError, VaultError
from hetorch.params import ParameterSet
from hetorch.regular_files import open_regular, read_regular

KEY = "key"
"""The file with the wrapped key of a sealed vault."""
PASSPHRASE_VARIABLE = "HETORCH_VAULT_PASSPHRASE"
"""The environment variable with the passphrase, where none is given."""
_FOLDER = re.compile(r"[0-9a-f]{64}")
"""The name of a folder of parameters: their fingerprint."""
_PIECE_BYTES = 1 << 20
"""Bytes of a file that are read and hashed at a time."""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """Serialised evaluation keys in the vault: their id (SHA-256 of the bytes, hex), file and length in bytes."""

    key_id: str
    path: Path
    size: int

    def check(self) -> None:
        """Compare the file with the id, piece by piece; VaultError if it was changed."""
        digest = hashlib.sha256()
        try:
            with open_regular(self.path) as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except OSError as error:
            raise VaultError(
                f"the evaluation keys in {self.path} cannot be read: {error.strerror}"
            ) from error
        if digest.hexdigest() != self.key_id:
            raise VaultError(
                f"the evaluation keys in {self.path} were changed; delete the file, they are made again"
            )


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
    text = json.dumps(spec.canonical(), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Vault:
    """A vault folder, made (mode 0700) if it is missing. Its seeds may be encrypted (sealed).

    Args:
        path: the folder; default_vault_path() if left out.
        passphrase: opens a sealed vault, and seals one that has no seed yet; that of the environment's
            HETORCH_VAULT_PASSPHRASE if left out.
        wrap: a KeyWrap in place of a passphrase: the vault's key is wrapped by a key management service, say.

    Raises:
        VaultError: others can read the folder or it is not ours; the passphrase is missing or wrong; or there is one,
            and the vault has seeds in clear (`protect`).
        InputError: both a passphrase and a KeyWrap are given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        passphrase: str | None = None,
        wrap: KeyWrap | None = None,
    ) -> None:
        if passphrase is not None and wrap is not None:
            raise InputError("give a vault passphrase= or wrap=, not both")
        self.path = _expanded(path) if path is not None else default_vault_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            private_folder(self.path)
        except OSError as error:
            raise VaultError(
                f"the vault {self.path} cannot be used: {error.strerror or error}; {ANOTHER_FOLDER}"
            ) from error
        if passphrase is None and wrap is None:
            passphrase = os.environ.get(PASSPHRASE_VARIABLE) or None
        self._seal = self._open(PassphraseWrap(passphrase) if passphrase is not None else wrap)

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    @property
    def is_sealed(self) -> bool:
        """True if the seeds are encrypted."""
        return self._seal is not None

    def close(self) -> None:
        """Wipe the key of a sealed vault from memory; the object cannot be used for secrets again."""
        if self._seal is not None:
            self._seal.close()

    def protect(self, *, passphrase: str | None = None, wrap: KeyWrap | None = None) -> None:
        """Encrypt the seeds of a vault in clear, or change the passphrase or KeyWrap of an open one.

        A seed that was in clear is replaced; the disk and backups may still have the old file. VaultError if the vault
        cannot be written, InputError unless exactly one of the two is given.
        """
        if (passphrase is None) == (wrap is None):
            raise InputError("give a passphrase= or wrap=, and not both")
        chosen = wrap if passphrase is None else PassphraseWrap(passphrase)
        assert chosen is not None
        with locked(self.path):
            seal = self._seal or Seal.new()
            write_private(self.path / KEY, seal.wrapped_by(chosen).to_bytes())
            self._seal = seal
        for folder in self._folders():
            with locked(folder):
                if (folder / "seed").exists():
                    wipe(checked_seed(folder, seal))

    def _open(self, wrap: KeyWrap | None) -> Seal | None:
        """Return the key of a sealed vault, or of one that is sealed now since it has no seed; None for one in
        clear."""
        path = self.path / KEY
        if not path.exists() and wrap is None:
            return None
        with locked(self.path):
            if path.exists():
                if wrap is None:
                    raise VaultError(
                        f"the vault {self.path} is sealed: give passphrase= (or wrap=) of Vault, or the variable "
                        f"{PASSPHRASE_VARIABLE} (--passphrase-file)"
                    )
                try:
                    return Seal.opened(WrappedKey.from_bytes(read_private(path)), wrap)
                except VaultError as error:
                    raise VaultError(f"the vault {self.path} cannot be opened: {error}") from None
            assert wrap is not None
            if any((folder / "seed").exists() for folder in self._folders()):
                raise VaultError(
                    f"the vault {self.path} has secrets in clear, and a passphrase was given; encrypt them with "
                    "Vault(path).protect(passphrase=...) (hetorch vault protect), or leave the passphrase out"
                )
            seal = Seal.new()
            write_private(path, seal.wrapped_by(wrap).to_bytes())
            return seal

    def _folders(self) -> list[Path]:
        """Return the folders of parameter sets."""
        return sorted(path for path in self.path.iterdir() if _FOLDER.fullmatch(path.name) and path.is_dir())

    def has_seed(self, parameters: ParameterSet) -> bool:
        """True if the vault has a secret for these parameters."""
        return (self._folder_path(parameters) / "seed").exists()

    def seed(self, parameters: ParameterSet) -> bytes:
        """Return the 32-byte seed of the secret key for these parameters, drawn from the operating system on first use.

        VaultError if the seed that was drawn here is damaged, replaced or removed.
        """
        folder = self._folder(parameters)
        with locked(folder):
            return checked_seed(folder, self._seal)

    def replace_seed(self, parameters: ParameterSet) -> None:
        """Throw the secret key for these parameters away, with all that belongs to it, and draw a new one.

        What was encrypted under the old key is lost, and so are the evaluation keys of all plans with these parameters;
        the new key has a whole budget for shared results.
        """
        folder = self._folder(parameters)
        with locked(folder):
            discard_seed(folder)
            wipe(checked_seed(folder, self._seal))

    def find_evaluation_keys(self, parameters: ParameterSet, spec: EvaluationKeySpec) -> StoredKeys | None:
        """Return the stored evaluation keys of this spec, or None; VaultError if there are keys of another secret."""
        folder = self._folder(parameters)
        with locked(folder):
            return _find_evaluation_keys(folder, spec, self._seal)

    def evaluation_keys(
        self, parameters: ParameterSet, spec: EvaluationKeySpec, make: Callable[[], Iterable[bytes]]
    ) -> StoredKeys:
        """Return the stored evaluation keys of this spec; if there are none, store the pieces of `make()` first, each
        as it comes.

        The folder is locked meanwhile, so that two processes make keys once: `make` may not use the vault. VaultError
        like find_evaluation_keys.
        """
        folder = self._folder(parameters)
        with locked(folder):
            stored = _find_evaluation_keys(folder, spec, self._seal)
            if stored is not None:
                return stored
            own = seed_id(folder, checked_seed(folder, self._seal))
            digest = hashlib.sha256()
            size = 0

            def pieces() -> Iterator[bytes]:
                nonlocal size
                for piece in make():
                    digest.update(piece)
                    size += len(piece)
                    yield piece

            path = write_named(
                folder, pieces(), lambda: f"{spec_digest(spec)}.{own}.{digest.hexdigest()}.evk"
            )
        return StoredKeys(digest.hexdigest(), path, size)

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


def _is_of_other_version(path: Path) -> bool:
    try:
        return is_of_other_version(read_regular(path, 5))
    except OSError as error:
        raise VaultError(f"the evaluation keys in {path} cannot be read: {error.strerror}") from error


def _find_evaluation_keys(folder: Path, spec: EvaluationKeySpec, seal: Seal | None) -> StoredKeys | None:
    """Return the keys of a spec in a locked folder, after checking that all keys of the spec belong to its secret."""
    if not any((folder / name).exists() for name in ("seed", "seed.id")) and not any(folder.glob("*.evk")):
        return None
    own = seed_id(folder, checked_seed(folder, seal))
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
