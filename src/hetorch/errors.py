"""The one error tree. A message says what was wrong, where, the value seen, and what to do about it."""

from __future__ import annotations

from typing import Any


class HetorchError(Exception):
    """Base of every error that hetorch raises on purpose."""


class ParameterError(HetorchError, ValueError):
    """A parameter set is malformed: not a power of two, not an NTT prime, a chain that does not fit."""


class SecurityError(ParameterError):
    """A parameter set is well-formed but below the security level asked for."""


class InputError(HetorchError, ValueError):
    """A value handed in by the user has the wrong shape, type or range."""


class UnsupportedModelError(HetorchError):
    """The model holds an operation that cannot be compiled; the message names it and the nearest thing that works.

    `analysis` is the hetorch.ir.analysis.Analysis of the whole model, or None if it could not even be traced.
    """

    def __init__(self, message: str, analysis: Any = None) -> None:
        super().__init__(message)
        self.analysis = analysis


class PlanError(HetorchError):
    """A plan is inconsistent, cannot be read, or no parameter set satisfies it."""


class LevelError(HetorchError, ValueError):
    """Operands at the wrong level or scale, or no level left to rescale."""


class KeyMissingError(HetorchError):
    """An operation needs an evaluation key that was not made, or was made for a lower level."""


class WireError(HetorchError, ValueError):
    """Bytes from outside are malformed, truncated, oversized or made for other parameters."""


class VaultError(HetorchError):
    """The key vault of the data owner cannot be used: wrong permissions, missing or foreign keys."""


class RemoteError(HetorchError):
    """The server refused or failed; `status` is the HTTP status, the message the server's sentence."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class InsecureParametersWarning(UserWarning):
    """A parameter set without a security level is in use; for tests only."""


class KeySwitchNoiseWarning(UserWarning):
    """A special prime far below the others: rotations and relinearisations leave much noise."""


class LegacySecurityWarning(UserWarning):
    """Parameters beyond the 2024 security table, accepted under the HomomorphicEncryption.org standard of 2018."""
