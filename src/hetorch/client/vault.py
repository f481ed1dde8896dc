"""The key vault of the data owner: a private folder with one sub-folder a parameter set.

    <vault>/                       mode 0700
      <parameter fingerprint>/     mode 0700
        seed                       32 bytes: everything secret follows from it; mode 0600
        seed.id                    what tells this seed from others, so that a wrong or damaged one is noticed
        shared                     results decrypted for sharing, and the noise budget that they spent
        <spec>.<seed id>.<key id>.evk   evaluation keys as uploaded (not secret), kept to save making them again

The seed id is a hash of the seed under a domain of its own: it cannot be turned round, the seed being 256 random
bits, and nothing that is secret is derived from it. A vault of an earlier version has no seed.id; it gets one on its
first use. Its evaluation keys do not tell their seed, and are made again.

Every file is written beside its place, flushed and renamed, and its folder flushed: a reader sees the old or the new
one and never half, and after a failure of power the new one is there if the call had returned.
Two processes may use a vault at once: what changes it holds a lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.random import SEED_BYTES, random_seed
from hetorch.errors import VaultError
from hetorch.params import ParameterSet


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """Serialised evaluation keys in the vault: their id (SHA-256 of the bytes, hex) and where they are."""

    key_id: str
    path: Path
    size: int

    def read(self) -> bytes:
        """The bytes, checked against the id; VaultError if the file was changed."""
        try:
            data = self.path.read_bytes()
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
    """Results that left the key holder, and the share of the key's noise budget that they spent.

    Noise chosen for tau results spends 1/tau for each: what results reveal about the key adds up (the
    Kullback-Leibler divergence does), so mixed choices are safe together while the sum stays at most 1.
    """

    results: int
    spent: Fraction


def default_vault_path() -> Path:
    """HETORCH_VAULT, else $XDG_DATA_HOME/hetorch/keys, else ~/.local/share/hetorch/keys."""
    chosen = os.environ.get("HETORCH_VAULT")
    if chosen:
        return Path(chosen).expanduser()
    data_home = os.environ.get("XDG_DATA_HOME")
    base = (
        Path(data_home) if data_home and Path(data_home).is_absolute() else Path.home() / ".local" / "share"
    )
    return base / "hetorch" / "keys"


def spec_digest(spec: EvaluationKeySpec) -> str:
    """32 hex digits that name a key spec: SHA-256 of its canonical JSON."""
    text = json.dumps(
        [spec.relinearisation_level, [list(pair) for pair in spec.galois]], separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Vault:
    """A vault folder, made (mode 0700) if it is absent. VaultError if others can read it or it is not ours."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path).expanduser() if path is not None else default_vault_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _private_folder(self.path)
        except OSError as error:
            raise VaultError(f"the vault {self.path} cannot be used: {error.strerror or error}") from error

    def has_seed(self, parameters: ParameterSet) -> bool:
        """Whether a secret exists for these parameters."""
        return (self._folder_path(parameters) / "seed").exists()

    def seed(self, parameters: ParameterSet) -> bytes:
        """The 32-byte seed of the secret key for these parameters, drawn from the operating system on first use.

        VaultError if it is not the seed that was drawn here: damaged, replaced or removed.
        """
        folder = self._folder(parameters)
        with _locked(folder):
            return _checked_seed(folder)

    def find_evaluation_keys(self, parameters: ParameterSet, spec: EvaluationKeySpec) -> StoredKeys | None:
        """The stored evaluation keys of this spec, or None; VaultError if there are some of another secret."""
        folder = self._folder(parameters)
        with _locked(folder):
            return _find_evaluation_keys(folder, spec)

    def evaluation_keys(
        self, parameters: ParameterSet, spec: EvaluationKeySpec, make: Callable[[], bytes]
    ) -> StoredKeys:
        """The stored evaluation keys of this spec; if there are none, the bytes of `make()` are stored.

        The folder is locked meanwhile, so that two processes make keys once: `make` may not use the vault.
        """
        folder = self._folder(parameters)
        with _locked(folder):
            found = _find_evaluation_keys(folder, spec)
            if found is not None:
                return found
            own = _seed_id(folder, _checked_seed(folder))
            data = make()
            key_id = hashlib.sha256(data).hexdigest()
            path = folder / f"{spec_digest(spec)}.{own}.{key_id}.evk"
            _write(path, data)
        return StoredKeys(key_id, path, len(data))

    def shared(self, parameters: ParameterSet) -> SharedSoFar:
        """What was decrypted for sharing with this key up to now."""
        path = self._folder(parameters) / "shared"
        if not path.exists():
            return SharedSoFar(0, Fraction(0))
        text = _read_private(path).decode("ascii", "replace")
        match = re.fullmatch(r"(\d{1,18}) (\d{1,4000})/(\d{1,4000})\n", text)
        if match is None or int(match[3]) == 0:
            raise VaultError(f"the record of shared decryptions in {path} is damaged: {text[:40]!r}")
        return SharedSoFar(int(match[1]), Fraction(int(match[2]), int(match[3])))

    def record_shared(self, parameters: ParameterSet, queries: int) -> SharedSoFar:
        """Note, on disk and before it is decrypted, one result whose noise was chosen for `queries` results in all.

        VaultError if this would spend more than the whole budget of the key.
        """
        folder = self._folder(parameters)
        with _locked(folder):
            before = self.shared(parameters)
            after = SharedSoFar(before.results + 1, before.spent + Fraction(1, queries))
            if after.spent > 1:
                raise VaultError(
                    f"{before.results} results of this key were shared, which leaves {float(1 - before.spent):.3g} of "
                    f"its noise budget; one more with noise for {queries} results is too much: choose more queries, "
                    "or a new vault and with it a new key"
                )
            spent = after.spent
            _write(folder / "shared", f"{after.results} {spent.numerator}/{spent.denominator}\n".encode())
        return after

    def _folder_path(self, parameters: ParameterSet) -> Path:
        return self.path / parameters.fingerprint().hex()

    def _folder(self, parameters: ParameterSet) -> Path:
        path = self._folder_path(parameters)
        _private_folder(path)
        return path


