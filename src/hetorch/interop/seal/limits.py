"""The bounds of SEAL, and the sizes of its objects in memory, from the parameters alone."""

from __future__ import annotations

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.params import ParameterSet

LARGEST_RING = 1 << 15
"""Largest ring degree in SEAL's security table, where its contexts end."""
WORD_BYTES = 8


def plaintext_bytes(parameters: ParameterSet, level: int) -> int:
    """Return the memory of one encoded diagonal or bias: a word for each slot of the ring and prime of the level."""
    return WORD_BYTES * parameters.ring_degree * (level + 1)


def key_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    """Return the memory of the keys of `spec`: SEAL's are for the whole chain, with a digit for each of its primes, and
    each digit is a pair of ring elements modulo all primes and the special one."""
    digits = parameters.max_level + 1
    return spec.count * digits * 2 * (digits + 1) * parameters.ring_degree * WORD_BYTES
