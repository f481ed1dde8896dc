"""Keys and parameters as objects of the types that TenSEAL gives out."""

from __future__ import annotations

from typing import Any, NoReturn

from hetorch.tenseal.scheme.errors import refusal


class SEALPrimitive:
    """A wrapper that tells keys apart by type; TypeError if `data` is not of its kind."""

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def data(self) -> Any:
        """The wrapped object: of the class in `seal_objects` with this one's name, or the scheme's en- or decryptor."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if type(value).__name__ != type(self).__name__ or isinstance(value, SEALPrimitive):
            raise refusal(TypeError, f"value must be of type {type(self)}", f"got {type(value).__name__}")
        self._data = value

    @classmethod
    def _wrap(cls, data: Any) -> SEALPrimitive:
        return cls(data)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object: use Context.serialize()")


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