def _checked_seed(folder: Path) -> bytes:
    """The seed of a locked folder, drawn if there is none; VaultError unless it is the one of seed.id."""
    path, record = folder / "seed", folder / "seed.id"
    if not path.exists():
        if record.exists():
            raise VaultError(
                f"the secret {path} is gone; put it back from a copy, or delete the folder {folder} for a new key: "
                "what was encrypted under the old one is then lost"
            )
        _write(path, random_seed())
    seed = _read_private(path)
    if len(seed) != SEED_BYTES:
        raise VaultError(
            f"the secret in {path} has {len(seed)} bytes instead of {SEED_BYTES}; the file is damaged"
        )
    own = _seed_id(folder, seed)
    if not record.exists():  # a new seed, or a vault of an earlier version
        _write(record, f"{own}\n".encode())
    elif not hmac.compare_digest(_read_private(record), f"{own}\n".encode()):
        raise VaultError(
            f"the secret in {path} is not the one that {record} belongs to: one of the files was damaged or replaced; "
            f"put both back from a copy, or delete the folder {folder} for a new key: what was encrypted under the "
            "old one is then lost"
        )
    return seed


def _seed_id(folder: Path, seed: bytes) -> str:
    """32 hex digits that name a seed of the parameters that the folder is named after."""
    return hashlib.sha256(b"hetorch vault seed id\0" + folder.name.encode() + b"\0" + seed).hexdigest()[:32]


def _find_evaluation_keys(folder: Path, spec: EvaluationKeySpec) -> StoredKeys | None:
    """In a locked folder. All keys of the spec are looked at: those of another secret must not go unnoticed."""
    if not any((folder / name).exists() for name in ("seed", "seed.id")) and not any(folder.glob("*.evk")):
        return None
    own = _seed_id(folder, _checked_seed(folder))
    found = None
    for path in sorted(folder.glob(f"{spec_digest(spec)}.*.evk")):
        names = path.name.split(".")
        if len(names) != 4:  # by an earlier version: nobody knows of which secret
            path.unlink(missing_ok=True)
        elif names[1] != own:
            raise VaultError(
                f"the evaluation keys in {path} were made with another secret than {folder / 'seed'}; delete the file "
                "(keys are made again), or put back the secret that it belongs to"
            )
        else:
            found = found or StoredKeys(names[2], path, path.stat().st_size)
    return found


def _private_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # mkdir's mode is cut by the umask, which may leave us without our own rights
    except FileExistsError:
        pass
    _check_private(path, os.stat(path), folder=True)


def _check_private(path: Path, status: os.stat_result, *, folder: bool) -> None:
    expected = stat.S_ISDIR if folder else stat.S_ISREG
    if not expected(status.st_mode):
        raise VaultError(f"{path} is not a {'folder' if folder else 'regular file'}; it cannot hold keys")
    if status.st_uid != os.geteuid():
        raise VaultError(
            f"{path} belongs to user {status.st_uid}, not to you ({os.geteuid()}); choose another vault"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        wanted = "700" if folder else "600"
        raise VaultError(
            f"{path} has mode {mode:03o}, so others may read your keys; run: chmod {wanted} {path}"
        )


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise VaultError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        _check_private(path, os.fstat(file.fileno()), folder=False)
        return file.read()


def _write(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # mkstemp makes files of mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
        _sync_folder(path.parent)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise VaultError(f"{path} cannot be written: {error.strerror}") from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk when its folder is (Linux, fsync(2)): a count of shared results must not go back when
    the power fails."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that know no such thing
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
