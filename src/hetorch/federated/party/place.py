"""A party's place in a round, and what it holds from the shares on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from hetorch.errors import RoundVoidError, WireError
from hetorch.federated.once import Once
from hetorch.federated.party.identity import Identity
from hetorch.federated.party.secret import Secret
from hetorch.federated.party.tag import TagKey
from hetorch.federated.roster import Roster
from hetorch.federated.rounds import load_signed_bundle
from hetorch.wire.frame import Blob, Kind
from hetorch.wire.rounds import EVERYONE, RoundMessage


@contextmanager
def void_if_wrong(*secrets: Secret, exposed: bool) -> Iterator[None]:
    """Turn the error of a wrong message into the end of the round, in which the secrets are overwritten."""
    try:
        yield
    except WireError as error:
        for secret in secrets:
            secret.wipe()
        raise RoundVoidError(f"the round is void: {error}", exposed=exposed) from error


@dataclass(frozen=True, slots=True)
class Place:
    """The party in one round; nothing here is secret but the identity."""

    roster: Roster
    identity: Identity = field(repr=False)
    identifier: bytes

    @property
    def index(self) -> int:
        """The index of this party."""
        return self.roster.identities.index(self.identity.public)

    def message(self, kind: Kind, content: Blob, recipient: int = EVERYONE, *, digest: bytes = b"") -> bytes:
        """Return a signed message of this party. `digest`: SHA-256 of the content, where it is known."""
        message = RoundMessage(kind, self.roster.digest, self.identifier, self.index, recipient, content)
        if digest:
            message.know_digest(digest)
        return self.identity.sign(message).dump()

    def bundle(self, kind: Kind, data: bytes, fewest: int, most: int) -> list[RoundMessage]:
        """Parse what the aggregator relayed."""
        return load_signed_bundle(self.roster, kind, self.identifier, data, range(fewest, most + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What a party holds from the shares on: its secret, a share and an own key of each party.

    `exposed` says of each state what RoundVoidError.exposed says when a round is void: for a party whose aggregator
    does not answer any more.
    """

    exposed: ClassVar[bool] = False

    _place: Place
    _held: Secret
    _once: Once = field(default_factory=Once, kw_only=True, repr=False)

    def own_key(self, party: int) -> bytes:
        """Return the key under which `party` tells all others."""
        return self._held.key(2 + party)

    def new_tag_key(self) -> TagKey:
        """Return the factors of the tags of this round, which the caller wipes."""
        roster = self._place.roster
        keys = {party: self.own_key(party) for party in range(roster.party_count)}
        return TagKey(keys, self._place.identifier, roster.block_count)
