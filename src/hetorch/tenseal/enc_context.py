"""TenSEAL's module of this name: the context, its enumerations and its keys."""

from __future__ import annotations

from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.keys import (
    Decryptor,
    Encryptor,
    GaloisKeys,
    PublicKey,
    RelinKeys,
    SEALContext,
    SEALPrimitive,
    SecretKey,
)
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE

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
