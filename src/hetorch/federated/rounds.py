"""Facts of a round that the aggregator and the parties compute alike: ids, contents of messages, signatures."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hetorch.errors import InputError, WireError
from hetorch.federated.ring import BLOCK_BYTES
from hetorch.federated.roster import Roster
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import EVERYONE, RoundMessage, load_bundle, load_round_message

KEY_BYTES = 32
"""Bytes of an X25519 key, and of the key under which a party seals what it tells all others."""
SEAL_BYTES = 16
"""Bytes that ChaCha20-Poly1305 adds."""
TAG_BYTES = 16
"""Bytes of a tag: two residues of 8 bytes."""
DIGEST_BYTES = 32


def content_bytes(roster: Roster, kind: Kind) -> int:
    """Return the length in bytes of the content of a message."""
    return {
        Kind.ROUND_KEY: KEY_BYTES,
        Kind.ROUND_SHARE: BLOCK_BYTES + KEY_BYTES + SEAL_BYTES,
        Kind.ROUND_COMMITMENT: DIGEST_BYTES + TAG_BYTES + SEAL_BYTES,
        Kind.ROUND_UPDATE: roster.update_bytes,
        Kind.ROUND_SUM: list_bytes(roster) + roster.update_bytes,
        Kind.ROUND_AGREEMENT: DIGEST_BYTES,
        Kind.ROUND_OPENING: BLOCK_BYTES + SEAL_BYTES,
    }[kind]


def list_bytes(roster: Roster) -> int:
    """Return the length in bytes of a list of contributors: one bit for each party."""
    return -(-roster.party_count // 8)


def dump_list(roster: Roster, parties: Iterable[int]) -> bytes:
    """Encode a list of parties, the first in the lowest bit."""
    return sum(1 << party for party in set(parties)).to_bytes(list_bytes(roster), "little")


def load_list(roster: Roster, data: bytes | memoryview) -> tuple[int, ...]:
    """Parse a list of parties from outside; WireError if it names one that is not in the roster."""
    bits = int.from_bytes(data, "little")
    if bits >> roster.party_count:
        raise WireError(
            f"the list of contributors names a party beyond the {roster.party_count} of the roster"
        )
    return tuple(party for party in range(roster.party_count) if bits >> party & 1)


def beginning_id(roster: Roster, number: int) -> bytes:
    """Return the id of round `number`, 0 to 2^64 - 1, before its keys are known; InputError for another number."""
    if not isinstance(number, int) or not 0 <= number < 1 << 64:
        raise InputError(f"the number of a round is a whole number from 0 to 2^64 - 1, got {number!r}")
    return hashlib.sha256(b"hetorch round" + roster.digest + struct.pack("<Q", number)).digest()


def round_id(beginning: bytes, keys: Mapping[int, bytes]) -> bytes:
    """Return the id of a round, which depends on the round keys of all parties: no message of another beginning of the
    same round fits."""
    ordered = b"".join(keys[party] for party in sorted(keys))
    return hashlib.sha256(b"hetorch round keys" + beginning + ordered).digest()


def agreement(contributors: bytes, commitments: Mapping[int, bytes], total_digest: bytes) -> bytes:
    """Return what a party signs: the contributors with the commitments to their updates, and SHA-256 of the sum."""
    parts = [struct.pack("<H", party) + commitments[party] for party in sorted(commitments)]
    inner = hashlib.sha256(b"".join(parts)).digest()
    return hashlib.sha256(b"hetorch agreement" + contributors + inner + total_digest).digest()


def check_signature(roster: Roster, message: RoundMessage) -> RoundMessage:
    """Return a message of a party; WireError unless its sender and recipient exist and the sender signed it."""
    if message.sender >= roster.party_count:
        raise WireError(
            f"the message names the sender {message.sender}, the roster has {roster.party_count} parties"
        )
    expected = range(roster.party_count) if message.kind is Kind.ROUND_SHARE else (EVERYONE,)
    if message.recipient not in expected or message.recipient == message.sender:
        raise WireError(
            f"party {message.sender} sent a message to {message.recipient}, which no party awaits"
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(roster.identities[message.sender])
        key.verify(bytes(message.signature), message.signed_bytes())
    except InvalidSignature:
        raise WireError(
            f"the signature under the {message.kind.name.lower()} of party {message.sender} is not that party's"
        ) from None
    return message


def load_signed(roster: Roster, kind: Kind, identifier: bytes, data: bytes) -> RoundMessage:
    """Parse one message from outside; WireError unless a party of the roster signed it for this round."""
    message = load_round_message(data, kind, roster.digest, identifier, content_bytes(roster, kind))
    return check_signature(roster, message)


def load_signed_bundle(
    roster: Roster, kind: Kind, identifier: bytes, data: bytes, counts: range
) -> list[RoundMessage]:
    """Parse a bundle from outside, and return its messages.

    Raises:
        WireError: the number of messages is not in `counts`, one is malformed or not signed by its sender, or two have
            the same sender and recipient.
    """
    messages = load_bundle(data, roster.digest, identifier, counts, kind, content_bytes(roster, kind))
    routes = {(message.sender, message.recipient) for message in messages}
    if len(routes) != len(messages):
        raise WireError("the message holds two messages of one party for one recipient")
    return [check_signature(roster, message) for message in messages]
