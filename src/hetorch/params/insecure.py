"""Parameter sets without security, small enough for tests. Each call warns; never encrypt anything of value."""

from __future__ import annotations

from hetorch.params.parameter_set import ParameterSet
from hetorch.params.primes import chain_primes
from hetorch.params.security import Security


def insecure_small(
    ring_degree: int = 1 << 10,
    max_level: int = 3,
    *,
    prime_bits: int = 40,
    first_prime_bits: int = 49,
    special_prime_bits: int = 49,
    digit_size: int = 1,
    special_prime_count: int | None = None,
) -> ParameterSet:
    """Return a set with a chain of `max_level` + 1 primes, whose size no security table bounds.

    Each call warns with InsecureParametersWarning, and raises the ParameterErrors of ParameterSet.

    Args:
        ring_degree: N.
        max_level: L, one less than the number of primes in the chain.
        prime_bits: size of q_1..q_L in bits.
        first_prime_bits: size of q_0 in bits.
        special_prime_bits: size of the special primes in bits.
        digit_size: number of primes in a digit of key switching.
        special_prime_count: number of special primes; `digit_size` if left out.
    """
    special_count = digit_size if special_prime_count is None else special_prime_count
    bits = [first_prime_bits, *[prime_bits] * max_level, *[special_prime_bits] * special_count]
    primes = chain_primes(bits, ring_degree)
    return ParameterSet(
        ring_degree, primes[: max_level + 1], primes[max_level + 1 :], digit_size, Security.NONE
    )


def insecure_mixed(ring_degree: int = 1 << 10) -> ParameterSet:
    """Return a set with a 60-bit first prime, two 40-bit primes and a 60-bit special prime: SEAL's [60, 40, 40, 60].

    The 60-bit primes are too large for the vector kernels, which end at 2^50 (`is_simd` is False). Each call warns with
    InsecureParametersWarning.
    """
    return insecure_small(ring_degree, 2, first_prime_bits=60, special_prime_bits=60)
