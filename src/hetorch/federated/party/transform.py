"""Products in R_q by the number-theoretic transform, on many blocks at a time.

The forward transform takes natural order to bit-reversed order by Cooley-Tukey butterflies, the inverse one back by
those of Gentleman and Sande, with the powers of a 2N-th root of unity merged in (Longa and Naehrig, eprint 2016/504).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hetorch.federated.residues import Residues, add, multiply, subtract
from hetorch.federated.ring import PRIME, RING_DEGREE


@cache
def _powers(inverse: bool) -> Residues:
    """Return the powers of a primitive 2N-th root of unity, or of its inverse, in bit-reversed order of exponents."""
    step = (PRIME - 1) // (2 * RING_DEGREE)
    root = next(
        r for r in (pow(g, step, PRIME) for g in range(2, 100)) if pow(r, RING_DEGREE, PRIME) == PRIME - 1
    )
    root = pow(root, -1, PRIME) if inverse else root
    bits = RING_DEGREE.bit_length() - 1
    exponents = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(RING_DEGREE))
    return np.array([pow(root, exponent, PRIME) for exponent in exponents], dtype=np.int64)


def forward(blocks: Residues) -> Residues:
    """Return the transforms of blocks (count, N)."""
    powers = _powers(False)
    values = blocks
    count = 1
    while count < RING_DEGREE:
        pairs = values.reshape(-1, count, 2, RING_DEGREE // (2 * count))
        upper = pairs[:, :, 0]
        lower = multiply(pairs[:, :, 1], powers[count : 2 * count, None])
        values = np.stack([add(upper, lower), subtract(upper, lower)], axis=2)
        count *= 2
    return values.reshape(blocks.shape)


def inverse(blocks: Residues) -> Residues:
    """Return the blocks (count, N) whose transforms these are."""
    powers = _powers(True)
    values = blocks
    count = RING_DEGREE // 2
    while count >= 1:
        pairs = values.reshape(-1, count, 2, RING_DEGREE // (2 * count))
        upper, lower = pairs[:, :, 0], pairs[:, :, 1]
        difference = multiply(subtract(upper, lower), powers[count : 2 * count, None])
        values = np.stack([add(upper, lower), difference], axis=2)
        count //= 2
    return multiply(values.reshape(blocks.shape), pow(RING_DEGREE, -1, PRIME))
