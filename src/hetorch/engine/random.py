"""The only source of randomness: seeds from the operating system, expanded by ChaCha20."""

from __future__ import annotations

import ctypes
import hashlib
import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from hetorch.errors import InputError

SEED_BYTES = 32
"""Length of a seed: the key of ChaCha20 is derived from it by SHA-256."""
MAX_KEYSTREAM_BYTES = 1 << 38
"""Longest keystream: ChaCha20 counts 64-byte blocks in 32 bits (RFC 8439, section 2.3) and would repeat after it."""

_ZERO_COUNTER_AND_NONCE = bytes(16)
_ZEROS = bytes(1 << 16)
"""Zeros that are encrypted in one call, 64 KB. For a megabyte the system would map new memory in each call, whose page
faults take three times as long as the cipher."""


def random_seed() -> bytes:
    """Return 32 fresh bytes from the operating system's generator."""
    return secrets.token_bytes(SEED_BYTES)


def keystream(seed: bytes, length: int, *, domain: bytes) -> bytes:
    """Return the first `length` bytes of ChaCha20 under the key SHA-256(domain || seed), nonce zero, counter from zero.

    Args:
        seed: 32 bytes; the fixed length makes domain || seed unambiguous.
        length: 0..2^38 bytes.
        domain: the purpose of the bytes, such as b"error" or b"uniform", not empty. Streams of one seed for different
            domains are independent; the same seed and domain give the same bytes.

    Raises:
        InputError: an argument is out of range.
    """
    pieces = list(keystream_pieces(seed, length, domain=domain))
    if len(pieces) == 1:
        return pieces[0]
    stream = b"".join(pieces)
    wipe(*pieces)
    return stream


def keystream_pieces(seed: bytes, length: int, *, domain: bytes) -> Iterator[bytes]:
    """Yield the bytes of `keystream` piece by piece; its InputError is raised when the first piece is taken."""
    encryptor = _encryptor(seed, domain)
    _check_length(length)
    for _ in range(length // len(_ZEROS)):
        yield encryptor.update(_ZEROS)
    yield encryptor.update(_ZEROS[: length % len(_ZEROS)])


class Keystream:
    """The bytes of `keystream`, written piece by piece to memory that the caller overwrites if they are secret."""

    def __init__(self, seed: bytes, *, domain: bytes) -> None:
        self._encryptor = _encryptor(seed, domain)
        self._written = 0

    def fill(self, out: memoryview) -> memoryview:
        """Write the next bytes to `out`, and return it; InputError after 2^38 bytes."""
        _check_length(self._written + len(out))
        for start in range(0, len(out), len(_ZEROS)):
            piece = out[start : start + len(_ZEROS)]
            self._encryptor.update_into(_ZEROS[: len(piece)], piece)
        self._written += len(out)
        return out


def _encryptor(seed: bytes, domain: bytes) -> CipherContext:
    if len(seed) != SEED_BYTES:
        raise InputError(f"a seed has {SEED_BYTES} bytes, got {len(seed)}")
    if not domain:
        raise InputError("a keystream needs a domain, got an empty one; name the use of the bytes")
    state = hashlib.sha256(domain)
    state.update(seed)
    key = state.digest()
    encryptor = Cipher(ChaCha20(key, _ZERO_COUNTER_AND_NONCE), mode=None).encryptor()
    wipe(key)  # OpenSSL has a copy, which it clears
    return encryptor


def _check_length(length: int) -> None:
    if not 0 <= length <= MAX_KEYSTREAM_BYTES:
        raise InputError(
            f"a keystream has 0 to 2^38 bytes, got {length}; take another seed or domain for more"
        )


def wipe(*secrets: bytes) -> None:
    """Overwrite byte strings with zeros where they are in memory.

    They must belong to the caller alone, who forgets them: Python takes byte strings for unchangeable, and shares those
    of one byte, which stay as they are.
    """
    for secret in secrets:
        if len(secret) > 1:
            ctypes.memset(ctypes.c_char_p(secret), 0, len(secret))
