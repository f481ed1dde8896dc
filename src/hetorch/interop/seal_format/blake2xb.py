"""BLAKE2Xb, the extendable output of BLAKE2b ("BLAKE2X", Aumasson, Neves, Wilcox-O'Hearn, Winnerlein, 2016).

Every output block is one compression of a root hash, so numpy computes the blocks of many inputs side by side.
"""

from __future__ import annotations

import hashlib

import numpy as np

from hetorch.interop.seal_format.stream import Words

_BLOCK = 64
_ROUNDS = 12

# BLAKE2b's initial values and message schedule: RFC 7693, sections 2.6 and 2.7.
_IV = (
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
)
_SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def blake2xb(inputs: list[bytes], key: bytes, length: int) -> bytes:
    """Return the outputs of `length` bytes (a multiple of 64) for every input under one key, one after the other."""
    roots = b"".join(
        # The root's parameters are those of BLAKE2b in sequential mode, with the length of the output in the upper half
        # of the node offset.
        hashlib.blake2b(data, key=key, digest_size=64, node_offset=length << 32).digest()
        for data in inputs
    )
    blocks = length // _BLOCK
    words = np.frombuffer(roots, dtype="<u8").reshape(len(inputs), 8).astype(np.uint64)
    return _expand(words, blocks, length).astype("<u8").tobytes()


def _expand(roots: Words, blocks: int, length: int) -> Words:
    """Compress each root with the number of each block in the parameters; return words (inputs * blocks, 8)."""
    count = len(roots) * blocks
    message = [np.repeat(roots[:, i], blocks) for i in range(8)]
    offsets = np.tile(np.arange(blocks, dtype=np.uint64), len(roots)) | np.uint64(length << 32)
    # Parameters: digest length 64, no key, fanout and depth 0, leaf length 64; node offset; node depth 0, inner
    # length 64.
    start = [np.full(count, value, dtype=np.uint64) for value in _IV]
    start[0] ^= np.uint64(64 | (64 << 32))
    start[1] ^= offsets
    start[2] ^= np.uint64(64 << 8)
    v = [*(word.copy() for word in start), *(np.full(count, value, dtype=np.uint64) for value in _IV)]
    v[12] ^= np.uint64(64)  # the bytes compressed so far
    v[14] = ~v[14]  # the last block
    for number in range(_ROUNDS):
        schedule = _SIGMA[number % 10]
        for i, (a, b, c, d) in enumerate(_COLUMNS_AND_DIAGONALS):
            _mix(v, a, b, c, d, message, schedule[2 * i], schedule[2 * i + 1])
    return np.stack([start[i] ^ v[i] ^ v[i + 8] for i in range(8)], axis=1)


def _mix(v: list[Words], a: int, b: int, c: int, d: int, message: list[Words], x: int, y: int) -> None:
    for word, first, second in ((x, 32, 24), (y, 16, 63)):
        v[a] += v[b]
        if word < 8:  # a root has 64 bytes; the second half of its block is zero
            v[a] += message[word]
        v[d] = _rotated(v[d] ^ v[a], first)
        v[c] += v[d]
        v[b] = _rotated(v[b] ^ v[c], second)


def _rotated(x: Words, bits: int) -> Words:
    """Return `x` rotated to the right."""
    return (x >> np.uint64(bits)) | (x << np.uint64(64 - bits))
