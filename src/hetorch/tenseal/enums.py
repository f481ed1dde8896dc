"""The two enumerations of TenSEAL; the values are SEAL's and TenSEAL's numbers, as their files hold them."""

from __future__ import annotations

from enum import Enum


class SCHEME_TYPE(Enum):
    """CKKS runs on hetorch's core, BFV on seal-python; a context of NONE cannot be made."""

    NONE = 0
    BFV = 1
    CKKS = 2


class ENCRYPTION_TYPE(Enum):
    """Whether a context encrypts with a public key or with the secret one."""

    ASYMMETRIC = 0
    SYMMETRIC = 1
