"""The public, uniform halves of keys and fresh ciphertexts: the expansion of their 32-byte seeds."""

from __future__ import annotations

from collections.abc import Iterator

from hetorch.engine.random import keystream_pieces


def uniform_piece(seed: bytes, index: int, length: int) -> bytes:
    """Return the first `length` bytes of piece `index` of the expansion of `seed`.

    `index` is the number of the digit for a key, and 0 for a ciphertext.
    """
    return b"".join(uniform_pieces(seed, index, length))


def uniform_pieces(seed: bytes, index: int, length: int) -> Iterator[bytes]:
    """Yield the bytes of uniform_piece in chunks."""
    return keystream_pieces(seed, length, domain=b"uniform" + index.to_bytes(4, "little"))
