"""A server process can never hold a secret key: the modules that make or use one are refused by its importer."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

SECRET_MODULES = frozenset(
    {"hetorch.engine.secret", "hetorch.interop.seal_format.secret_key", "hetorch.engine._secret"}
)


class SecretImportError(ImportError):
    """Code in the server process tried to import key generation or decryption."""


class SecretBlocker(importlib.abc.MetaPathFinder):
    """Stands first on sys.meta_path and refuses SECRET_MODULES."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None (ask the next finder) for everything else; SecretImportError for the secret modules."""
        if fullname in SECRET_MODULES:
            raise SecretImportError(
                f"the server process may not import {fullname}: it must never hold a secret key"
            )
        return None


def loaded_secret_modules() -> list[str]:
    """Names of the secret modules that this process has loaded; a server must have none."""
    return sorted(SECRET_MODULES.intersection(sys.modules))


def isolate() -> None:
    """Refuse the secret modules from now on in this process; SecretImportError if one is loaded already."""
    loaded = loaded_secret_modules()
    if loaded:
        raise SecretImportError(
            f"this process has loaded {', '.join(loaded)}; start the server in a process of its own"
        )
    if not any(isinstance(finder, SecretBlocker) for finder in sys.meta_path):
        sys.meta_path.insert(0, SecretBlocker())
