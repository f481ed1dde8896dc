"""Messages of a round of training together: who sends to whom, a content of known length, and a signature.

A message is a frame with three blobs: the route (sender and recipient, 2 bytes each, little-endian), the content and 64
bytes of Ed25519. The sum, from the aggregator, which signs nothing, has the route and the content alone. A bundle is a
frame whose blobs are messages: what the aggregator sends to a party, and a party's shares for all others.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from hetorch.errors import MixupError, WireError
from hetorch.quantities import count_text
from hetorch.wire.frame import Blob, FrameLimits, Header, Kind, dump_frame, load_frame, load_header

SIGNATURE_BYTES = 64
EVERYONE = 0xFFFF
"""The recipient of a message for all parties, and the sender of the aggregator's."""
_ROUTE = struct.Struct("<HH")
_DOMAIN = b"hetorch federated 1"


@dataclass(frozen=True, slots=True)
class RoundMessage:
    """One message. `roster` and `round_id` have 32 bytes; `content` may be a view into the bytes it was parsed from."""

    kind: Kind
    roster: bytes
    round_id: bytes
    sender: int
    recipient: int
    content: Blob
    signature: bytes | memoryview = b""
    _digest: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the content, computed once."""
        if not self._digest:
            self._digest.append(hashlib.sha256(self.content).digest())
        return self._digest[0]

    def know_digest(self, digest: bytes) -> None:
        """Take SHA-256 of the content from the caller, who has computed it already."""
        self._digest[:] = [digest]

    def signed_bytes(self) -> bytes:
        """Return the bytes that the sender signs: everything but the signature, the content by its SHA-256."""
        head = struct.pack("<H", self.kind) + self.roster + self.round_id
        return _DOMAIN + head + _ROUTE.pack(self.sender, self.recipient) + self.digest

    def dump(self) -> bytes:
        """Encode the message."""
        blobs: list[Blob] = [_ROUTE.pack(self.sender, self.recipient), self.content]
        if self.kind is not Kind.ROUND_SUM:
            blobs.append(self.signature)
        return dump_frame(self.kind, self.roster, self.round_id, blobs)


def message_limits(kind: Kind, content_bytes: int) -> FrameLimits:
    """Return the limits of a message with a content of this length."""
    lengths = [_ROUTE.size, content_bytes] + [SIGNATURE_BYTES] * (kind is not Kind.ROUND_SUM)
    return FrameLimits(len(lengths), tuple(frozenset({length}) for length in lengths))


def load_round_message(
    data: bytes | bytearray | memoryview, kind: Kind, roster: bytes, round_id: bytes, content_bytes: int
) -> RoundMessage:
    """Parse bytes from outside; WireError unless they are one message of this kind, roster, round and length. The
    signature is unchecked."""
    _check(load_header(data), kind, roster, round_id)
    frame = load_frame(data, message_limits(kind, content_bytes))
    sender, recipient = _ROUTE.unpack(frame.blobs[0])
    signature = frame.blobs[2] if len(frame.blobs) > 2 else b""
    return RoundMessage(kind, roster, round_id, sender, recipient, frame.blobs[1], signature)


def dump_bundle(roster: bytes, round_id: bytes, messages: Sequence[bytes]) -> bytes:
    """Encode messages as one."""
    return dump_frame(Kind.ROUND_BUNDLE, roster, round_id, messages)


def load_bundle(
    data: bytes | bytearray | memoryview,
    roster: bytes,
    round_id: bytes,
    counts: range,
    kind: Kind,
    content_bytes: int,
) -> list[RoundMessage]:
    """Parse a bundle from outside; WireError unless the number of its messages is in `counts`, and each is as
    load_round_message wants it."""
    header = load_header(data)
    _check(header, Kind.ROUND_BUNDLE, roster, round_id)
    if header.count not in counts:
        raise WireError(
            f"the message holds {count_text(header.count, 'message')} of parties, expected {counts[0]} to {counts[-1]}"
        )
    length = message_limits(kind, content_bytes).largest
    frame = load_frame(data, FrameLimits(header.count, frozenset({length})))
    return [load_round_message(blob, kind, roster, round_id, content_bytes) for blob in frame.blobs]


def _check(header: Header, kind: Kind, roster: bytes, round_id: bytes) -> None:
    if header.kind is not kind:
        raise WireError(f"expected a message of kind {kind.name.lower()}, got {header.kind.name.lower()}")
    if header.model != roster:
        raise MixupError("roster", "the message is for another roster; compare the rosters of all parties")
    if header.key_id != round_id:
        raise MixupError("round", "the message is of another round, or of another beginning of this one")
