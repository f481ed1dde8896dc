"""The public, uniform halves of keys and fresh ciphertexts: the expansion of their 32-byte seeds."""

from __future__ import annotations

from hetorch.engine.random import keystream


def uniform_piece(seed: bytes, index: int, length: int) -> bytes:
    """Piece `index` (a digit of a key; 0 for a ciphertext) of the expansion of `seed`, `length` bytes."""
    return keystream(seed, length, domain=b"uniform" + index.to_bytes(4, "little"))
