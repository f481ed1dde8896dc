"""Sizes of ciphertexts and keys, from the parameters alone: the bodies, without the codec's headers."""

from __future__ import annotations

from collections.abc import Iterable

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.params import ParameterSet

SEED_BYTES = 32
"""The seed that stands for the uniform half of a fresh ciphertext or of a switching key."""


def polynomial_bytes(ring_degree: int, primes: Iterable[int]) -> int:
    """One ring element, residues bit-packed: N * ceil(log2 q) bits a prime."""
    return sum(-(-ring_degree * prime.bit_length() // 8) for prime in primes)


def ciphertext_bytes(parameters: ParameterSet, level: int, *, seeded: bool) -> int:
    """Two ring elements at `level`; a fresh (seeded) one is a single element and its seed."""
    body = polynomial_bytes(parameters.ring_degree, parameters.modulus_chain[: level + 1])
    return body + SEED_BYTES if seeded else 2 * body


def evaluation_key_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    """All switching keys of `spec`: for each digit one element modulo Q_level * P and a seed."""
    levels = [level for _, level in spec.galois]
    if spec.relinearisation_level is not None:
        levels.append(spec.relinearisation_level)
    total = 0
    for level in levels:
        primes = (*parameters.modulus_chain[: level + 1], *parameters.special_primes)
        element = polynomial_bytes(parameters.ring_degree, primes)
        total += parameters.digit_count(level) * (element + SEED_BYTES)
    return total
