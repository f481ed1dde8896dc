"""CKKS parameters as SEAL chooses them, so that contexts, keys and ciphertexts mean the same to both."""

from __future__ import annotations

import math
import operator
import sys
import warnings
from collections.abc import Sequence

import numpy as np

from hetorch.errors import KeySwitchNoiseWarning, LegacySecurityWarning, ParameterError, SecurityError
from hetorch.params import ParameterSet, Security, is_prime
from hetorch.params.checks import MAX_PRIME_COUNT
from hetorch.params.primes import MAX_PRIME_BITS
from hetorch.params.security import max_log2_qp
from hetorch.tenseal.errors import ContextError, OperandTypeError

# SEAL's CoeffModulus.BFVDefault at 128 bits (native/src/seal/util/globals.cpp, SEAL 4): what TenSEAL takes when no bit
# sizes are given. The largest primes of these sizes, the larger first.
_DEFAULT_BITS = {
    1 << 12: (36, 36, 37),
    1 << 13: (43, 43, 44, 44, 44),
    1 << 14: (48, 48, 48, 49, 49, 49, 49, 49, 49),
    1 << 15: (55,) * 15 + (56,),
}


def seal_primes(ring_degree: int, bit_sizes: Sequence[int]) -> tuple[int, ...]:
    """The primes of SEAL's CoeffModulus.Create: for each size the largest ones = 1 mod 2N, the smaller ones first.

    ContextError (also a RuntimeError) if a size has too few of them; ParameterError for a size outside 2..60.
    """
    chosen: dict[int, list[int]] = {}
    for bits in bit_sizes:
        if not 2 <= bits <= MAX_PRIME_BITS:
            raise ParameterError(
                f"coeff_mod_bit_sizes holds {bits}; a prime has 2 to {MAX_PRIME_BITS} bits: bit_sizes is invalid"
            )
    for bits in set(bit_sizes):
        chosen[bits] = _largest_primes(bits, list(bit_sizes).count(bits), ring_degree)
    return tuple(chosen[bits].pop() for bits in bit_sizes)


def _largest_primes(bits: int, count: int, ring_degree: int) -> list[int]:
    step = 2 * ring_degree
    first = ((1 << bits) - 1) // step * step + 1
    found: list[int] = []
    for candidate in range(first if first < 1 << bits else first - step, 1 << (bits - 1), -step):
        if is_prime(candidate):
            found.append(candidate)
            if len(found) == count:
                return found
    raise ContextError(
        f"failed to find enough qualifying primes: {count} of {bits} bits = 1 mod {step} are needed, there are "
        f"{len(found)}; use more bits, fewer primes of this size or a smaller poly_modulus_degree"
    )


def _integers(values: object) -> list[int]:
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str | bytes):
        raise OperandTypeError(f"coeff_mod_bit_sizes must be a list of int, got {type(values).__name__}")
    if len(values) > MAX_PRIME_COUNT:
        raise ContextError(
            f"coeff_mod_bit_sizes holds {len(values)} sizes; at most {MAX_PRIME_COUNT} are supported"
        )
    try:
        return [operator.index(value) for value in values]
    except TypeError:
        raise OperandTypeError("coeff_mod_bit_sizes must be a list of int") from None


def ring_degree_of(value: object) -> int:
    """`poly_modulus_degree` as an int; OperandTypeError (also a TypeError) for anything else."""
    try:
        degree = operator.index(value)  # type: ignore[arg-type]  # that it may not be one is the point
    except TypeError:
        raise OperandTypeError(f"poly_modulus_degree must be an int, got {type(value).__name__}") from None
    if degree < 0:
        raise OperandTypeError(f"poly_modulus_degree must be an int above 0, got {degree}")
    return degree


