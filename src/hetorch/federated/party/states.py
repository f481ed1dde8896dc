"""The states of a party in a round. Each is used once, takes what the aggregator sent, and returns the next one.

    Party.begin        -> AwaitingKeys        and a round key
    AwaitingKeys       -> AwaitingShares      and shares of a one-time secret, one for each other party
    AwaitingShares     -> ReadyToEncrypt      (nothing to send; here the party may still train)
    ReadyToEncrypt     -> AwaitingCommitments and a commitment to the encrypted update, with its sealed tag
    AwaitingCommitments-> AwaitingSum         and the encrypted update
    AwaitingSum        -> AwaitingAgreements  and a signature under one list of contributors and one sum
    AwaitingAgreements -> AwaitingOpenings    and one share of the sum of the contributors' secrets
    AwaitingOpenings   -> RoundResult

The wrong message of an aggregator ends the round for this party: RoundVoidError. A party that stops early calls
`discard`, or forgets the state; both overwrite its secrets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hetorch.engine.random import random_seed, wipe
from hetorch.errors import InputError, RoundVoidError, WireError
from hetorch.federated.once import Once
from hetorch.federated.party.encryption import decrypt, encrypt, tag_of
from hetorch.federated.party.identity import Identity
from hetorch.federated.party.sampling import gaussian
from hetorch.federated.party.sealing import OPENING_NONCE, SHARE_NONCE, TAG_NONCE, pair_key, seal, unseal
from hetorch.federated.party.secret import Secret
from hetorch.federated.party.sharing import deal, interpolate
from hetorch.federated.party.tag import TagKey, add_tags, dump_tag, load_tag
from hetorch.federated.party.update import RoundResult, decode, encode
from hetorch.federated.residues import Residues, add, centred, pack, reduce_signed, unpack
from hetorch.federated.ring import BLOCK_BYTES, ERROR_BOUND
from hetorch.federated.roster import Roster
from hetorch.federated.rounds import (
    DIGEST_BYTES,
    agreement,
    beginning_id,
    content_bytes,
    list_bytes,
    load_list,
    load_signed_bundle,
    round_id,
)
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import EVERYONE, RoundMessage, dump_bundle, load_round_message

MOST_SUBSETS = 256
"""Sets of t shares that are tried when more than t came and the first ones do not fit: one wrong share among many does
no harm then."""


@contextmanager
def _void_if_wrong(*secrets: Secret, exposed: bool) -> Iterator[None]:
    """Turn the error of a wrong message into the end of the round, in which the secrets are overwritten."""
    try:
        yield
    except WireError as error:
        for secret in secrets:
            secret.wipe()
        raise RoundVoidError(f"the round is void: {error}", exposed=exposed) from error


@dataclass(frozen=True, slots=True)
class Party:
    """A data owner: the roster that people agreed on, this party's identity, and its index in the roster."""

    roster: Roster
    identity: Identity = field(repr=False)

    def __post_init__(self) -> None:
        if self.identity.public not in self.roster.identities:
            raise InputError("this identity is not in the roster; give the others its public key first")

    @property
    def index(self) -> int:
        """The index of this party."""
        return self.roster.identities.index(self.identity.public)

    def begin(self, number: int) -> tuple[AwaitingKeys, bytes]:
        """Begin round `number`, 0 to 2^64 - 1, which all parties and the aggregator count alike."""
        key = X25519PrivateKey.generate()
        place = _Place(self, beginning_id(self.roster, number))
        public = key.public_key().public_bytes_raw()
        return AwaitingKeys(place, key, public), place.message(Kind.ROUND_KEY, public)


