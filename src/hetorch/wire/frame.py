"""The frame of a message: who it is for, and blobs with their lengths. No cryptography here.

Layout, little-endian:

    offset  bytes  field
    0       4      magic "HTWM"
    4       2      version (1)
    6       2      kind (1 = predict request, 2 = predict response, 3 = public key, 4 = encrypted weights)
    8       32     fingerprint of the plan
    40      32     key id: SHA-256 of the evaluation keys as uploaded
    72      4      number of blobs
    76      ...    for each blob: 8 bytes of length, then the blob
    ...     32     of kinds 3 and 4, which lie in files: SHA-256 of all before it

The number and the lengths of the blobs are known from the plan, so a reader refuses a frame before it copies anything
from it. Every blob carries its own checksum (see `hetorch.engine.codec`).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from hetorch.errors import WireError

MAGIC = b"HTWM"
VERSION = 1
ID_BYTES = 32
DIGEST_BYTES = 32
_HEADER = struct.Struct(f"<4sHH{ID_BYTES}s{ID_BYTES}sI")
_LENGTH = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    """What a frame holds."""

    PREDICT_REQUEST = 1
    PREDICT_RESPONSE = 2
    PUBLIC_KEY = 3
    ENCRYPTED_WEIGHTS = 4

    @property
    def digest_bytes(self) -> int:
        """Of the digest behind the blobs; a prediction has none, it never lies in a file."""
        return DIGEST_BYTES if self in (Kind.PUBLIC_KEY, Kind.ENCRYPTED_WEIGHTS) else 0


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What a reader accepts: exactly `count` blobs, each of one of the `lengths` (bytes): the same for all of them, or
    in a tuple those of each."""

    count: int
    lengths: frozenset[int] | tuple[frozenset[int], ...]
    digest_bytes: int = 0

    @property
    def smallest(self) -> int:
        """Bytes of the smallest frame within these limits."""
        return self._bytes([min(lengths) for lengths in self._each()])

    @property
    def largest(self) -> int:
        """Bytes of the largest frame within these limits."""
        return self._bytes([max(lengths) for lengths in self._each()])

    def of(self, index: int) -> frozenset[int]:
        """The lengths that the blob number `index` may have."""
        return self.lengths[index] if isinstance(self.lengths, tuple) else self.lengths

    def _each(self) -> tuple[frozenset[int], ...]:
        return self.lengths if isinstance(self.lengths, tuple) else (self.lengths,) * self.count

    def _bytes(self, blobs: list[int]) -> int:
        return HEADER_BYTES + sum(_LENGTH.size + blob for blob in blobs) + self.digest_bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a frame; `kind` is a known one, the rest is as it was read."""

    kind: Kind
    model: bytes
    key_id: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A parsed frame; `blobs` are views into the bytes that were read."""

    kind: Kind
    model: bytes
    key_id: bytes
    blobs: tuple[memoryview, ...]


def dump_frame(kind: Kind, model: bytes, key_id: bytes, blobs: Sequence[bytes]) -> bytes:
    """The frame as bytes; `model` and `key_id` are 32 bytes each, else WireError."""
    return b"".join(frame_pieces(kind, model, key_id, len(blobs), blobs))


def frame_pieces(
    kind: Kind, model: bytes, key_id: bytes, count: int, blobs: Iterable[bytes]
) -> Iterator[bytes]:
    """As dump_frame, piece by piece: each blob is taken when the one before it was handed on. WireError if there are
    not `count` of them."""
    for name, value in (("plan fingerprint", model), ("key id", key_id)):
        if len(value) != ID_BYTES:
            raise WireError(f"a {name} has {ID_BYTES} bytes, got {len(value)}")
    header = _HEADER.pack(MAGIC, VERSION, kind, model, key_id, count)
    digest = hashlib.sha256(header)
    yield header
    given = 0
    for blob in blobs:
        piece = _LENGTH.pack(len(blob)) + blob
        if kind.digest_bytes:
            digest.update(piece)
        yield piece
        given += 1
    if given != count:
        raise WireError(f"a frame of {count} blobs was begun, {given} were given")
    if kind.digest_bytes:
        yield digest.digest()


def load_header(data: bytes | bytearray | memoryview) -> Header:
    """The header of a frame of which `data` is the beginning or the whole; WireError if it is none of this version."""
    if len(data) < HEADER_BYTES:
        raise WireError(
            f"the message has {len(data)} bytes, its header alone has {HEADER_BYTES}; it was cut short"
        )
    magic, version, kind, model, key_id, count = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError(f"the message does not start with {MAGIC!r}; it is no hetorch message")
    if version != VERSION:
        raise WireError(
            f"the message has version {version}, this side speaks version {VERSION}; update the older side"
        )
    if kind not in Kind.__members__.values():
        raise WireError(f"the message has the unknown kind {kind}")
    return Header(Kind(kind), model, key_id, count)


def load_frame(data: bytes | bytearray | memoryview, limits: FrameLimits) -> Frame:
    """Parse bytes from outside, strictly: the whole of `data` is one frame within `limits`, else WireError."""
    view = memoryview(data).toreadonly()
    header = load_header(view)
    if header.count != limits.count:
        raise WireError(f"the message holds {header.count} ciphertexts, the plan says {limits.count}")
    end = len(view) - header.kind.digest_bytes
    blobs: list[memoryview] = []
    offset = HEADER_BYTES
    for index in range(header.count):
        if end - offset < _LENGTH.size:
            raise WireError(f"the message ends inside the length of ciphertext {index}; it was cut short")
        (length,) = _LENGTH.unpack_from(view, offset)
        offset += _LENGTH.size
        if length not in limits.of(index):
            expected = " or ".join(str(n) for n in sorted(limits.of(index)))
            raise WireError(f"ciphertext {index} says it has {length} bytes, the plan says {expected}")
        if end - offset < length:
            raise WireError(
                f"ciphertext {index} says it has {length} bytes, {max(end - offset, 0)} are left; it was cut short"
            )
        blobs.append(view[offset : offset + length])
        offset += length
    if offset != end:
        raise WireError(f"{end - offset} bytes follow the last ciphertext")
    if header.kind.digest_bytes and hashlib.sha256(view[:end]).digest() != view[end:]:
        raise WireError("the checksum of the message does not match; it was changed on its way")
    return Frame(header.kind, header.model, header.key_id, tuple(blobs))


def load_frame_of(
    kind: Kind,
    name: str,
    fingerprint: str,
    data: bytes | bytearray | memoryview,
    limits: FrameLimits,
) -> Frame:
    """As load_frame, of this kind and for the plan `name` with this fingerprint (hex), else WireError."""
    frame = load_frame(data, limits)
    check_header(Header(frame.kind, frame.model, frame.key_id, len(frame.blobs)), kind, name, fingerprint)
    return frame


def check_header(header: Header, kind: Kind, name: str, fingerprint: str) -> None:
    """WireError unless it is of this kind and for the plan `name` with this fingerprint (hex)."""
    if header.kind is not kind:
        raise WireError(f"expected a message of kind {kind.name.lower()}, got {header.kind.name.lower()}")
    if header.model.hex() != fingerprint:
        raise WireError(
            f"the message is for the plan {header.model.hex()[:12]}…, this is {name!r} ({fingerprint[:12]}…); "
            "fetch the public plan again"
        )
