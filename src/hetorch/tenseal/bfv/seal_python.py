"""The optional dependency seal-python, which runs BFV; it is imported when a BFV context is made."""

from __future__ import annotations

from typing import Any

from hetorch.errors import WireError
from hetorch.interop.seal_format.stream import HEADER_BYTES, MINOR_VERSION, Reader, frame
from hetorch.optional_packages import require


def library() -> Any:
    """Return the module `seal`; MissingPackageError if it is not installed."""
    return require("seal", "BFV")


def saved(thing: Any) -> bytes:
    """Return SEAL's bytes of a ciphertext or key, not compressed, under a version that TenSEAL's SEAL reads.

    No file is written on the way: a secret key must not reach a disk. seal-python's wheel knows no compression, and
    names an older minor version than it reads, which TenSEAL's SEAL refuses.
    """
    data = bytearray(thing.to_string())
    _renumber(data, 0, type(thing).__name__)
    return bytes(data)


# Bytes of a frame's content before the array in it. A ciphertext, and so a public key, begins with its parms_id (32),
# is_ntt_form (1) and five numbers; a plaintext, and so a secret key, with its parms_id and two numbers.
_BEFORE_ARRAY = {"Ciphertext": 32 + 1 + 5 * 8, "PublicKey": 32 + 1 + 5 * 8, "SecretKey": 32 + 2 * 8}
_VERSION_AT = 4
_SIZE_AT = 8


def _renumber(data: bytearray, at: int, kind: str) -> int:
    """Write MINOR_VERSION into the frame at `at` and into those nested in it; return the end of the frame."""
    data[at + _VERSION_AT] = MINOR_VERSION
    end = at + int.from_bytes(data[at + _SIZE_AT : at + HEADER_BYTES], "little")
    content = at + HEADER_BYTES
    if kind in _BEFORE_ARRAY:
        data[content + _BEFORE_ARRAY[kind] + _VERSION_AT] = MINOR_VERSION
        return end
    # Relinearisation and Galois keys: a parms_id, then a list of lists of public keys, each list after its length.
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
    """Return the same SEAL object without compression, under a version that TenSEAL's SEAL reads.

    WireError for bytes that are no SEAL object or hold more than `limit` bytes; `what` names the object.
    """
    reader = Reader.of_frame(data, what, limit)
    return frame(bytes(reader.take(reader.left)))


def loaded(context: Any, loader: str, data: bytes, what: str, limit: int) -> Any:
    """Return an object from SEAL's bytes, which SEAL checks against the context.

    Args:
        context: seal-python's SEALContext.
        loader: the name of its method that reads this kind of object.
        data: the bytes; what they decompress to may have at most `limit` bytes.
        what: the object's name in messages.
        limit: in bytes.

    Raises:
        WireError: the bytes are malformed, too large or of other parameters.
    """
    try:
        return getattr(context, loader)(plain_frame(data, what, limit))
    except (RuntimeError, ValueError) as error:
        raise WireError(f"{what} does not fit this context: {error}") from None
