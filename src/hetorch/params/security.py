"""The security tables: the largest modulus for each ring degree, copied from publications and not estimated here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from hetorch.errors import ParameterError


class Security(StrEnum):
    """The security against which parameters are checked; the value is its name in files and on the command line."""

    CLASSICAL_128 = "128"
    CLASSICAL_192 = "192"
    CLASSICAL_256 = "256"
    NONE = "none"
    HE_STANDARD_2018 = "he-standard-2018"

    @classmethod
    def parse(cls, value: object) -> Security:
        """Return the member with this value.

        Raises:
            ParameterError: there is none; the message names the values that exist.
        """
        try:
            return cls(str(value))
        except ValueError:
            known = ", ".join(repr(member.value) for member in cls)
            raise ParameterError(f"security {value!r} is not known; use one of {known}") from None

    @property
    def bits(self) -> int:
        """The security against classical attacks, in bits; 0 for `none`."""
        return _BITS[self]

    @property
    def source(self) -> str:
        """The publication with the bound, for messages and reports."""
        return _SOURCES[self]


_BITS: Mapping[Security, int] = MappingProxyType(
    {
        Security.CLASSICAL_128: 128,
        Security.CLASSICAL_192: 192,
        Security.CLASSICAL_256: 256,
        Security.NONE: 0,
        Security.HE_STANDARD_2018: 128,
    }
)

_GUIDELINES = "Security Guidelines for Implementing Homomorphic Encryption (ePrint 2024/463), table 5.2"
_STANDARD = "Homomorphic Encryption Security Standard (HomomorphicEncryption.org, November 2018), table 1"

_SOURCES: Mapping[Security, str] = MappingProxyType(
    {
        Security.CLASSICAL_128: _GUIDELINES,
        Security.CLASSICAL_192: _GUIDELINES,
        Security.CLASSICAL_256: _GUIDELINES,
        Security.NONE: "no bound: for tests only",
        Security.HE_STANDARD_2018: _STANDARD,
    }
)

# log2(ring_degree) -> greatest log2(QP), for a uniform ternary secret and an error of standard deviation 3.19, against
# classical attacks. For a degree without an entry the table lists no modulus.
_TABLES: Mapping[Security, Mapping[int, int]] = MappingProxyType(
    {
        # ePrint 2024/463, table 5.2.
        Security.CLASSICAL_128: MappingProxyType(
            {10: 26, 11: 53, 12: 106, 13: 214, 14: 430, 15: 868, 16: 1747, 17: 3523}
        ),
        Security.CLASSICAL_192: MappingProxyType(
            {11: 36, 12: 73, 13: 147, 14: 297, 15: 597, 16: 1199, 17: 2411}
        ),
        Security.CLASSICAL_256: MappingProxyType(
            {11: 27, 12: 56, 13: 114, 14: 230, 15: 462, 16: 929, 17: 1866}
        ),
        # HomomorphicEncryption.org 2018, ternary secret, 128 bits; SEAL and TenSEAL check this table.
        Security.HE_STANDARD_2018: MappingProxyType({10: 27, 11: 54, 12: 109, 13: 218, 14: 438, 15: 881}),
    }
)


# (log2(dimension), weight) -> greatest log2 of the modulus for a ternary secret of that many nonzero coefficients and
# an error of standard deviation 3.19, at 128 bits. The guidelines' table covers no sparse secret. (15, 32) with 90 bits
# is from the lattice estimator (Albrecht, Player, Scott, "On the concrete hardness of learning with errors", J. Math.
# Cryptol. 9, 2015): 2^152.6 operations for its best attack here, the primal hybrid with meet-in-the-middle. (16, 32)
# with 121 bits is from the published estimates of SparseLWEkit (bdd_mitm_hybrid): 2^171.9. An estimate of the same
# attack for (14, 32) with 85 bits gives 2^124, so it has no row.
_SPARSE_ROWS: Mapping[tuple[int, int], int] = MappingProxyType({(15, 32): 90, (16, 32): 121})


def max_log2_sparse(dimension: int, weight: int, security: Security) -> float:
    """Return the largest size in bits of the modulus of a switching key under a sparse ternary secret.

    The result is infinite for `Security.NONE`, and 0.0 if there is no row, so that no such key is allowed: rows exist
    at 128 bits alone.

    Args:
        dimension: the dimension of the ring, or of the subring in which the secret lies.
        weight: the number of nonzero coefficients.
        security: the security that is asked for.

    Raises:
        ParameterError: `dimension` is not a power of two.
    """
    if dimension < 1 or dimension & (dimension - 1):
        raise ParameterError(f"the dimension of a sparse secret must be a power of two, got {dimension}")
    if security is Security.NONE:
        return math.inf
    if security is not Security.CLASSICAL_128:
        return 0.0
    return float(_SPARSE_ROWS.get((dimension.bit_length() - 1, weight), 0))


def max_log2_qp(ring_degree: int, security: Security) -> float:
    """Return the largest size in bits of the whole modulus QP (data and special primes) at this ring degree.

    The result is infinite for `Security.NONE`, and 0.0 if the table has no row, so that no modulus is allowed.

    Raises:
        ParameterError: `ring_degree` is not a power of two.
    """
    if ring_degree < 1 or ring_degree & (ring_degree - 1):
        raise ParameterError(f"ring_degree must be a power of two, got {ring_degree}")
    if security is Security.NONE:
        return math.inf
    return float(_TABLES[security].get(ring_degree.bit_length() - 1, 0))
