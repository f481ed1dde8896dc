"""The frame of a prediction message: who it is for, and ciphertext blobs with their lengths. No cryptography here.

Layout, little-endian:

    offset  bytes  field
    0       4      magic "HTWM"
    4       2      version (1)
    6       2      kind (1 = predict request, 2 = predict response)
    8       32     fingerprint of the plan
    40      32     key id: SHA-256 of the evaluation keys as uploaded
    72      4      number of ciphertexts
    76      ...    for each ciphertext: 8 bytes of length, then the blob

The number and the lengths of the blobs are known from the public plan, so a reader refuses a frame before it copies
anything from it. Every blob carries its own checksum (see `hetorch.engine.codec`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from hetorch.errors import WireError

MAGIC = b"HTWM"
VERSION = 1
ID_BYTES = 32
_HEADER = struct.Struct(f"<4sHH{ID_BYTES}s{ID_BYTES}sI")
_LENGTH = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    """What a frame holds."""

    PREDICT_REQUEST = 1
    PREDICT_RESPONSE = 2


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What a reader accepts: exactly `count` blobs, each of one of the `lengths` (bytes)."""

    count: int
    lengths: frozenset[int]

    @property
    def smallest(self) -> int:
        """Bytes of the smallest frame within these limits."""
        return frame_bytes(self.count, min(self.lengths))

    @property
    def largest(self) -> int:
        """Bytes of the largest frame within these limits."""
        return frame_bytes(self.count, max(self.lengths))


@dataclass(frozen=True, slots=True)
class Frame:
    """A parsed frame; `blobs` are views into the bytes that were read."""

    kind: Kind
    model: bytes
    key_id: bytes
    blobs: tuple[memoryview, ...]


def frame_bytes(count: int, blob_length: int) -> int:
    """Exact bytes of a frame of `count` blobs of `blob_length` bytes each."""
    return HEADER_BYTES + count * (_LENGTH.size + blob_length)


def dump_frame(kind: Kind, model: bytes, key_id: bytes, blobs: Sequence[bytes]) -> bytes:
    """The frame as bytes; `model` and `key_id` are 32 bytes each, else WireError."""
    for name, value in (("plan fingerprint", model), ("key id", key_id)):
        if len(value) != ID_BYTES:
            raise WireError(f"a {name} has {ID_BYTES} bytes, got {len(value)}")
    parts = [_HEADER.pack(MAGIC, VERSION, kind, model, key_id, len(blobs))]
    for blob in blobs:
        parts.append(_LENGTH.pack(len(blob)))
        parts.append(blob)
    return b"".join(parts)


def load_frame(data: bytes | bytearray | memoryview, limits: FrameLimits) -> Frame:
    """Parse bytes from outside, strictly: the whole of `data` is one frame within `limits`, else WireError."""
    view = memoryview(data).toreadonly()
    if len(view) < HEADER_BYTES:
        raise WireError(
            f"the message has {len(view)} bytes, its header alone has {HEADER_BYTES}; it was cut short"
        )
    magic, version, kind, model, key_id, count = _HEADER.unpack_from(view)
    if magic != MAGIC:
        raise WireError(f"the message does not start with {MAGIC!r}; it is no hetorch message")
    if version != VERSION:
        raise WireError(
            f"the message has version {version}, this side speaks version {VERSION}; update the older side"
        )
    if kind not in Kind.__members__.values():
        raise WireError(f"the message has the unknown kind {kind}")
    if count != limits.count:
        raise WireError(f"the message holds {count} ciphertexts, the plan says {limits.count}")
    blobs: list[memoryview] = []
    offset = HEADER_BYTES
    for index in range(count):
        if len(view) - offset < _LENGTH.size:
            raise WireError(f"the message ends inside the length of ciphertext {index}; it was cut short")
        (length,) = _LENGTH.unpack_from(view, offset)
        offset += _LENGTH.size
        if length not in limits.lengths:
            expected = " or ".join(str(n) for n in sorted(limits.lengths))
            raise WireError(f"ciphertext {index} says it has {length} bytes, the plan says {expected}")
        if len(view) - offset < length:
            raise WireError(
                f"ciphertext {index} says it has {length} bytes, {len(view) - offset} are left; it was cut short"
            )
        blobs.append(view[offset : offset + length])
        offset += length
    if offset != len(view):
        raise WireError(f"{len(view) - offset} bytes follow the last ciphertext")
    return Frame(Kind(kind), model, key_id, tuple(blobs))
