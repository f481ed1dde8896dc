"""TenSEAL's module of this name: the context and what belongs to it."""

from __future__ import annotations

from hetorch.tenseal.context import Context
from hetorch.tenseal.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.keys import (
    Decryptor,
    Encryptor,
    GaloisKeys,
    PublicKey,
    RelinKeys,
    SEALContext,
    SEALPrimitive,
    SecretKey,
)

__all__ = [
    "ENCRYPTION_TYPE",
    "SCHEME_TYPE",
    "Context",
    "Decryptor",
    "Encryptor",
    "GaloisKeys",
    "PublicKey",
    "RelinKeys",
    "SEALContext",
    "SEALPrimitive",
    "SecretKey",
]
