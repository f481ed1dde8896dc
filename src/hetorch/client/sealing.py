"""The encryption of a vault's seeds: AES-256-GCM under a key of the vault, which is wrapped in turn.

The file `key` in the vault's folder is JSON and holds the wrapped key: encrypted under a passphrase (scrypt), or by a
KeyWrap, for example a key management service. The folder's name is bound to each seed, so that seeds cannot be swapped.
Everything that is read is bounded before memory or time is spent on it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hetorch.engine.random import SEED_BYTES, random_seed, wipe
from hetorch.errors import HetorchError, InputError, VaultError

FORMAT = "hetorch-vault-key"
VERSION = 1
SCRYPT_COST = 1 << 17
"""Cost N of scrypt for new passphrases: 128 MiB and about half a second with SCRYPT_BLOCK. Raised, a guess of the
passphrase costs an attacker more, and so does each opening of the vault."""
SCRYPT_BLOCK = 8
"""Block size r of scrypt."""
LARGEST_COST, LARGEST_BLOCK, LARGEST_LANES = 1 << 20, 16, 4
"""Largest N, r and p that are read of a file: 2 GiB at most, and some ten seconds."""
LEAST_COST = 1 << 14
"""Least N that is read of a file: a smaller one was not written by hetorch."""
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
MAX_WRAPPED_BYTES = 1 << 14
"""Longest wrapped key of a KeyWrap, in bytes."""
MAX_PASSPHRASE_LENGTH = 1024
SEALED = b"hetorch sealed seed 1\n"
"""The beginning of a sealed seed; one in clear is SEED_BYTES long, and shorter."""
SEALED_BYTES = len(SEALED) + NONCE_BYTES + SEED_BYTES + TAG_BYTES


class KeyWrap(Protocol):
    """A service that wraps a vault's key, such as a KMS. `name` tells it from others, and is kept beside the key.

    Errors of `wrap` and `unwrap` become a VaultError.
    """

    @property
    def name(self) -> str:
        """The name of the service and its key."""
        ...

    def wrap(self, key: bytes) -> bytes:
        """Return 32 secret bytes in a form that only `unwrap` can read, of at most MAX_WRAPPED_BYTES."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the bytes that `wrap` was given."""
        ...


class PassphraseWrap:
    """A KeyWrap by a passphrase: scrypt, then AES-256-GCM. InputError if the passphrase is empty or too long."""

    name = "scrypt"

    def __init__(self, passphrase: str) -> None:
        if not isinstance(passphrase, str) or not 0 < len(passphrase) <= MAX_PASSPHRASE_LENGTH:
            raise InputError(f"a passphrase is text of 1 to {MAX_PASSPHRASE_LENGTH} characters")
        # The same characters may be typed as different sequences on another system.
        self._passphrase = unicodedata.normalize("NFC", passphrase).encode()

    def wrap(self, key: bytes) -> bytes:
        fields: dict[str, object] = {"n": SCRYPT_COST, "r": SCRYPT_BLOCK, "p": 1}
        fields["salt"] = random_seed()[:SALT_BYTES].hex()
        head = json.dumps(fields, sort_keys=True).encode() + b"\n"
        nonce = random_seed()[:NONCE_BYTES]
        own = self._derive(_read_cost(head))
        try:
            return head + nonce + AESGCM(own).encrypt(nonce, key, head)
        finally:
            wipe(own)

    def unwrap(self, wrapped: bytes) -> bytes:
        head, newline, rest = wrapped.partition(b"\n")
        head += newline
        own = self._derive(_read_cost(head))
        try:
            return AESGCM(own).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head)
        except (InvalidTag, ValueError):
            raise VaultError("the passphrase is wrong, or the vault's file key is damaged") from None
        finally:
            wipe(own)

    def _derive(self, cost: tuple[int, int, int, bytes]) -> bytes:
        n, r, p, salt = cost
        try:
            return Scrypt(salt=salt, length=SEED_BYTES, n=n, r=r, p=p).derive(self._passphrase)
        except MemoryError:
            raise VaultError(f"scrypt needs {128 * n * r >> 20} MiB of memory to open the vault") from None


