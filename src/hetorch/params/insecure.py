"""Parameter sets without security, small enough for tests. Each use warns: never encrypt anything of value here."""

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
    """A chain of `max_level` + 1 primes whose size has nothing to do with the ring degree.

    q_0 has `first_prime_bits`, the others `prime_bits`, and there are `special_prime_count` special primes of
    `special_prime_bits` (as many as a digit has primes unless given). Warns with InsecureParametersWarning each time;
    raises ParameterError as ParameterSet does.
    """
    special_count = digit_size if special_prime_count is None else special_prime_count
    bits = [first_prime_bits, *[prime_bits] * max_level, *[special_prime_bits] * special_count]
    primes = chain_primes(bits, ring_degree)
    return ParameterSet(
        ring_degree, primes[: max_level + 1], primes[max_level + 1 :], digit_size, Security.NONE
    )


def insecure_mixed(ring_degree: int = 1 << 10) -> ParameterSet:
    """A 60-bit first and special prime around 40-bit ones, as SEAL's and TenSEAL's users write it: [60, 40, 40, 60].

    The 60-bit primes leave the vector kernels (`is_simd` is false). Warns with InsecureParametersWarning each time.
    """
    return insecure_small(ring_degree, 2, first_prime_bits=60, special_prime_bits=60)
