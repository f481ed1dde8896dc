"""The last states of a party: it checks the sum, agrees with the others on it, and opens it with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, combinations, islice
from typing import ClassVar

import numpy as np

from hetorch.engine.random import wipe
from hetorch.errors import RoundVoidError, WireError
from hetorch.federated.party.encryption import CHUNK, decrypt, pieces
from hetorch.federated.party.place import Held, Place, void_if_wrong
from hetorch.federated.party.sealing import OPENING_NONCE, TAG_NONCE, seal, unseal
from hetorch.federated.party.sharing import interpolate, sum_of
from hetorch.federated.party.tag import add_tags, load_tag
from hetorch.federated.party.update import RoundResult, decode
from hetorch.federated.residues import Residues, centred, pack, unpack
from hetorch.federated.ring import BLOCK_BYTES, ERROR_BOUND
from hetorch.federated.rounds import DIGEST_BYTES, agreement, content_bytes, list_bytes, load_list
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import RoundMessage, load_round_message

MOST_SUBSETS = 256
"""Sets of t shares that are tried beside those that leave out one run of shares. More of them find more wrong shares
among enough right ones, and cost a party time where none fit."""


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingSum(Held):
    """Awaits the sum and the list of its contributors. From here on the update has left this party."""

    exposed: ClassVar[bool] = True
    _commitments: Mapping[int, bytes] = field(repr=False, default_factory=dict)

    def receive(self, data: bytes) -> tuple[AwaitingAgreements, bytes]:
        """Check the sum against the tags, and sign it with the list of its contributors."""
        self._once.take()
        roster, identifier = self._place.roster, self._place.identifier
        tag_key = self.new_tag_key()
        with void_if_wrong(self._held, exposed=True):
            length = content_bytes(roster, Kind.ROUND_SUM)
            message = load_round_message(data, Kind.ROUND_SUM, roster.digest, identifier, length)
            view = memoryview(message.content)
            names, packed = bytes(view[: list_bytes(roster)]), view[list_bytes(roster) :]
            contributors = load_list(roster, names)
            if len(contributors) < roster.fewest_contributors:
                raise WireError(
                    f"the sum has {len(contributors)} contributors, the roster wants {roster.fewest_contributors}"
                )
            unknown = sorted(set(contributors) - self._commitments.keys())
            if unknown:
                raise WireError(f"the sum names contributors without a commitment: {unknown}")
            for index, piece in enumerate(pieces(packed)):
                tag_key.add(piece, index * CHUNK)
            if tag_key.value != add_tags([self._tag(party) for party in contributors]):
                raise WireError(
                    "the sum is not that of the updates that the contributors committed to: the aggregator changed it, "
                    "or a party sent a wrong tag"
                )
        tag_key.wipe()
        commitments = {party: self._commitments[party] for party in contributors}
        content = agreement(names, commitments, hashlib.sha256(packed).digest())
        state = AwaitingAgreements(self._place, self._held, contributors, _kept(packed), content)
        return state, self._place.message(Kind.ROUND_AGREEMENT, content)

    def _tag(self, party: int) -> tuple[int, int]:
        sealed = self._commitments[party][DIGEST_BYTES:]
        return load_tag(unseal(self.own_key(party), TAG_NONCE, sealed, self._place.identifier, party))


@dataclass(frozen=True, slots=True, eq=False)
class _Agreed(Held):
    """The list and the sum that a party has signed."""

    exposed: ClassVar[bool] = True
    _contributors: tuple[int, ...] = ()
    _packed: bytes | memoryview = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingAgreements(_Agreed):
    """Awaits the signatures of at least t parties under the same list and sum."""

    _agreement: bytes = field(repr=False, default=b"")

    def receive(self, data: bytes) -> tuple[AwaitingOpenings, bytes]:
        """Add the shares of the contributors, and send the sum: the only share that leaves in this round."""
        self._once.take()
        roster, index = self._place.roster, self._place.index
        with void_if_wrong(self._held, exposed=True):
            messages = self._place.bundle(Kind.ROUND_AGREEMENT, data, roster.threshold, roster.party_count)
            other = sorted(m.sender for m in messages if bytes(m.content) != self._agreement)
            if other:
                raise WireError(f"the parties {other} signed another list of contributors, or another sum")
        shares = self._held.array(1)
        share = sum_of(shares, self._contributors)
        shares.fill(0)  # no share of another sum can leave
        content = pack(share)
        sealed = seal(self.own_key(index), OPENING_NONCE, content, self._place.identifier)
        wipe(content)
        share.fill(0)
        state = AwaitingOpenings(self._place, self._held, self._contributors, self._packed)
        return state, self._place.message(Kind.ROUND_OPENING, sealed)


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingOpenings(_Agreed):
    """Awaits the shares of the sum of the secrets from at least t parties."""

    def receive(self, data: bytes) -> RoundResult:
        """Open the sum."""
        self._once.take()
        roster, identifier = self._place.roster, self._place.identifier
        with void_if_wrong(self._held, exposed=True):
            messages = self._place.bundle(Kind.ROUND_OPENING, data, roster.threshold, roster.party_count)
            shares = dict(self._shares(messages))
            if len(shares) < roster.threshold:
                raise WireError(f"{len(shares)} shares of the sum can be opened, {roster.threshold} must")
        self._held.wipe()
        count = len(self._contributors)
        secret = _opened(shares, self._packed[:BLOCK_BYTES], self._place, count)
        chunks = decrypt(self._packed, secret, identifier, roster.party_count, count)
        result = decode(roster, chunks, self._contributors)
        for array in (secret, *shares.values()):
            array.fill(0)
        return result

    def _shares(self, messages: list[RoundMessage]) -> Iterator[tuple[int, Residues]]:
        """Yield the shares by party, without those that were not sealed as they should be."""
        for message in messages:
            with suppress(WireError):
                key = self.own_key(message.sender)
                content = unseal(
                    key, OPENING_NONCE, bytes(message.content), self._place.identifier, message.sender
                )
                yield message.sender, unpack(content)[0]
                wipe(content)


def _sets(parties: list[int], threshold: int) -> Iterator[tuple[int, ...]]:
    """Yield sets of `threshold` parties to open with: first those that leave out one run of parties each, so that each
    party is left out once, then others in their order. A single wrong share does no harm."""
    spare = len(parties) - threshold
    runs = range(0, len(parties), spare or len(parties))
    first = ((*parties[:start], *parties[start + spare :])[:threshold] for start in reversed(runs))
    return chain(first, islice(combinations(parties, threshold), MOST_SUBSETS))


def _kept(view: memoryview) -> bytes | memoryview:
    """Return bytes that nobody can change: the view itself where it is of such."""
    return view if isinstance(view.obj, bytes) else bytes(view)


def _opened(
    shares: Mapping[int, Residues], first_block: bytes | memoryview, place: Place, contributor_count: int
) -> Residues:
    """Return the sum of the contributors' secrets.

    It must be of numbers as small as theirs and fit the first block of the sum: a wrong share may be wrong by little.

    Raises:
        RoundVoidError: none of the sets of shares that are tried gives such a sum.
    """
    roster = place.roster
    for parties in _sets(sorted(shares), roster.threshold):
        secret = interpolate({party: shares[party] for party in parties})
        if np.abs(centred(secret)).max() > contributor_count * ERROR_BOUND:
            continue
        with suppress(RoundVoidError):
            next(decrypt(first_block, secret, place.identifier, roster.party_count, contributor_count))
            return secret
    raise RoundVoidError(
        "the round is void: no shares of the sum belong together and to the sum; a party dealt or sent a wrong share, "
        "or an update under another secret",
        exposed=True,
    )