def _read_cost(head: bytes) -> tuple[int, int, int, bytes]:
    """Return N, r, p and the salt of scrypt; VaultError unless they are in their bounds."""
    try:
        fields = json.loads(head)
        n, r, p, salt = fields["n"], fields["r"], fields["p"], bytes.fromhex(fields["salt"])
        whole = all(type(number) is int for number in (n, r, p))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise VaultError("the vault's file key is damaged: it has no parameters of scrypt") from None
    if not (
        whole
        and LEAST_COST <= n <= LARGEST_COST
        and n & (n - 1) == 0
        and 1 <= r <= LARGEST_BLOCK
        and 1 <= p <= LARGEST_LANES
        and len(salt) == SALT_BYTES
    ):
        raise VaultError("the vault's file key has parameters of scrypt that hetorch does not write")
    return n, r, p, salt


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The content of the file `key`: the name of the KeyWrap, and the wrapped key."""

    name: str
    wrapped: bytes

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        fields = {"format": FORMAT, "version": VERSION, "wrap": self.name, "wrapped": self.wrapped.hex()}
        return json.dumps(fields, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> WrappedKey:
        """Parse the bytes of a file; VaultError if they are none."""
        try:
            fields = json.loads(data)
            name, wrapped = fields["wrap"], bytes.fromhex(fields["wrapped"])
            known = (fields["format"], fields["version"]) == (FORMAT, VERSION)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise VaultError("the vault's file key is damaged: it is not what hetorch wrote") from None
        if not known or not isinstance(name, str) or len(wrapped) > MAX_WRAPPED_BYTES:
            raise VaultError("the vault's file key is of another version of hetorch")
        return cls(name, wrapped)


class Seal:
    """The key of an open vault. It is wiped by `close`."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def new(cls) -> Seal:
        """Return a new random key."""
        return cls(random_seed())

    @classmethod
    def opened(cls, wrapped: WrappedKey, wrap: KeyWrap) -> Seal:
        """Unwrap a vault's key; VaultError if this is another KeyWrap, or it fails."""
        if wrapped.name != wrap.name:
            raise VaultError(
                f"the vault's key is wrapped by {wrapped.name!r}, and {wrap.name!r} was given; "
                "scrypt stands for a passphrase"
            )
        key = _asked(lambda: wrap.unwrap(wrapped.wrapped), wrap.name)
        if not isinstance(key, bytes) or len(key) != SEED_BYTES:
            raise VaultError(f"{wrap.name!r} unwrapped no key of {SEED_BYTES} bytes")
        return cls(key)

    def wrapped_by(self, wrap: KeyWrap) -> WrappedKey:
        """Return the key as the file holds it; VaultError if the KeyWrap fails."""
        wrapped = _asked(lambda: wrap.wrap(self._open_key), wrap.name)
        if not isinstance(wrapped, bytes) or not 0 < len(wrapped) <= MAX_WRAPPED_BYTES:
            raise VaultError(f"{wrap.name!r} gave no wrapped key of at most {MAX_WRAPPED_BYTES} bytes")
        return WrappedKey(wrap.name, wrapped)

    def encrypt(self, seed: bytes, folder: str) -> bytes:
        """Return a seed as its file holds it; `folder` is the name of its folder."""
        nonce = random_seed()[:NONCE_BYTES]
        return SEALED + nonce + AESGCM(self._open_key).encrypt(nonce, seed, SEALED + folder.encode())

    def decrypt(self, data: bytes, folder: str) -> bytes:
        """Return the seed that `encrypt` sealed; VaultError if it is damaged, or of another vault or folder."""
        body = data[len(SEALED) :]
        try:
            return AESGCM(self._open_key).decrypt(
                body[:NONCE_BYTES], body[NONCE_BYTES:], SEALED + folder.encode()
            )
        except (InvalidTag, ValueError):
            raise VaultError(
                "it is damaged, or was sealed in another vault or for other parameters"
            ) from None

    def close(self) -> None:
        """Wipe the key."""
        wipe(self._key)
        self._key = b""

    @property
    def _open_key(self) -> bytes:
        if not self._key:
            raise VaultError("the vault is closed; open it again")
        return self._key


def is_sealed(data: bytes) -> bool:
    """True if the bytes of a seed's file are those of a sealed one."""
    return data.startswith(SEALED) and len(data) == SEALED_BYTES


def _asked(ask: Callable[[], bytes], name: str) -> bytes:
    """Return what a KeyWrap returns; VaultError for its errors."""
    try:
        return ask()
    except HetorchError:
        raise
    except Exception as error:  # a service may raise anything
        raise VaultError(f"{name!r} failed: {type(error).__name__}: {str(error)[:200]}") from error
