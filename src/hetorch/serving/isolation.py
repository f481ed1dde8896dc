"""A server process can never hold a secret key: the importer refuses the modules that make, keep or use one.

The refused modules are those of hetorch through which a secret key could come into the process, as a key or as the seed
that it follows from. Modules that import one of them, such as `hetorch.model_owner`, fail with it. Other
packages are not refused: SEAL, which an engine runs on, and TenSEAL could decrypt if they had a key, but no code that
reads hetorch's keys for them can be loaded.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from hetorch.errors import SecretImportError

SECRET_MODULES = frozenset(
    {
        "hetorch.engine._secret",  # key generation and decryption in C++
        "hetorch.engine.secret",  # the same for Python; flood, which belongs to decrypted results
        "hetorch.interop.seal_format.secret_key",  # reads and writes SEAL's secret keys
        "hetorch.interop.tenseal_format",  # reads and writes TenSEAL's contexts, which may hold a secret key
        "hetorch.client",  # the vault, which holds seeds, and the data owner's side around it
        "hetorch.federated.party",  # the secrets of a round of training together
        "hetorch.inspect",  # makes keys, encrypts and decrypts in one process
        "hetorch.tenseal",  # contexts that hold secret keys, for BFV those of SEAL too
    }
)
"""Modules that a server process refuses, and packages, refused with all that is in them."""


class SecretBlocker(importlib.abc.MetaPathFinder):
    """A finder, first on sys.meta_path, that refuses SECRET_MODULES."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise SecretImportError for the secret modules; return None (ask the next finder) for all others."""
        if _is_secret(fullname):
            raise SecretImportError(
                f"the server process may not import {fullname}: it must never hold a secret key"
            )
        return None


def loaded_secret_modules() -> list[str]:
    """Return the names of the secret modules that this process has loaded; in a server it is empty."""
    return sorted(name for name in list(sys.modules) if _is_secret(name))


def isolate() -> None:
    """Refuse the secret modules from now on in this process; SecretImportError if one is loaded already."""
    loaded = loaded_secret_modules()
    if loaded:
        raise SecretImportError(
            f"this process has loaded {', '.join(loaded)}; start the server in a process of its own"
        )
    if not any(isinstance(finder, SecretBlocker) for finder in sys.meta_path):
        sys.meta_path.insert(0, SecretBlocker())


def _is_secret(name: str) -> bool:
    """True for a secret module and for everything in a secret package."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in SECRET_MODULES for end in range(1, len(parts) + 1))
