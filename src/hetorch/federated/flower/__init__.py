"""Training together in Flower: two lines make an app's updates encrypted.

`EncryptedUpdates` is a mod for the ClientApp, `EncryptedFedAvg` a strategy for the ServerApp. Both need flwr 1.42, and
are loaded when they are first used: the process of a kept party (`keeper`) does without flwr, and the strategy loads no
code that knows secrets.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING

from hetorch.errors import MissingPackageError
from hetorch.optional_packages import explain_missing

if TYPE_CHECKING:  # the same names as in _EXPORTS, for type checkers
    from hetorch.federated.flower.mod import EncryptedUpdates as EncryptedUpdates
    from hetorch.federated.flower.strategy import EncryptedFedAvg as EncryptedFedAvg

_EXPORTS = {
    "EncryptedFedAvg": "hetorch.federated.flower.strategy",
    "EncryptedUpdates": "hetorch.federated.flower.mod",
}
"""The module that defines each public name."""
_OLDEST = (1, 42)
"""The oldest release of flwr with these interfaces."""

__all__ = list(_EXPORTS)


def check_flwr() -> None:
    """Raise MissingPackageError unless flwr is installed and new enough."""
    with explain_missing("hetorch.federated.flower"):
        importlib.import_module("flwr")
    version = importlib.metadata.version("flwr")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
        raise MissingPackageError(
            f"hetorch.federated.flower needs flwr 1.42 or newer, {version} is installed. flwr pins many packages, so "
            "use an environment of its own: pip install 'hetorch[flower]'"
        )


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it."""
        if name not in _EXPORTS:
            raise AttributeError(f"module 'hetorch.federated.flower' has no attribute {name!r}")
        check_flwr()
        return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
