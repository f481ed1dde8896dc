"""Checks of single values of a parameter set; each raises a ParameterError with the field and the value."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from hetorch.errors import ParameterError
from hetorch.params.primes import MAX_PRIME_BITS, is_prime
from hetorch.quantities import count_text

MIN_RING_DEGREE = 1 << 10
MAX_RING_DEGREE = 1 << 17
MAX_PRIME_COUNT = 64
"""Largest number of data and special primes together, a limit of the core: 64 primes of 50 bits make a modulus of 3200
bits."""


def check_ring_degree(ring_degree: int) -> None:
    """Raise ParameterError unless `ring_degree` is a power of two from 2^10 to 2^17."""
    in_range = MIN_RING_DEGREE <= ring_degree <= MAX_RING_DEGREE
    if not in_range or ring_degree & (ring_degree - 1):
        raise ParameterError(f"ring_degree must be a power of two from 2^10 to 2^17, got {ring_degree}")


def check_prime(name: str, prime: int, ring_degree: int) -> None:
    """Raise ParameterError unless `prime` is an NTT prime of the ring below 2^60; `name` is the field for messages."""
    if prime < 2 or prime >> MAX_PRIME_BITS:
        raise ParameterError(f"{name} must be a prime below 2^{MAX_PRIME_BITS}, got {prime}")
    if prime % (2 * ring_degree) != 1:
        raise ParameterError(
            f"{name} = {prime} is not 1 mod 2 * ring_degree = {2 * ring_degree}: no NTT exists"
        )
    if not is_prime(prime):
        raise ParameterError(f"{name} = {prime} is not prime")


def integer(name: str, value: object) -> int:
    """Return `value` as an int.

    Raises:
        ParameterError: it is not an integer of at most 64 bits, or it is a bool.
    """
    if isinstance(value, bool):
        raise ParameterError(f"{name} must be an integer, got {value}")
    try:
        result = operator.index(value)  # type: ignore[arg-type]  # raises TypeError if it is not an integer
    except TypeError:
        raise ParameterError(f"{name} must be an integer, got {type(value).__name__}") from None
    if result.bit_length() > 64:
        raise ParameterError(f"{name} must be an integer of at most 64 bits, got {result.bit_length()} bits")
    return int(result)


def integers(name: str, values: object) -> tuple[int, ...]:
    """Return `values` as a tuple of ints.

    Raises:
        ParameterError: they are not a sequence of at most MAX_PRIME_COUNT integers.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise ParameterError(f"{name} must be a sequence of integers, got {type(values).__name__}")
    if len(values) > MAX_PRIME_COUNT:
        raise ParameterError(
            f"{name} holds {count_text(len(values), 'prime')}; at most {MAX_PRIME_COUNT} are supported"
        )
    return tuple(integer(f"{name}[{index}]", value) for index, value in enumerate(values))
