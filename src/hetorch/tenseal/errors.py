"""hetorch's errors that are also of the built-in types which TenSEAL raises: an `except` written for it holds."""

from __future__ import annotations

from hetorch.errors import HetorchError, InputError, KeyMissingError, ParameterError, WireError


class MissingKeyError(KeyMissingError, ValueError):
    """The context lacks the key that an operation needs."""


class OperandTypeError(HetorchError, TypeError):
    """An operand or argument of a type that the operation does not take."""


class BroadcastError(InputError, RuntimeError):
    """Shapes that cannot be broadcast to each other."""


class BytesError(WireError, RuntimeError):
    """Bytes that are not what they should be. TenSEAL has ValueError or RuntimeError for them, by where they break."""


class ContextError(ParameterError, RuntimeError):
    """Parameters for which SEAL finds no primes, or that leave no prime for key switching."""
