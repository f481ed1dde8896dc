"""Layer 0: the error tree. A message says what was wrong, where, the value seen, and what to do about it.

HetorchError                      everything that hetorch raises on purpose
├── InputError                    a value that the caller passed               (also ValueError)
├── ParameterError                a malformed parameter set                    (also ValueError)
│   └── SecurityError             a well-formed set below the requested security
├── UnsupportedModelError         a model with an operation that cannot be compiled
├── TrainingError                 training diverged
├── PlanError                     anything about a compiled plan
│   ├── InfeasibleError           no parameters, layouts or keys satisfy the options of compile
│   ├── PlanFormatError           a plan's bytes are corrupt, of another version or inconsistent
│   └── PlanUseError              a sound plan where it cannot run: engine, parameters, weights, memory
│       └── PlanAttributeError    an attribute that a plan does not have        (also AttributeError)
├── StorageError                  a folder or file that cannot be read or written
│   └── VaultError                the data owner's key vault
├── LevelError                    operands at the wrong level or scale         (also ValueError)
├── KeyMissingError               an evaluation key that was not made
├── WireError                     bytes from outside that are malformed        (also ValueError)
│   ├── OtherVersionError         bytes of a format version that is not read here
│   └── MixupError                whole bytes that were made for something else; `what` tells
├── RemoteError                   the server refused, failed or did not answer; has `status` and `code`
├── RoundVoidError                a round of training together ended without a sum; has `exposed`
├── SpentStateError               a state of a round was used a second time
├── MissingPackageError           an optional package is not installed         (also ImportError)
└── SecretImportError             a server process would hold a secret key     (also ImportError)

A class that is also a built-in one is caught where the built-in one is expected. The command line prints each of these
as one line and exits with 1.
"""

from __future__ import annotations

from typing import Any

from hetorch.user_information import without_user_information


class HetorchError(Exception):
    """Base of every error that hetorch raises on purpose; its message, which may repeat what the caller passed, is
    without names and passwords of addresses."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_user_information(a) if isinstance(a, str) else a for a in args))


class InputError(HetorchError, ValueError):
    """A value that the caller passed has the wrong shape, type or range."""


class ParameterError(HetorchError, ValueError):
    """A parameter set is malformed: not a power of two, not an NTT prime, a chain that does not fit."""


class SecurityError(ParameterError):
    """A parameter set is well-formed but below the requested security level."""


class UnsupportedModelError(HetorchError):
    """The model has an operation that cannot be compiled; the message names it and the nearest alternative that works.

    `analysis` is the hetorch.ir.analysis.Analysis of the whole model, or None if the model could not be traced.
    """

    def __init__(self, message: str, analysis: Any = None) -> None:
        super().__init__(message)
        self.analysis = analysis


class TrainingError(HetorchError):
    """Training diverged: a loss is NaN or infinite; the message says when, and what helps."""


class PlanError(HetorchError):
    """A compiled plan is wrong or used wrongly, or a plan cannot be made; the subclasses tell which."""


class InfeasibleError(PlanError):
    """No parameters, layouts or keys satisfy the options of hetorch.compile; the message says what would help."""


class PlanFormatError(PlanError):
    """The bytes of a plan are corrupt, of another version, or inconsistent with one another."""


class PlanUseError(PlanError):
    """A sound plan cannot run here: on this engine, with these parameters, without its weights, in this memory."""


class PlanAttributeError(PlanUseError, AttributeError):
    """A plan does not have this attribute; the message names the call or the attribute that does what is meant."""


class StorageError(HetorchError):
    """A folder or a file cannot be read or written; the message names it and says what to do."""


class VaultError(StorageError):
    """The data owner's key vault cannot be used: wrong permissions, missing or foreign keys, a spent budget."""


class LevelError(HetorchError, ValueError):
    """Operands are at the wrong level or scale, or there is no level left to rescale."""


class KeyMissingError(HetorchError):
    """An operation needs an evaluation key that was not made, or was made for a lower level."""


class WireError(HetorchError, ValueError):
    """Bytes from outside are malformed, truncated, oversized or made for other parameters."""


class OtherVersionError(WireError):
    """Bytes from outside have a format version that this hetorch does not read; another hetorch may read them."""


class MixupError(WireError):
    """Bytes from outside are well-formed but made for something else. `what` tells what was mixed up: "version", for
    another plan, or "parameters"."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


class RemoteError(HetorchError):
    """The server refused or failed, or did not answer; the message has the server's sentence if there is one.

    `status` is the HTTP status, or None if there was no answer. `code` is the stable name of the reason
    (`hetorch.wire.codes`), or None if the answer has none, for example because a proxy sent it.
    """

    def __init__(self, message: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RoundVoidError(HetorchError):
    """A round of training together ended without a sum; the message says why.

    `exposed` is True once this party has sent its encrypted update. Others may then have opened a sum with it, so the
    same update must not go into another round: the difference of two sums could be one party's update.
    """

    def __init__(self, message: str, exposed: bool = False) -> None:
        super().__init__(message)
        self.exposed = exposed


class SpentStateError(HetorchError):
    """A state of a round, or a party, was used a second time; answering twice could reveal an update."""


class MissingPackageError(HetorchError, ImportError):
    """A part of hetorch needs a package that is not installed; the message names the extra to install."""


class SecretImportError(HetorchError, ImportError):
    """A server process has loaded, or tried to import, a module that handles secret keys."""


class InputRangeWarning(UserWarning):
    """An input, or a result, lies outside the range of those of calibration; far outside the result is meaningless."""


class CalibrationWarning(UserWarning):
    """Calibration inputs say little about the inputs to come, or may have been read otherwise than they are meant."""


class ApproximationWarning(UserWarning):
    """A compiled network is less exact than the options ask; the message says by how much and what helps.

    With `strict=True`, hetorch.compile raises InfeasibleError instead.
    """


class InsecureParametersWarning(UserWarning):
    """A parameter set without a security level is in use; for tests only."""


class KeySwitchNoiseWarning(UserWarning):
    """A special prime is far smaller than the others: rotations and relinearisations leave much noise."""


class LegacySecurityWarning(UserWarning):
    """Parameters exceed the security table of 2024, and are accepted by that of HomomorphicEncryption.org of 2018."""
