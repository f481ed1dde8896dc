"""The seeds that SEAL writes in place of uniform halves: UniformRandomGeneratorInfo, its generators, uniform sampling.

The bytes are a frame of u8 kind (1 Blake2xb, 2 Shake256) and a seed of 64 bytes. A generator gives blocks of 4096
bytes, block i from the counter i (u64): BLAKE2Xb of the counter under the seed as key, or SHAKE256 of seed and counter.
The words of the residues modulo q_0, then q_1, …, come first in the stream. After that, coefficient by coefficient,
each word at or above the largest multiple of its prime is drawn again from the rest of the stream, until it is below.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from hetorch.errors import WireError
from hetorch.interop.seal_format.blake2xb import blake2xb
from hetorch.interop.seal_format.stream import HEADER_BYTES, Reader, Words, frame

BLAKE2XB, SHAKE256 = 1, 2
SEED_BYTES = 64
INFO_BYTES = HEADER_BYTES + 1 + SEED_BYTES
_BLOCK_BYTES = 4096
_BATCH = 64
"""Blocks expanded at once: 4096 lanes of the compression, which stay in the cache; more would leave it."""


@dataclass(frozen=True, slots=True)
class UniformSeed:
    """SEAL's UniformRandomGeneratorInfo: the kind of a generator and its 64-byte seed. Neither is secret."""

    kind: int
    seed: bytes

    @classmethod
    def read(cls, reader: Reader) -> UniformSeed:
        """Take a seed from the front of a reader; WireError for an unknown generator."""
        inner = reader.nested(1 + SEED_BYTES, "a seed")
        kind = inner.byte()
        if kind not in (BLAKE2XB, SHAKE256):
            raise WireError(
                f"a seed for the random generator {kind}; 1 (Blake2xb) and 2 (Shake256) are known"
            )
        seed = bytes(inner.take(SEED_BYTES))
        inner.finish()
        return cls(kind, seed)

    def dump(self) -> bytes:
        return frame(bytes([self.kind]) + self.seed)

    def expand(self, primes: tuple[int, ...], ring_degree: int) -> Words:
        """Return the uniform polynomial, words (len(primes), ring_degree) in SEAL's order."""
        count = len(primes) * ring_degree
        words = self.words(0, count).reshape(len(primes), ring_degree)
        result = np.empty_like(words)
        stream = _Redraws(self, count)
        for r, q in enumerate(primes):
            row = words[r]
            # SEAL's bound: (2^64 - 1) - ((2^64 - 1) mod q) - 1; words at or above it are drawn again.
            bound = (2**64 - 1) - (2**64 - 1) % q - 1
            rejected = np.nonzero(row >= np.uint64(bound))[0]
            if rejected.size:
                row = row.copy()
                for at in rejected:  # one in 2^(64 - log2 q): rare
                    row[at] = stream.below(bound)
            result[r] = row % np.uint64(q)
        return result

    def words(self, begin: int, count: int) -> Words:
        """Return the words begin … begin + count - 1 of the stream."""
        per_block = _BLOCK_BYTES // 8
        first, last = begin // per_block, -(-(begin + count) // per_block)
        pieces = [self._blocks(at, min(at + _BATCH, last)) for at in range(first, last, _BATCH)]
        words = np.frombuffer(b"".join(pieces), dtype="<u8").astype(np.uint64)
        return words[begin - first * per_block :][:count]

    def _blocks(self, begin: int, end: int) -> bytes:
        counters = [counter.to_bytes(8, "little") for counter in range(begin, end)]
        if self.kind == BLAKE2XB:
            return blake2xb(counters, self.seed, _BLOCK_BYTES)
        return b"".join(hashlib.shake_256(self.seed + counter).digest(_BLOCK_BYTES) for counter in counters)


class _Redraws:
    """The words of a stream from a position on, one by one; the rest of a block is kept for the next call."""

    def __init__(self, seed: UniformSeed, position: int) -> None:
        self._seed = seed
        self._position = position
        self._waiting: list[int] = []

    def below(self, bound: int) -> int:
        """Return the first of the next words that is below `bound`."""
        while True:
            if not self._waiting:
                count = _BLOCK_BYTES // 8
                self._waiting = self._seed.words(self._position, count)[::-1].tolist()
                self._position += count
            word = self._waiting.pop()
            if word < bound:
                return word
