"""The states of a party in a round. Each is used once, takes what the aggregator sent, and returns the next one.

    Party.begin        -> AwaitingKeys        and a round key
    AwaitingKeys       -> AwaitingShares      and shares of a one-time secret, one for each other party
    AwaitingShares     -> ReadyToEncrypt      (nothing to send; here the party may still train)
    ReadyToEncrypt     -> AwaitingCommitments and a commitment to the encrypted update, with its sealed tag
    AwaitingCommitments-> AwaitingSum         and the encrypted update
    AwaitingSum        -> AwaitingAgreements  and a signature under one list of contributors and one sum
    AwaitingAgreements -> AwaitingOpenings    and one share of the sum of the contributors' secrets
    AwaitingOpenings   -> RoundResult

The wrong message of an aggregator ends the round for this party: RoundVoidError. A party that stops early forgets the
state, which overwrites its secrets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hetorch.errors import InputError
from hetorch.federated.party.dealing import AwaitingKeys
from hetorch.federated.party.identity import Identity
from hetorch.federated.party.place import Place
from hetorch.federated.roster import Roster
from hetorch.federated.rounds import beginning_id
from hetorch.wire.frame import Kind


@dataclass(frozen=True, slots=True)
class Party:
    """A data owner: the roster that people agreed on, this party's identity."""

    roster: Roster
    identity: Identity = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.identity, Identity):
            raise InputError("a party needs its own Identity; Identity.from_private_bytes reads it back")
        if self.identity.public not in self.roster.identities:
            raise InputError("this identity is not in the roster; give the others its public key first")

    def begin(self, number: int) -> tuple[AwaitingKeys, bytes]:
        """Begin round `number`, 0 to 2^64 - 1, which all parties and the aggregator count alike."""
        key = X25519PrivateKey.generate()
        place = Place(self.roster, self.identity, beginning_id(self.roster, number))
        public = key.public_key().public_bytes_raw()
        return AwaitingKeys(place, key, public), place.message(Kind.ROUND_KEY, public)
