"""CKKS parameters as SEAL chooses them, so that contexts, keys and ciphertexts mean the same to both."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from hetorch.errors import KeySwitchNoiseWarning, ParameterError, SecurityError
from hetorch.params import ParameterSet, Security, is_prime
from hetorch.params.checks import MAX_PRIME_COUNT
from hetorch.params.primes import MAX_PRIME_BITS
from hetorch.tenseal.scheme.arguments import bit_sizes_of, whole_number
from hetorch.tenseal.scheme.errors import refusal
from hetorch.tenseal.scheme.security import depth_of_caller, warn_legacy

# Bit sizes of SEAL's CoeffModulus.BFVDefault at 128 bits (native/src/seal/util/globals.cpp, SEAL 4), by ring degree:
# TenSEAL takes them where no bit sizes are given. The primes are the largest of these sizes, the larger first.
_DEFAULT_BITS = {
    1 << 12: (36, 36, 37),
    1 << 13: (43, 43, 44, 44, 44),
    1 << 14: (48, 48, 48, 49, 49, 49, 49, 49, 49),
    1 << 15: (55,) * 15 + (56,),
}
# The ring degrees whose default is a single prime, which leaves none for key switching.
_SINGLE_PRIMES = (1 << 10, 1 << 11)
_LARGEST_DEGREE = 1 << 17
"""SEAL's largest ring degree (util/defines.h), and hetorch's."""


def seal_primes(ring_degree: int, bit_sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the primes of SEAL's CoeffModulus.Create: for each size the largest ones = 1 mod 2N, the smaller first.

    Raises:
        RuntimeError: there are too few primes of a size.
        ValueError: a size is outside 2 to 60.
    """
    for bits in bit_sizes:
        if not 2 <= bits <= MAX_PRIME_BITS:
            raise refusal(
                ValueError,
                "bit_sizes is invalid",
                f"coeff_mod_bit_sizes holds {bits}; a prime has 2 to {MAX_PRIME_BITS} bits",
            )
    left: dict[int, list[int]] = {}
    for bits in set(bit_sizes):
        left[bits] = _largest_primes(bits, list(bit_sizes).count(bits), ring_degree)
    return tuple(left[bits].pop() for bits in bit_sizes)


def _largest_primes(bits: int, count: int, ring_degree: int) -> list[int]:
    step = 2 * ring_degree
    first = ((1 << bits) - 1) // step * step + 1
    primes: list[int] = []
    for candidate in range(first if first < 1 << bits else first - step, 1 << (bits - 1), -step):
        if is_prime(candidate):
            primes.append(candidate)
            if len(primes) == count:
                return primes
    raise refusal(
        RuntimeError,
        "failed to find enough qualifying primes",
        f"{count} of {bits} bits = 1 mod {step} are needed, there are {len(primes)}; use more bits, fewer primes of "
        "this size or a smaller poly_modulus_degree",
    )


def ckks_parameters(
    poly_modulus_degree: object, coeff_mod_bit_sizes: object, security: Security | str | None = None
) -> ParameterSet:
    """Return SEAL's primes for these sizes, the last one special, with digits of one prime and SEAL's order of slots.

    Args:
        poly_modulus_degree: N, a power of two.
        coeff_mod_bit_sizes: bits of each prime; SEAL's default ones if empty.
        security: the table to ask. None asks the 2024 table first and after it, with one LegacySecurityWarning, the
            HomomorphicEncryption.org standard of 2018, which SEAL and TenSEAL follow.

    Raises:
        ValueError: the degree or a size is invalid, or the parameters are beyond the standard of 2018.
        RuntimeError: there are too few primes of a size, or none is left for key switching.
        SecurityError: the parameters are beyond the table that `security` names.
        TypeError: an argument has a wrong type.
    """
    degree = whole_number(poly_modulus_degree, "new", 64)
    sizes = bit_sizes_of(coeff_mod_bit_sizes)
    if not 2 <= degree <= _LARGEST_DEGREE or degree & (degree - 1):
        raise refusal(
            ValueError,
            "poly_modulus_degree is invalid" if sizes else "non-standard poly_modulus_degree",
            f"{degree} is not a power of two up to 2^17",
        )
    if sizes:
        return chain_parameters(degree, seal_primes(degree, sizes), security)
    if degree in _DEFAULT_BITS:
        ascending = seal_primes(degree, _DEFAULT_BITS[degree])
        primes = sorted(ascending, key=lambda prime: (prime.bit_length(), -prime))
        return chain_parameters(degree, primes, security)
    if degree in _SINGLE_PRIMES:
        raise no_key_switching()
    raise refusal(
        ValueError,
        "non-standard poly_modulus_degree",
        f"coeff_mod_bit_sizes is empty, and there is no default for N = {degree}",
    )


def not_set_correctly(error: ParameterError) -> Exception:
    """Return SEAL's error for parameters that make no set, or a set that is not secure."""
    advice = str(error).replace("ring_degree", "poly_modulus_degree")  # TenSEAL's name
    return refusal(ValueError, "encryption parameters are not set correctly", advice)


def no_key_switching() -> Exception:
    """Return the error of a chain without a prime for key switching."""
    return refusal(
        RuntimeError,
        "keyswitching is not supported by the context",
        "coeff_mod_bit_sizes needs a size for the special prime besides the others",
    )


def chain_parameters(
    ring_degree: int, primes: Sequence[int], security: Security | str | None = None
) -> ParameterSet:
    """Return a parameter set of SEAL's kind with these primes, the last one special; errors as in ckks_parameters.

    A KeySwitchNoiseWarning tells that the special prime is more than a bit below the largest of the others.
    """
    if len(primes) < 2:
        raise no_key_switching()
    if len(primes) > MAX_PRIME_COUNT:
        raise refusal(
            ValueError,
            "coeff_modulus is invalid",
            f"coeff_mod_bit_sizes holds {len(primes)} sizes; at most {MAX_PRIME_COUNT} are supported",
        )

    if 2 * primes[-1] < max(primes):
        warnings.warn(
            f"the last prime has {primes[-1].bit_length()} bits, the largest {max(primes).bit_length()}: rotations and "
            "relinearisations divide their noise by the last one only; make it the largest",
            KeySwitchNoiseWarning,
            stacklevel=depth_of_caller(),
        )

    def make(level: Security) -> ParameterSet:
        return ParameterSet(ring_degree, tuple(primes[:-1]), (primes[-1],), 1, level, slot_generator=3)

    if security is not None and Security.parse(security) is not Security.HE_STANDARD_2018:
        return make(Security.parse(security))
    try:
        return make(Security.CLASSICAL_128)
    except SecurityError as beyond:
        try:
            parameters = make(Security.HE_STANDARD_2018)
        except SecurityError as error:
            raise not_set_correctly(error) from None
        warn_legacy(str(beyond))
        return parameters
    except ParameterError as error:
        raise not_set_correctly(error) from None
