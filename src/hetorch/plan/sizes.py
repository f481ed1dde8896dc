"""Sizes on the wire of ciphertexts and keys, from the parameters alone: the packed residues and seeds.

The codec's blobs have a frame and object headers around them (`hetorch.engine.codec`, which needs the core); the sizes
in memory are in `hetorch.plan.memory`.
"""

from __future__ import annotations

from collections.abc import Iterable

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.random import SEED_BYTES
from hetorch.params import ParameterSet


def polynomial_bytes(ring_degree: int, primes: Iterable[int]) -> int:
    """Return the size of one ring element, residues bit-packed: N * ceil(log2 q) bits a prime."""
    return sum(-(-ring_degree * prime.bit_length() // 8) for prime in primes)


def ciphertext_bytes(parameters: ParameterSet, level: int, *, seeded: bool) -> int:
    """Return the size of two ring elements at `level`; a fresh (seeded) ciphertext is one element and its seed."""
    body = polynomial_bytes(parameters.ring_degree, parameters.modulus_chain[: level + 1])
    return body + SEED_BYTES if seeded else 2 * body


def evaluation_key_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    """Return the size of all switching keys of `spec`: for each digit one element modulo Q_level * P and a seed.

    The codec stores one seed a key, so its blobs are 32 bytes smaller for each further digit. Plans state this size.
    """
    levels = [level for _, level in spec.galois]
    if spec.relinearisation_level is not None:
        levels.append(spec.relinearisation_level)
    total = 0
    for level in levels:
        primes = (*parameters.modulus_chain[: level + 1], *parameters.special_primes)
        element = polynomial_bytes(parameters.ring_degree, primes)
        total += parameters.digit_count(level) * (element + SEED_BYTES)
    return total
