"""The states of a party in which it encrypts its update, commits to it and sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hetorch.engine.random import wipe
from hetorch.errors import WireError
from hetorch.federated.party.encryption import CHUNK, encrypt
from hetorch.federated.party.opening import AwaitingSum
from hetorch.federated.party.place import Held, void_if_wrong
from hetorch.federated.party.sealing import TAG_NONCE, seal
from hetorch.federated.party.tag import dump_tag
from hetorch.federated.party.update import encode
from hetorch.federated.rounds import DIGEST_BYTES
from hetorch.wire.frame import Blob, Kind


@dataclass(frozen=True, slots=True, eq=False)
class ReadyToEncrypt(Held):
    """Has everything that it needs to encrypt an update."""

    def encrypt(self, update: Mapping[str, Any], *, sample_count: int) -> tuple[AwaitingCommitments, bytes]:
        """Encrypt an update, arrays by name such as a state_dict, of `sample_count` samples.

        Raises:
            InputError: the update does not fit the roster; this state can be used again with another one.
        """
        roster, identifier = self._place.roster, self._place.identifier
        chunks = encode(roster, update, sample_count, CHUNK)
        self._once.take()
        tag_key = self.new_tag_key()
        secret = self._held.array(0)
        packed, digest = encrypt(chunks, roster.block_count, secret, identifier, roster.party_count, tag_key)
        dumped = dump_tag(tag_key.value)
        tag_key.wipe()
        secret.fill(0)  # it is not needed again
        sealed = seal(self.own_key(self._place.index), TAG_NONCE, dumped, identifier)
        wipe(dumped)
        message = self._place.message(Kind.ROUND_COMMITMENT, digest + sealed)
        return AwaitingCommitments(self._place, self._held, packed, digest + sealed), message


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingCommitments(Held):
    """Awaits the commitments of all parties that encrypted an update."""

    _packed: Blob = field(repr=False, default=b"")
    _commitment: bytes = field(repr=False, default=b"")

    def receive(self, data: bytes) -> tuple[AwaitingSum, bytes]:
        """Take the commitments, and send the encrypted update."""
        self._once.take()
        roster = self._place.roster
        with void_if_wrong(self._held, exposed=False):
            messages = self._place.bundle(
                Kind.ROUND_COMMITMENT, data, roster.fewest_contributors, roster.party_count
            )
            commitments = {message.sender: bytes(message.content) for message in messages}
            if commitments.get(self._place.index) != self._commitment:
                raise WireError("the aggregator relayed another commitment than this party's")
        message = self._place.message(Kind.ROUND_UPDATE, self._packed, digest=self._commitment[:DIGEST_BYTES])
        return AwaitingSum(self._place, self._held, commitments), message
