"""The known backends, by name."""

from __future__ import annotations

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.errors import InputError
from hetorch.interop.seal.backend import SEAL

BACKENDS: tuple[AnyBackend, ...] = (NATIVE, SEAL)


def backend(name: object) -> AnyBackend:
    """Return the backend called `name`; InputError, which lists the names, for any other."""
    for known in BACKENDS:
        if known.name == name:
            return known
    names = " or ".join(f'"{known.name}"' for known in BACKENDS)
    raise InputError(f"engine must be {names}, got {name!r}")
