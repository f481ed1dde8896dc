"""Layer 0: parameter sets, the security tables that bound them, and the search for their primes."""

from __future__ import annotations

from hetorch.params.key_family import KeyFamily
from hetorch.params.parameter_set import ParameterSet
from hetorch.params.primes import is_prime, ntt_primes
from hetorch.params.security import Security, max_log2_qp, max_log2_sparse

__all__ = [
    "KeyFamily",
    "ParameterSet",
    "Security",
    "is_prime",
    "max_log2_qp",
    "max_log2_sparse",
    "ntt_primes",
]
