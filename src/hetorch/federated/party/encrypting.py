"""The states of a party in which it encrypts its update, commits to it and sends it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hetorch.engine.random import wipe
from hetorch.errors import WireError
from hetorch.federated.party.encryption import encrypt
from hetorch.federated.party.opening import AwaitingSum
from hetorch.federated.party.place import Held, void_if_wrong
from hetorch.federated.party.sealing import TAG_NONCE, seal
from hetorch.federated.party.tag import dump_tag
from hetorch.federated.party.update import encode
from hetorch.wire.frame import Kind


@dataclass(frozen=True, slots=True, eq=False)
class ReadyToEncrypt(Held):
    """Has everything that it needs to encrypt an update."""

    def encrypt(self, update: Mapping[str, Any], *, sample_count: int) -> tuple[AwaitingCommitments, bytes]:
        """Encrypt an update, arrays by name such as a state_dict, of `sample_count` samples.

        Raises:
            InputError: the update does not fit the roster; this state can be used again with another one.
        """
        roster, identifier = self._place.roster, self._place.identifier
        integers = encode(roster, update, sample_count)
        self._once.take()
        tag_key = self.new_tag_key()
        packed, tag = encrypt(integers, self._held.array(0), identifier, roster.party_count, tag_key)
        tag_key.wipe()
        integers.fill(0)
        self._held.array(0).fill(0)  # the secret is not needed again
        dumped = dump_tag(tag)
        sealed = seal(self.own_key(self._place.index), TAG_NONCE, dumped, identifier)
        wipe(dumped)
        commitment = hashlib.sha256(packed).digest()
        message = self._place.message(Kind.ROUND_COMMITMENT, commitment + sealed)
        return AwaitingCommitments(self._place, self._held, packed, commitment + sealed), message


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingCommitments(Held):
    """Awaits the commitments of all parties that encrypted an update."""

    _packed: bytes = field(repr=False, default=b"")
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
        message = self._place.message(Kind.ROUND_UPDATE, self._packed)
        return AwaitingSum(self._place, self._held, commitments), message
