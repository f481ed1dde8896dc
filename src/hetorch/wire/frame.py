"""The frame of a message: the plan and the keys that it belongs to, and blobs with their lengths.

Layout, little-endian:

    offset  bytes  field
    0       4      magic "HTWM"
    4       2      version of the kind: 2 for a predict response, 1 for the others
    6       2      kind (1 = predict request, 2 = predict response, 3 = public key, 4 = encrypted weights;
                   5 to 12 belong to `hetorch.wire.rounds`)
    8       32     fingerprint of the plan; in kinds 5 to 12 of the roster
    40      32     key id: SHA-256 of the evaluation keys as uploaded; in kinds 5 to 12 the id of the round
    72      4      number of blobs
    76      32     only in kind 2: SHA-256 of the predict request that it answers
    ...            for each blob: 8 bytes of length, then the blob
    ...     32     only in kinds 3 and 4, which lie in files: SHA-256 of everything before it

The number and the lengths of the blobs are known from the plan, so a reader refuses a frame before it copies anything
from it. Every blob carries its own checksum (see `hetorch.engine.codec`). Nothing here is cryptography: the checksums
find damage, not malice, and the digest of the request finds mix-ups: two answers that a proxy exchanged.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from hetorch.errors import MixupError, OtherVersionError, WireError
from hetorch.format_version import tell_other_version
from hetorch.quantities import count_text

MAGIC = b"HTWM"
ID_BYTES = 32
"""Bytes of a plan's fingerprint and of a key id, both SHA-256."""
DIGEST_BYTES = 32
"""Bytes of the SHA-256 at the end of a frame that lies in a file, and of that of the request in a predict response."""
_HEADER = struct.Struct(f"<4sHH{ID_BYTES}s{ID_BYTES}sI")
_LENGTH = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size
"""Bytes of the header; enough for load_header."""


class Kind(IntEnum):
    """The kind of message that a frame carries; the values are on the wire."""

    PREDICT_REQUEST = 1
    PREDICT_RESPONSE = 2
    PUBLIC_KEY = 3
    ENCRYPTED_WEIGHTS = 4
    ROUND_KEY = 5
    ROUND_SHARE = 6
    ROUND_COMMITMENT = 7
    ROUND_UPDATE = 8
    ROUND_SUM = 9
    ROUND_AGREEMENT = 10
    ROUND_OPENING = 11
    ROUND_BUNDLE = 12

    @property
    def in_rounds(self) -> bool:
        """True for the kinds of training together, whose lengths follow from a roster and not from a plan."""
        return self >= Kind.ROUND_KEY

    @property
    def words(self) -> tuple[str, str]:
        """The noun of a blob in messages of errors, and the source of the lengths."""
        return ("part", "the roster says") if self.in_rounds else ("ciphertext", "the plan says")

    @property
    def digest_bytes(self) -> int:
        """Bytes of the digest behind the blobs: 0 for predictions, which never lie in a file."""
        return DIGEST_BYTES if self in (Kind.PUBLIC_KEY, Kind.ENCRYPTED_WEIGHTS) else 0

    @property
    def version(self) -> int:
        """The version of this kind; another kind's change leaves files that were stored before readable."""
        return 2 if self is Kind.PREDICT_RESPONSE else 1

    @property
    def request_bytes(self) -> int:
        """Bytes of the digest of the request, before the blobs: 0 for all but a response."""
        return DIGEST_BYTES if self is Kind.PREDICT_RESPONSE else 0


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """The frames that a reader accepts: exactly `count` blobs, and `digest_bytes` bytes of a digest before or behind
    them. `lengths` holds the allowed lengths of a blob in bytes: one set for all blobs, or a tuple with a set for
    each."""

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
        """Return the lengths in bytes that the blob number `index` may have."""
        return self.lengths[index] if isinstance(self.lengths, tuple) else self.lengths

    def _each(self) -> tuple[frozenset[int], ...]:
        return self.lengths if isinstance(self.lengths, tuple) else (self.lengths,) * self.count

    def _bytes(self, blobs: list[int]) -> int:
        return HEADER_BYTES + sum(_LENGTH.size + blob for blob in blobs) + self.digest_bytes


Blob = bytes | bytearray | memoryview
"""The bytes of a blob that is encoded."""
Piece = TypeVar("Piece", bytes, Blob)


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a frame. `kind` is a known one; `model` (fingerprint of the plan), `key_id` and `count` are as
    they were read, unchecked."""

    kind: Kind
    model: bytes
    key_id: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A parsed frame; `blobs` are read-only views into the bytes that it was parsed from. `request`: the SHA-256 of the
    request that a response answers, unchecked; empty in other kinds."""

    kind: Kind
    model: bytes
    key_id: bytes
    blobs: tuple[memoryview, ...]
    request: bytes = b""


def dump_frame(kind: Kind, model: bytes, key_id: bytes, blobs: Sequence[Blob], request: bytes = b"") -> bytes:
    """Encode a frame. WireError unless `model` (fingerprint of the plan) and `key_id` have 32 bytes each, and so has
    `request`, the SHA-256 of the request that a response answers, where the kind has one."""
    return b"".join(frame_pieces(kind, model, key_id, len(blobs), blobs, request))


