"""Core contexts, one for each parameter set. They are kept because making their tables takes up to seconds."""

from __future__ import annotations

from functools import lru_cache

from hetorch.engine import _native
from hetorch.params import ParameterSet


@lru_cache(maxsize=16)
def core_context(parameters: ParameterSet) -> _native.Context:
    """Return the immutable core context of a parameter set, the same object for equal sets. The call is thread-safe."""
    return _native.Context(
        parameters.ring_degree,
        list(parameters.modulus_chain),
        list(parameters.special_primes),
        parameters.digit_size,
        parameters.slot_generator,
        [(family.special_count, family.digit_size) for family in parameters.key_families],
    )


@lru_cache(maxsize=16)
def flat_context(parameters: ParameterSet) -> _native.Context:
    """Return a context whose chain has all primes, the special ones last, for objects over all primes (SEAL's keys)."""
    primes = [*parameters.modulus_chain, *parameters.special_primes]
    return _native.Context(parameters.ring_degree, primes, [], 1, parameters.slot_generator)
