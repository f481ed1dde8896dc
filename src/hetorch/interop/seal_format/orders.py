"""The order of evaluation points: a permutation between SEAL's rows and ours.

Both store a polynomial modulo q by its values at the primitive 2N-th roots of unity, position i at
psi^(2 bitrev(i) + 1). SEAL's psi is the smallest root, ours the first g^((q-1)/2N), g = 2, 3, …, of order 2N;
psi_seal = psi_ours^k. So one row is a permutation of the other. An automorphism X -> X^h, which takes the value at
psi^e to that at psi^(he), joins the permutation: position i of the result is position
bitrev((m (2 bitrev(i) + 1) - 1) / 2) of the source, with m = h k from our rows to SEAL's and m = h / k from SEAL's to
ours.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hetorch.interop.seal_format.stream import Words

Index = NDArray[np.int64]


def to_ours(rows: Words, primes: tuple[int, ...], automorphism: int = 1, out: Words | None = None) -> Words:
    """Return SEAL's rows (…, len(primes), N) in our order, after X -> X^automorphism; in `out` if that is given."""
    return _reordered(rows, primes, automorphism, out, inverse=True)


def to_seal(rows: Words, primes: tuple[int, ...], automorphism: int = 1) -> Words:
    """Return our rows (…, len(primes), N) in SEAL's order, after X -> X^automorphism."""
    return _reordered(rows, primes, automorphism, None, inverse=False)


def _reordered(
    rows: Words, primes: tuple[int, ...], automorphism: int, out: Words | None, *, inverse: bool
) -> Words:
    n = rows.shape[-1]
    result = np.empty(rows.shape, dtype=np.uint64) if out is None else out
    for r, q in enumerate(primes):
        k = root_exponent(n, q)
        multiplier = automorphism * (pow(k, -1, 2 * n) if inverse else k) % (2 * n)
        np.take(rows[..., r, :], _positions(n, multiplier), axis=-1, out=result[..., r, :], mode="clip")
    return result


@lru_cache(maxsize=256)
def root_exponent(n: int, q: int) -> int:
    """Return the odd k with SEAL's root = ours^k modulo q."""
    ours = next(r for g in range(2, q) if pow(r := pow(g, (q - 1) // (2 * n), q), n, q) == q - 1)
    square = ours * ours % q
    best, exponent, power = ours, 1, ours
    for k in range(3, 2 * n, 2):
        power = power * square % q
        if power < best:
            best, exponent = power, k
    return exponent


@lru_cache(maxsize=32)
def _positions(n: int, multiplier: int) -> Index:
    reverse = _bit_reversal(n)
    exponents = multiplier * (2 * reverse + 1) % (2 * n)
    return reverse[(exponents - 1) // 2]


@lru_cache(maxsize=8)
def _bit_reversal(n: int) -> Index:
    index = np.arange(n)
    result = np.zeros(n, dtype=np.int64)
    for bit in range(n.bit_length() - 1):
        result = (result << 1) | ((index >> bit) & 1)
    return result
