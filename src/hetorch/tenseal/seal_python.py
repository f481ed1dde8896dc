"""seal-python, which runs BFV: an optional dependency, imported when a BFV context is made."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from hetorch.engine.seal_format.stream import Reader, frame
from hetorch.errors import InputError, WireError

# As much as a Galois key set of SEAL's largest ring holds (N = 2^15, 16 primes, 2 * 14 + 1 keys, twice 8 bytes a word).
_MOST_BYTES = 1 << 33


def library() -> Any:
    """The module `seal`; InputError without it."""
    try:
        return importlib.import_module("seal")
    except ModuleNotFoundError:
        raise InputError("BFV runs on seal-python, which is not installed: pip install 'hetorch[seal]'") from None


def saved(thing: Any) -> bytes:
    """SEAL's bytes of an object, not compressed: seal-python's wheel knows no compression, and saves to files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        thing.save(str(path))
        return path.read_bytes()


def plain_frame(data: bytes, what: str) -> bytes:
    """The same SEAL object without compression; WireError (a ValueError) if it is not one."""
    reader = Reader.of_frame(data, what, _MOST_BYTES)
    return frame(bytes(reader.take(reader.left)))


def loaded(context: Any, loader: str, data: bytes, what: str) -> Any:
    """An object from SEAL's bytes, checked by SEAL against the context; WireError for anything else."""
    try:
        return getattr(context, loader)(plain_frame(data, what))
    except (RuntimeError, ValueError) as error:
        raise WireError(f"{what} does not fit this context: {error}") from None
