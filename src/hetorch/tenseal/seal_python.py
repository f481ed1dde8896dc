"""seal-python, which runs BFV: an optional dependency, imported when a BFV context is made."""

from __future__ import annotations

import importlib
from typing import Any

from hetorch.errors import InputError, WireError
from hetorch.interop.seal_format.stream import HEADER_BYTES, MINOR_VERSION, Reader, frame


def library() -> Any:
    """The module `seal`; InputError without it."""
    try:
        return importlib.import_module("seal")
    except ModuleNotFoundError:
        raise InputError(
            "BFV runs on seal-python, which is not installed: pip install 'hetorch[seal]'"
        ) from None


def saved(thing: Any) -> bytes:
    """SEAL's bytes of a ciphertext or key, not compressed, as TenSEAL's SEAL reads them.

    Never by way of a file: a secret key must not reach a disk. seal-python's wheel knows no compression, and writes an
    older minor version than it reads, which TenSEAL's refuses.
    """
    data = bytearray(thing.to_string())
    _renumber(data, 0, type(thing).__name__)
    return bytes(data)


# Bytes of a frame's content before the array in it. A ciphertext (as a public key is): parms_id (32), is_ntt_form (1),
# five numbers. A plaintext (as a secret key is): parms_id and two numbers.
_BEFORE_ARRAY = {"Ciphertext": 32 + 1 + 5 * 8, "PublicKey": 32 + 1 + 5 * 8, "SecretKey": 32 + 2 * 8}
_SIZE_AT = 8


def _renumber(data: bytearray, at: int, kind: str) -> int:
    """Write the minor version that we write into the frame at `at` and those in it; where the frame ends."""
    data[at + 4] = MINOR_VERSION
    end = at + int.from_bytes(data[at + _SIZE_AT : at + HEADER_BYTES], "little")
    content = at + HEADER_BYTES
    if kind in _BEFORE_ARRAY:
        data[content + _BEFORE_ARRAY[kind] + 4] = MINOR_VERSION
        return end
    # Relinearisation and Galois keys: parms_id, then a list of lists of public keys, each with its length before it.
    position = content + 32
    outer = int.from_bytes(data[position : position + 8], "little")
    position += 8
    for _ in range(outer):
        inner = int.from_bytes(data[position : position + 8], "little")
        position += 8
        for _ in range(inner):
            position = _renumber(data, position, "PublicKey")
    return end


def plain_frame(data: bytes, what: str, limit: int) -> bytes:
    """The same SEAL object without compression, under a version that TenSEAL reads; WireError (a ValueError) if it is
    not one, or holds more than `limit` bytes."""
    reader = Reader.of_frame(data, what, limit)
    return frame(bytes(reader.take(reader.left)))


def loaded(context: Any, loader: str, data: bytes, what: str, limit: int) -> Any:
    """An object from SEAL's bytes, which hold at most `limit`, checked by SEAL against the context; WireError for
    anything else."""
    try:
        return getattr(context, loader)(plain_frame(data, what, limit))
    except (RuntimeError, ValueError) as error:
        raise WireError(f"{what} does not fit this context: {error}") from None