def ckks_parameters(
    poly_modulus_degree: object, coeff_mod_bit_sizes: object, security: Security | str | None = None
) -> ParameterSet:
    """SEAL's primes for these sizes, the last one special; digits of one prime; SEAL's order of the slots.

    Without `security` the 2024 table is asked first and the HomomorphicEncryption.org standard of 2018, which SEAL
    and TenSEAL follow, after it, with one LegacySecurityWarning. ParameterError or SecurityError (both ValueError)
    beyond both, or for what is not a chain.
    """
    degree = ring_degree_of(poly_modulus_degree)
    if degree < 2 or degree & (degree - 1):
        raise ParameterError(f"poly_modulus_degree is invalid: {degree} is not a power of two")
    sizes = _integers(coeff_mod_bit_sizes)
    if sizes:
        primes = seal_primes(degree, sizes)
    elif degree in _DEFAULT_BITS:
        ascending = seal_primes(degree, _DEFAULT_BITS[degree])
        primes = tuple(sorted(ascending, key=lambda prime: (prime.bit_length(), -prime)))
    else:
        raise ContextError(f"coeff_mod_bit_sizes is empty, and there is no default for N = {degree}")
    return chain_parameters(degree, primes, security)


def chain_parameters(
    ring_degree: int, primes: Sequence[int], security: Security | str | None = None
) -> ParameterSet:
    """A parameter set of SEAL's kind with these primes, the last one special; errors as in ckks_parameters.

    KeySwitchNoiseWarning where the special prime is more than a bit below the largest of the others.
    """
    if len(primes) < 2:
        raise ContextError(
            "keyswitching is not supported by the context: coeff_mod_bit_sizes needs a size for the special prime "
            "besides the others"
        )

    if 2 * primes[-1] < max(primes):
        warnings.warn(
            f"the last prime has {primes[-1].bit_length()} bits, the largest {max(primes).bit_length()}: rotations and "
            "relinearisations divide their noise by the last one only; make it the largest",
            KeySwitchNoiseWarning,
            stacklevel=_depth_of_caller(),
        )

    def make(level: Security) -> ParameterSet:
        return ParameterSet(ring_degree, tuple(primes[:-1]), (primes[-1],), 1, level, slot_generator=3)

    if security is not None and Security.parse(security) is not Security.HE_STANDARD_2018:
        return make(Security.parse(security))
    try:
        return make(Security.CLASSICAL_128)
    except SecurityError as refused:
        try:
            parameters = make(Security.HE_STANDARD_2018)
        except SecurityError as error:
            raise SecurityError(f"encryption parameters are not set correctly: {error}") from None
        _warn_legacy(str(refused))
        return parameters


def check_security(ring_degree: int, primes: Sequence[int], security: Security | str | None = None) -> None:
    """For a modulus that SEAL has taken, and so is within the standard of 2018: SecurityError beyond the table that
    `security` names; without one a LegacySecurityWarning beyond the 2024 table."""
    asked = Security.CLASSICAL_128 if security is None else Security.parse(security)
    # In integers, as ParameterSet: a product a hair above the bound must not be rounded down to it.
    bits, bound = math.prod(primes).bit_length(), max_log2_qp(ring_degree, asked)
    if bits <= bound:
        return
    refused = (
        f"coeff_modulus has {bits} bits, more than the {bound:.0f} of row N = {ring_degree}, security {asked.value} "
        f"of {asked.source}"
    )
    if security is not None:
        raise SecurityError(f"{refused}; use a larger poly_modulus_degree or fewer or smaller primes")
    _warn_legacy(refused)


def _warn_legacy(refused: str) -> None:
    warnings.warn(
        f"{refused}. They are accepted under {Security.HE_STANDARD_2018.source}, which SEAL and TenSEAL follow, "
        "and which newer attacks have overtaken a little",
        LegacySecurityWarning,
        stacklevel=_depth_of_caller(),
    )


def _depth_of_caller() -> int:
    """Frames to the first one outside this package: the line that the warning is about."""
    depth = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("hetorch.tenseal"):
        frame = frame.f_back
        depth += 1
    return depth