@dataclass(frozen=True, slots=True)
class _Place:
    """The party in one round; nothing here is secret but the identity."""

    party: Party
    identifier: bytes

    @property
    def roster(self) -> Roster:
        return self.party.roster

    @property
    def index(self) -> int:
        return self.party.index

    def message(self, kind: Kind, content: bytes, recipient: int = EVERYONE) -> bytes:
        """Return a signed message of this party."""
        message = RoundMessage(kind, self.roster.digest, self.identifier, self.index, recipient, content)
        return self.party.identity.sign(message).dump()

    def bundle(self, kind: Kind, data: bytes, fewest: int, most: int) -> list[RoundMessage]:
        """Parse what the aggregator relayed."""
        return load_signed_bundle(self.roster, kind, self.identifier, data, range(fewest, most + 1))


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingKeys:
    """Awaits the round keys of all parties."""

    _place: _Place
    _key: X25519PrivateKey = field(repr=False)
    _public: bytes = field(repr=False)
    _once: Once = field(default_factory=Once, init=False, repr=False)

    def receive(self, data: bytes) -> tuple[AwaitingShares, bytes]:
        """Draw the secret of the round, and deal its shares."""
        self._once.take()
        roster, index = self._place.roster, self._place.index
        with _void_if_wrong(exposed=False):
            messages = self._place.bundle(Kind.ROUND_KEY, data, roster.party_count, roster.party_count)
            keys = {message.sender: bytes(message.content) for message in messages}
            if keys.get(index) != self._public:
                raise WireError("the aggregator relayed another round key than this party's")
            identifier = round_id(self._place.identifier, keys)
            place = _Place(self._place.party, identifier)
            sealing = {
                other: pair_key(self._key, keys[other], identifier, index, other)
                for other in keys
                if other != index
            }
            opening = {other: pair_key(self._key, keys[other], identifier, other, index) for other in sealing}
        seed, own_key = random_seed(), random_seed()
        secret = gaussian(seed, 1, domain=b"federated secret")[0]
        residues = reduce_signed(secret)
        shares = deal(residues, roster.threshold, roster.party_count, _drawn := random_seed())
        wipe(seed, _drawn)
        residues.fill(0)
        outgoing = []
        for other, key in sealing.items():
            content = pack(shares[other]) + own_key
            sealed = seal(key, SHARE_NONCE, content, identifier)
            wipe(content, key)
            shares[other].fill(0)
            outgoing.append(place.message(Kind.ROUND_SHARE, sealed, other))
        held = Secret(secret, shares[index], own_key)
        state = AwaitingShares(place, held, {other: Secret(key) for other, key in opening.items()})
        return state, dump_bundle(roster.digest, identifier, outgoing)


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingShares:
    """Awaits a share of the secret of every other party."""

    _place: _Place
    _held: Secret
    _opening: Mapping[int, Secret] = field(repr=False)
    _once: Once = field(default_factory=Once, init=False, repr=False)

    def receive(self, data: bytes) -> ReadyToEncrypt:
        """Open the shares."""
        self._once.take()
        roster, index = self._place.roster, self._place.index
        secret, own_share, own_key = self._held.array(0), self._held.array(1), self._held.key(2)
        shares, keys = {index: own_share}, {index: own_key}
        with _void_if_wrong(self._held, *self._opening.values(), exposed=False):
            others = roster.party_count - 1
            messages = self._place.bundle(Kind.ROUND_SHARE, data, others, others)
            for message in messages:
                if message.recipient != index:
                    raise WireError(
                        f"the aggregator relayed a share for party {message.recipient} to {index}"
                    )
                key = self._opening[message.sender].key(0)
                content = unseal(
                    key, SHARE_NONCE, bytes(message.content), self._place.identifier, message.sender
                )
                shares[message.sender] = unpack(content[:BLOCK_BYTES])[0]
                keys[message.sender] = content[BLOCK_BYTES:]
                wipe(content)
        for opening in self._opening.values():
            opening.wipe()
        order = range(roster.party_count)
        held = Secret(
            secret.copy(),
            np.stack([shares[party] for party in order]),
            *(bytes(bytearray(keys[party])) for party in order),
        )
        for share in shares.values():
            share.fill(0)
        wipe(*(key for party, key in keys.items() if party != index))
        self._held.wipe()
        return ReadyToEncrypt(self._place, held)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What a party holds from the shares on: its secret, a share and an own key of each party."""

    _place: _Place
    _held: Secret
    _once: Once = field(default_factory=Once, init=False, repr=False)

    def discard(self) -> None:
        """Leave the round; the state cannot be used again."""
        self._once.take()
        self._held.wipe()

    def _own_key(self, party: int) -> bytes:
        return self._held.key(2 + party)

    def _tag_key(self) -> TagKey:
        roster = self._place.roster
        keys = {party: self._own_key(party) for party in range(roster.party_count)}
        return TagKey(keys, self._place.identifier, roster.block_count)


@dataclass(frozen=True, slots=True, eq=False)
class ReadyToEncrypt(_Held):
    """Has everything that it needs to encrypt an update."""

    def encrypt(self, update: Mapping[str, Any], *, sample_count: int) -> tuple[AwaitingCommitments, bytes]:
        """Encrypt an update, arrays by name such as a state_dict, of `sample_count` samples.

        Raises:
            InputError: the update does not fit the roster; this state can be used again with another one.
        """
        roster, identifier = self._place.roster, self._place.identifier
        integers = encode(roster, update, sample_count)
        self._once.take()
        tag_key = self._tag_key()
        packed, tag = encrypt(integers, self._held.array(0), identifier, roster.party_count, tag_key)
        tag_key.wipe()
        integers.fill(0)
        self._held.array(0).fill(0)  # the secret is not needed again
        dumped = dump_tag(tag)
        sealed = seal(self._own_key(self._place.index), TAG_NONCE, dumped, identifier)
        commitment = hashlib.sha256(packed).digest()
        message = self._place.message(Kind.ROUND_COMMITMENT, commitment + sealed)
        return AwaitingCommitments(self._place, self._held, packed, commitment + sealed), message


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingCommitments(_Held):
    """Awaits the commitments of all parties that encrypted an update."""

    _packed: bytes = field(repr=False, default=b"")
    _commitment: bytes = field(repr=False, default=b"")

    def receive(self, data: bytes) -> tuple[AwaitingSum, bytes]:
        """Take the commitments, and send the encrypted update."""
        self._once.take()
        roster = self._place.roster
        with _void_if_wrong(self._held, exposed=False):
            messages = self._place.bundle(
                Kind.ROUND_COMMITMENT, data, roster.fewest_contributors, roster.party_count
            )
            commitments = {message.sender: bytes(message.content) for message in messages}
            if commitments.get(self._place.index) != self._commitment:
                raise WireError("the aggregator relayed another commitment than this party's")
        message = self._place.message(Kind.ROUND_UPDATE, self._packed)
        return AwaitingSum(self._place, self._held, commitments), message


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingSum(_Held):
    """Awaits the sum and the list of its contributors. From here on the update has left this party."""

    _commitments: Mapping[int, bytes] = field(repr=False, default_factory=dict)

    def receive(self, data: bytes) -> tuple[AwaitingAgreements, bytes]:
        """Check the sum against the tags, and sign it with the list of its contributors."""
        self._once.take()
        roster, identifier = self._place.roster, self._place.identifier
        tag_key = self._tag_key()
        with _void_if_wrong(self._held, exposed=True):
            length = content_bytes(roster, Kind.ROUND_SUM)
            message = load_round_message(data, Kind.ROUND_SUM, roster.digest, identifier, length)
            names, packed = (
                bytes(message.content[: list_bytes(roster)]),
                message.content[list_bytes(roster) :],
            )
            contributors = load_list(roster, names)
            if len(contributors) < roster.fewest_contributors:
                raise WireError(
                    f"the sum has {len(contributors)} contributors, the roster wants {roster.fewest_contributors}"
                )
            unknown = sorted(set(contributors) - self._commitments.keys())
            if unknown:
                raise WireError(f"the sum names contributors without a commitment: {unknown}")
            if tag_of(packed, tag_key) != add_tags([self._tag(party) for party in contributors]):
                raise WireError(
                    "the sum is not that of the updates that the contributors committed to: the aggregator changed it, "
                    "or a party sent a wrong tag"
                )
        tag_key.wipe()
        commitments = {party: self._commitments[party] for party in contributors}
        content = agreement(names, commitments, hashlib.sha256(packed).digest())
        state = AwaitingAgreements(self._place, self._held, contributors, bytes(packed), content)
        return state, self._place.message(Kind.ROUND_AGREEMENT, content)

    def _tag(self, party: int) -> tuple[int, int]:
        sealed = self._commitments[party][DIGEST_BYTES:]
        return load_tag(unseal(self._own_key(party), TAG_NONCE, sealed, self._place.identifier, party))


@dataclass(frozen=True, slots=True, eq=False)
class _Agreed(_Held):
    """What a party holds once it has signed a list and a sum: these."""

    _contributors: tuple[int, ...] = ()
    _packed: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingAgreements(_Agreed):
    """Awaits the signatures of at least t parties under the same list and sum."""

    _agreement: bytes = field(repr=False, default=b"")

    def receive(self, data: bytes) -> tuple[AwaitingOpenings, bytes]:
        """Add the shares of the contributors, and send the sum: the only share that leaves in this round."""
        self._once.take()
        roster, index = self._place.roster, self._place.index
        with _void_if_wrong(self._held, exposed=True):
            messages = self._place.bundle(Kind.ROUND_AGREEMENT, data, roster.threshold, roster.party_count)
            other = sorted(m.sender for m in messages if bytes(m.content) != self._agreement)
            if other:
                raise WireError(f"the parties {other} signed another list of contributors, or another sum")
        shares = self._held.array(1)
        share = np.zeros(shares.shape[1], dtype=np.int64)
        for party in self._contributors:
            share = add(share, shares[party])
        shares.fill(0)  # no share of another sum can leave
        content = pack(share)
        sealed = seal(self._own_key(index), OPENING_NONCE, content, self._place.identifier)
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
        with _void_if_wrong(self._held, exposed=True):
            messages = self._place.bundle(Kind.ROUND_OPENING, data, roster.threshold, roster.party_count)
            shares = {}
            for message in messages:
                content = unseal(
                    self._own_key(message.sender),
                    OPENING_NONCE,
                    bytes(message.content),
                    identifier,
                    message.sender,
                )
                shares[message.sender] = unpack(content)[0]
                wipe(content)
        self._held.wipe()
        count = len(self._contributors)
        secret = _opened(shares, self._packed[:BLOCK_BYTES], self._place, count)
        integers = decrypt(self._packed, secret, identifier, roster.party_count, count)
        for array in (secret, *shares.values()):
            array.fill(0)
        return decode(roster, integers, self._contributors)


def _opened(
    shares: Mapping[int, Residues], first_block: bytes, place: _Place, contributor_count: int
) -> Residues:
    """Return the sum of the contributors' secrets.

    It must be of numbers as small as theirs and fit the first block of the sum: a wrong share may be wrong by little.

    Raises:
        RoundVoidError: none of the sets of shares that are tried gives such a sum.
    """
    roster = place.roster
    for parties in islice(combinations(sorted(shares), roster.threshold), MOST_SUBSETS):
        secret = interpolate({party: shares[party] for party in parties})
        if np.abs(centred(secret)).max() > contributor_count * ERROR_BOUND:
            continue
        with suppress(RoundVoidError):
            decrypt(first_block, secret, place.identifier, roster.party_count, contributor_count)
            return secret
    raise RoundVoidError(
        "the round is void: no shares of the sum belong together and to the sum; a party dealt or sent a wrong share, "
        "or an update under another secret",
        exposed=True,
    )
