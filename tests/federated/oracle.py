"""The arithmetic of a round in numpy, as it is written down: an oracle for what cpp/federated computes.

A product is computed as in NTT libraries for vectors of doubles: the quotient is estimated in double precision, and the
remainder is exact in 64-bit words that wrap around. The forward transform takes natural order to bit-reversed order by
Cooley-Tukey butterflies, the inverse one back by those of Gentleman and Sande, with the powers of a 2N-th root of unity
merged in (Longa and Naehrig, eprint 2016/504).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from hetorch.federated.residues import Residues
from hetorch.federated.ring import ERROR_BOUND, PRIME, PRIME_BITS, RING_DEGREE, SIGMA, UNIFORM_BYTES

_INVERSE = 1.0 / PRIME


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


def pack(residues: Residues) -> bytes:
    """Return residues as one whole number of 45 bits each, the first in the lowest."""
    flat = residues.reshape(-1)
    whole = sum(int(value) << (PRIME_BITS * place) for place, value in enumerate(flat))
    return whole.to_bytes(len(flat) * PRIME_BITS // 8, "little")


def numbers(packed: bytes) -> list[int]:
    """Return the 45-bit numbers that bytes hold."""
    whole = int.from_bytes(packed, "little")
    return [
        whole >> (PRIME_BITS * place) & (2**PRIME_BITS - 1) for place in range(len(packed) * 8 // PRIME_BITS)
    ]


def uniform(random: bytes) -> Residues:
    """Return uniform blocks: each number above q is replaced by the next of the 64 spares that is not."""
    blocks = []
    for start in range(0, len(random), UNIFORM_BYTES):
        drawn = numbers(random[start : start + UNIFORM_BYTES])
        spares = (spare for spare in drawn[RING_DEGREE:] if spare < PRIME)
        blocks.append([value if value < PRIME else next(spares) for value in drawn[:RING_DEGREE]])
    return np.array(blocks, dtype=np.int64)


@cache
def cumulative() -> tuple[int, ...]:
    """Return floor(2^63 P(|X| <= k)) for k = 0 … ERROR_BOUND - 1, X the discrete Gaussian over all integers."""
    with localcontext() as context:
        context.prec = 60
        variance = Decimal(str(SIGMA)) ** 2
        weights = [(2 if k else 1) * (-Decimal(k * k) / (2 * variance)).exp() for k in range(200)]
        whole = sum(weights)
        return tuple(int(sum(weights[: k + 1]) / whole * 2**63) for k in range(ERROR_BOUND))


def gaussian(random: bytes) -> Residues:
    """Return the Gaussian numbers of 8 bytes each: 63 bits are looked up in the table, the highest one is the sign."""
    words = np.frombuffer(random, dtype="<u8")
    magnitude = (words & np.uint64(2**63 - 1)).view(np.int64)
    sizes = np.searchsorted(np.array(cumulative(), dtype=np.int64), magnitude, side="right")
    return np.where(words >> np.uint64(63), -sizes, sizes).reshape(-1, RING_DEGREE)


def encrypt(
    integers: Residues, secret: Residues, public: Residues, errors: Residues, factor: int
) -> Residues:
    """Return a s + e + factor m for blocks (count, N), the public ones by their transforms."""
    masks = inverse(multiply(public, forward(secret[None] % PRIME)))
    return add(masks, (errors + factor * integers) % PRIME)


def tag(blocks: Residues, factors: Residues) -> tuple[int, int]:
    """Return <r_h (x) u_h, blocks> for h = 0, 1: the first rows of the factors are the u_h, the others the r_h."""
    rows = factors[2:].reshape(2, -1)[:, : len(blocks)]
    one, other = (
        sum(
            int(row) * sum(int(u) * int(value) for u, value in zip(factors[h], block, strict=True))
            for row, block in zip(rows[h], blocks, strict=True)
        )
        % PRIME
        for h in range(2)
    )
    return one, other
