"""Errors of hetorch's tree that are also of the built-in types which TenSEAL raises, so that `except` clauses hold."""

from __future__ import annotations

from hetorch.errors import HetorchError, InputError, KeyMissingError, ParameterError, WireError


class MissingKeyError(KeyMissingError, ValueError):
    """The context lacks the key that an operation needs."""


class OperandTypeError(HetorchError, TypeError):
    """An operand or argument has a type that the operation does not take."""


class BroadcastError(InputError, RuntimeError):
    """Two shapes cannot be broadcast to each other."""


class BytesError(WireError, RuntimeError):
    """Bytes are malformed. TenSEAL raises ValueError or RuntimeError, depending on where they break."""


class ContextError(ParameterError, RuntimeError):
    """SEAL finds no primes for the parameters, or they leave no prime for key switching."""
