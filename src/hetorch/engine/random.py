"""The only source of randomness: seeds from the operating system, stretched by ChaCha20."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from hetorch.errors import InputError

SEED_BYTES = 32
"""Size of a seed: of secret ones, and of the public ones that stand for the uniform half of a key or of a fresh
ciphertext."""
MAX_KEYSTREAM_BYTES = 1 << 38
"""Longest keystream: ChaCha20 counts 64-byte blocks in 32 bits (RFC 8439, section 2.3), so a longer stream would
repeat."""

_ZERO_COUNTER_AND_NONCE = bytes(16)
_ZEROS = bytes(1 << 16)
"""Plaintext of one cipher call: 64 KB, which fit into memory that the process already has. A buffer of a megabyte would
come fresh from the system each time, and its page faults take three times as long as the cipher."""


def random_seed() -> bytes:
    """Return 32 fresh bytes from the operating system's generator."""
    return secrets.token_bytes(SEED_BYTES)


def keystream(seed: bytes, length: int, *, domain: bytes) -> bytes:
    """Return the first `length` bytes of ChaCha20 under the key SHA-256(domain || seed), nonce zero, counter from zero.

    `seed` is 32 bytes, so domain || seed is unambiguous, and streams of one seed for different domains (for example
    b"error" and b"uniform") are independent. A (seed, domain) pair names one stream: asking again gives the same
    bytes. InputError if the seed is not 32 bytes, the domain is empty or the length is not in 0..2^38.
    """
    return b"".join(keystream_pieces(seed, length, domain=domain))


def keystream_pieces(seed: bytes, length: int, *, domain: bytes) -> Iterator[bytes]:
    """Yield the bytes of keystream, a piece at a time; errors as keystream."""
    if len(seed) != SEED_BYTES:
        raise InputError(f"a seed has {SEED_BYTES} bytes, got {len(seed)}")
    if not domain:
        raise InputError("a keystream needs a domain, got an empty one; name the use of the bytes")
    if not 0 <= length <= MAX_KEYSTREAM_BYTES:
        raise InputError(
            f"a keystream has 0 to 2^38 bytes, got {length}; take another seed or domain for more"
        )
    key = hashlib.sha256(domain + seed).digest()
    encryptor = Cipher(ChaCha20(key, _ZERO_COUNTER_AND_NONCE), mode=None).encryptor()
    for _ in range(length // len(_ZEROS)):
        yield encryptor.update(_ZEROS)
    yield encryptor.update(_ZEROS[: length % len(_ZEROS)])
