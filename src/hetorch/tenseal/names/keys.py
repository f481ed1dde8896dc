"""Keys and parameters as objects of the types that TenSEAL gives out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hetorch.engine import native, secret
from hetorch.engine._native import SwitchingKey
from hetorch.params import ParameterSet
from hetorch.tenseal.scheme.errors import OperandTypeError

# The types that a CKKS context's primitives wrap. A BFV context's wrap seal-python's, which have TenSEAL's names.
_CKKS_TYPES: Mapping[str, type] = MappingProxyType(
    {
        "SecretKey": secret.SecretKey,
        "PublicKey": native.PublicKey,
        "GaloisKeys": dict,
        "RelinKeys": SwitchingKey,
        "SEALContext": ParameterSet,
    }
)


class SEALPrimitive:
    """A wrapper that tells keys apart by type; OperandTypeError if `data` is not of its kind."""

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def data(self) -> Any:
        """The wrapped object, hetorch's own under CKKS and seal-python's under BFV.

        Under CKKS: SecretKey, PublicKey, {Galois element: SwitchingKey}, SwitchingKey or ParameterSet.
        """
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        name = type(self).__name__
        if not isinstance(value, _CKKS_TYPES.get(name, ())) and type(value).__name__ != name:
            raise OperandTypeError(f"value must be of type {name}, got {type(value).__name__}")
        self._data = value

    @classmethod
    def _wrap(cls, data: Any) -> SEALPrimitive:
        return cls(data)


class SecretKey(SEALPrimitive):
    """The secret key; it leaves the process only when a context is serialised with save_secret_key."""


class PublicKey(SEALPrimitive):
    """The key that anybody may encrypt with."""


class GaloisKeys(SEALPrimitive):
    """The keys of rotations, one for each Galois element."""


class RelinKeys(SEALPrimitive):
    """The key that brings products back to two polynomials."""


class SEALContext(SEALPrimitive):
    """The parameters of a context."""


class Encryptor(SEALPrimitive):
    """The object that encrypts for a context."""


class Decryptor(SEALPrimitive):
    """The object that decrypts for a context."""
