"""The two enumerations of TenSEAL, with the numbers that SEAL's and TenSEAL's files hold."""

from __future__ import annotations

from enum import Enum


class SCHEME_TYPE(Enum):
    """The scheme of a context: CKKS runs on hetorch's core, BFV on seal-python; NONE is refused."""

    NONE = 0
    BFV = 1
    CKKS = 2


class ENCRYPTION_TYPE(Enum):
    """The key that a context encrypts with: the public one (asymmetric) or the secret one (symmetric)."""

    ASYMMETRIC = 0
    SYMMETRIC = 1