def frame_pieces(
    kind: Kind, model: bytes, key_id: bytes, count: int, blobs: Iterable[Piece], request: bytes = b""
) -> Iterator[Piece]:
    """Encode a frame like dump_frame, yielding one piece after the other, so that one blob at a time is in memory.

    The next blob is taken only when the piece before it was consumed. WireError, at the end, unless there were `count`.
    """
    for name, value in (("plan fingerprint", model), ("key id", key_id)):
        if len(value) != ID_BYTES:
            raise WireError(f"a {name} has {ID_BYTES} bytes, got {len(value)}")
    if len(request) != kind.request_bytes:
        raise WireError(
            f"the digest of the request has {kind.request_bytes} bytes in a {kind.name.lower()}, got {len(request)}"
        )
    header = _HEADER.pack(MAGIC, kind.version, kind, model, key_id, count) + request
    digest = hashlib.sha256(header)
    yield header
    written = 0
    for blob in blobs:
        for piece in (_LENGTH.pack(len(blob)), blob):
            if kind.digest_bytes:
                digest.update(piece)
            yield piece
        written += 1
    if written != count:
        raise WireError(f"a frame of {count} blobs was begun, {written} were given")
    if kind.digest_bytes:
        yield digest.digest()


def load_header(data: bytes | bytearray | memoryview) -> Header:
    """Parse the header at the beginning of `data`; WireError unless it is one of this version."""
    if len(data) < HEADER_BYTES:
        raise WireError(
            f"the message has {count_text(len(data), 'byte')}, its header alone has {HEADER_BYTES}; it was cut short"
        )
    magic, version, kind, model, key_id, count = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError(f"the message does not start with {MAGIC!r}; it is no hetorch message")
    if kind not in Kind.__members__.values():
        raise WireError(f"the message has the unknown kind {kind}")
    if version != Kind(kind).version:
        raise OtherVersionError(
            tell_other_version(
                "the message",
                version,
                Kind(kind).version,
                "update hetorch where it comes from, and make it again",
                "update hetorch here",
            )
        )
    return Header(Kind(kind), model, key_id, count)


def load_frame(data: bytes | bytearray | memoryview, limits: FrameLimits) -> Frame:
    """Parse bytes from outside; WireError unless the whole of `data` is one frame within `limits`."""
    view = memoryview(data).toreadonly()
    header = load_header(view)
    blob_name, source = header.kind.words
    if header.count != limits.count:
        raise WireError(f"the message holds {count_text(header.count, blob_name)}, {source} {limits.count}")
    end = len(view) - header.kind.digest_bytes
    blobs: list[memoryview] = []
    offset = HEADER_BYTES + header.kind.request_bytes
    request = bytes(view[HEADER_BYTES:offset])
    for index in range(header.count):
        if end - offset < _LENGTH.size:
            raise WireError(f"the message ends inside the length of {blob_name} {index}; it was cut short")
        (length,) = _LENGTH.unpack_from(view, offset)
        offset += _LENGTH.size
        if length not in limits.of(index):
            expected = " or ".join(str(n) for n in sorted(limits.of(index)))
            raise WireError(
                f"{blob_name} {index} says it has {count_text(length, 'byte')}, {source} {expected}"
            )
        if end - offset < length:
            raise WireError(
                f"{blob_name} {index} says it has {count_text(length, 'byte')}, {max(end - offset, 0)} "
                "are left; it was cut short"
            )
        blobs.append(view[offset : offset + length])
        offset += length
    if offset != end:
        raise WireError(f"after the last {blob_name} there is more: {count_text(end - offset, 'byte')}")
    if header.kind.digest_bytes and hashlib.sha256(view[:end]).digest() != view[end:]:
        raise WireError("the checksum of the message does not match; it was changed on its way")
    return Frame(header.kind, header.model, header.key_id, tuple(blobs), request)


def load_frame_of(
    kind: Kind,
    name: str,
    fingerprint: str,
    data: bytes | bytearray | memoryview,
    limits: FrameLimits,
) -> Frame:
    """Parse bytes from outside like load_frame; WireError also unless the frame has this kind and is for the plan with
    this fingerprint (hex). `name`: the plan's name, for the error's sentence."""
    frame = load_frame(data, limits)
    check_header(Header(frame.kind, frame.model, frame.key_id, len(frame.blobs)), kind, name, fingerprint)
    return frame


def check_header(header: Header, kind: Kind, name: str, fingerprint: str) -> None:
    """Raise WireError unless the header has this kind and names the plan with this fingerprint (hex)."""
    if header.kind is not kind:
        raise WireError(f"expected a message of kind {kind.name.lower()}, got {header.kind.name.lower()}")
    if header.model.hex() != fingerprint:
        raise MixupError(
            "version",
            f"the message is for the plan {header.model.hex()[:12]}…, this is {name!r} ({fingerprint[:12]}…); "
            "fetch the public plan again",
        )
