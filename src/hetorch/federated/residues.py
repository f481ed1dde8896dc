"""Arithmetic modulo q on arrays of 64-bit words, and residues packed into bytes. No branch or index depends on a value.

A product is computed as in NTT libraries for vectors of doubles: the quotient is estimated in double precision, and the
remainder is exact in 64-bit words that wrap around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import WireError
from hetorch.federated.ring import BLOCK_BYTES, PRIME, PRIME_BITS, RING_DEGREE

Residues = NDArray[np.int64]
"""Residues in [0, q); blocks have the shape (count, N)."""

_INVERSE = 1.0 / PRIME
_GROUP = 64
"""Residues that fill a whole number of 64-bit words: 64 of them fill 45."""
_HIGH = (1 << 63) % PRIME


def _settled(remainder: Residues) -> Residues:
    """Bring numbers in [-q, 2q) to [0, q), in place, by adding masks."""
    remainder += PRIME & (remainder >> 63)
    remainder -= PRIME
    remainder += PRIME & (remainder >> 63)
    return remainder


def add(a: Residues, b: Residues) -> Residues:
    """Return a + b modulo q."""
    return _settled(a + b)


def subtract(a: Residues, b: Residues) -> Residues:
    """Return a - b modulo q."""
    return _settled(a - b)


def multiply(a: Residues, b: Residues | int) -> Residues:
    """Return a b modulo q for residues below 2^45: the estimated quotient is wrong by at most 1."""
    factor = np.asarray(b, dtype=np.int64)
    quotient = (a.astype(np.float64) * (factor.astype(np.float64) * _INVERSE)).astype(np.int64)
    product = a * factor  # modulo 2^64, as the next product
    quotient *= PRIME
    product -= quotient
    quotient.fill(0)
    return _settled(product)


def reduce_signed(values: Residues) -> Residues:
    """Return numbers of at most q in size modulo q."""
    return _settled(values.copy())


def centred(values: Residues) -> Residues:
    """Return the representatives in (-q/2, q/2) of residues."""
    half = (PRIME - 1) // 2
    return values - (PRIME & ((half - values) >> 63))


def reduce(values: Residues) -> Residues:
    """Return numbers in [0, 2^63) modulo q: the estimated quotient is wrong by at most 1."""
    quotient = (values.astype(np.float64) * _INVERSE).astype(np.int64)
    return _settled(values - quotient * PRIME)


def totals(blocks: Residues) -> Residues:
    """Return the sums modulo q of the residues of each block; fewer than 2^18 of them fit in 63 bits."""
    return reduce(blocks.sum(axis=-1))


def total(values: Residues) -> int:
    """Return the sum modulo q of fewer than 2^18 residues (count,)."""
    return int(reduce(values.sum(keepdims=True))[0])


def uniform(random: bytes) -> Residues:
    """Return one uniform residue for each 16 bytes, within 2^-80 of uniform: 126 of their bits modulo q."""
    words = np.frombuffer(random, dtype="<u8").reshape(-1, 2)
    low, high = (reduce((words[:, column] >> np.uint64(1)).view(np.int64)) for column in (0, 1))
    return add(multiply(high, _HIGH), low)


def pack(residues: Residues) -> bytes:
    """Return residues, a multiple of 64 of them, as 45 bits each, the first in the lowest bits."""
    values = np.ascontiguousarray(residues).view(np.uint64).reshape(-1, _GROUP)
    words = np.zeros((len(values), PRIME_BITS), dtype="<u8")
    for place in range(_GROUP):
        word, shift = divmod(PRIME_BITS * place, 64)
        words[:, word] |= values[:, place] << np.uint64(shift)
        if shift > 64 - PRIME_BITS:
            words[:, word + 1] |= values[:, place] >> np.uint64(64 - shift)
    data = words.tobytes()
    words.fill(0)  # shares are packed too
    return data


def unpack(data: bytes | memoryview) -> Residues:
    """Return the blocks of bytes from outside, (count, N); WireError unless each residue is below q."""
    if len(data) % BLOCK_BYTES:
        raise WireError(f"a polynomial has {BLOCK_BYTES} bytes, {len(data)} are no multiple of that")
    words = np.frombuffer(data, dtype="<u8").reshape(-1, PRIME_BITS)
    values = np.zeros((len(words), _GROUP), dtype=np.uint64)
    for place in range(_GROUP):
        word, shift = divmod(PRIME_BITS * place, 64)
        values[:, place] = words[:, word] >> np.uint64(shift)
        if shift > 64 - PRIME_BITS:
            values[:, place] |= words[:, word + 1] << np.uint64(64 - shift)
    values &= np.uint64((1 << PRIME_BITS) - 1)
    residues = values.view(np.int64).reshape(-1, RING_DEGREE)
    if np.any(residues >= PRIME):
        raise WireError("a residue is not below the prime of the round")
    return residues
