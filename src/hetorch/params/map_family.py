"""The family of the switching keys of linear maps: at low levels, one with few special primes."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from hetorch.params.key_family import KeyFamily
from hetorch.params.parameter_set import ParameterSet

NEGLIGIBLE = Fraction(1, 1 << 10)
"""Digits times (digit / P)^2 up to which the noise of a key does not count: a 60th of the variance of the rounding that
follows each switch. Raised, more families suit a level, and maps may be noisier than predicted."""


@lru_cache(maxsize=4096)
def map_family(parameters: ParameterSet, level: int) -> KeyFamily:
    """Return the family of the keys of linear maps on inputs at `level`, of least work: digits times primes.

    It is one of the parameters' families, the main one included, whose keys add no more noise at this level than those
    of the main one may, which NoiseModel predicts, or a negligible amount.
    """
    chain, special = parameters.modulus_chain, parameters.special_primes
    main = KeyFamily(len(special), parameters.digit_size)

    def variance(family: KeyFamily, primes: tuple[int, ...]) -> Fraction:
        size = family.digit_size
        largest = max(math.prod(primes[first : first + size]) for first in range(0, len(primes), size))
        ratio = Fraction(largest, math.prod(special[: family.special_count]))
        return family.digit_count(level) * ratio**2

    bound = max(variance(main, chain), NEGLIGIBLE)
    families = [main, *(f for f in parameters.key_families if variance(f, chain[: level + 1]) <= bound)]
    return min(families, key=lambda family: family.digit_count(level) * (level + 1 + family.special_count))
