"""The first states of a party: round keys, and shares of the secrets of the round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hetorch.engine.random import random_seed, wipe
from hetorch.errors import WireError
from hetorch.federated.once import Once
from hetorch.federated.party.encrypting import ReadyToEncrypt
from hetorch.federated.party.place import Place, void_if_wrong
from hetorch.federated.party.sampling import gaussian
from hetorch.federated.party.sealing import SHARE_NONCE, pair_key, seal, unseal
from hetorch.federated.party.secret import Secret
from hetorch.federated.party.sharing import deal
from hetorch.federated.residues import pack, unpack
from hetorch.federated.ring import BLOCK_BYTES
from hetorch.federated.rounds import round_id
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import dump_bundle


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingKeys:
    """Awaits the round keys of all parties."""

    exposed: ClassVar[bool] = False
    _place: Place
    _key: X25519PrivateKey = field(repr=False)
    _public: bytes = field(repr=False)
    _once: Once = field(default_factory=Once, kw_only=True, repr=False)

    def receive(self, data: bytes) -> tuple[AwaitingShares, bytes]:
        """Draw the secret of the round, and deal its shares."""
        self._once.take()
        roster, index = self._place.roster, self._place.index
        with void_if_wrong(exposed=False):
            messages = self._place.bundle(Kind.ROUND_KEY, data, roster.party_count, roster.party_count)
            keys = {message.sender: bytes(message.content) for message in messages}
            if keys.get(index) != self._public:
                raise WireError("the aggregator relayed another round key than this party's")
            identifier = round_id(self._place.identifier, keys)
            place = replace(self._place, identifier=identifier)
            sealing = {
                other: pair_key(self._key, keys[other], identifier, index, other)
                for other in keys
                if other != index
            }
            opening = {other: pair_key(self._key, keys[other], identifier, other, index) for other in sealing}
        seed, share_seed, own_key = random_seed(), random_seed(), random_seed()
        secret = gaussian(seed, 1, domain=b"federated secret")[0]
        shares = deal(secret, roster.threshold, roster.party_count, share_seed)
        wipe(seed, share_seed)
        outgoing = []
        for other, key in sealing.items():
            packed = pack(shares[other])
            content = packed + own_key
            sealed = seal(key, SHARE_NONCE, content, identifier)
            wipe(packed, content, key)
            shares[other].fill(0)
            outgoing.append(place.message(Kind.ROUND_SHARE, sealed, other))
        held = Secret(secret, shares[index], own_key)
        state = AwaitingShares(place, held, {other: Secret(key) for other, key in opening.items()})
        return state, dump_bundle(roster.digest, identifier, outgoing)


@dataclass(frozen=True, slots=True, eq=False)
class AwaitingShares:
    """Awaits a share of the secret of every other party."""

    exposed: ClassVar[bool] = False
    _place: Place
    _held: Secret
    _opening: Mapping[int, Secret] = field(repr=False)
    _once: Once = field(default_factory=Once, kw_only=True, repr=False)

    def receive(self, data: bytes) -> ReadyToEncrypt:
        """Open the shares."""
        self._once.take()
        roster, index = self._place.roster, self._place.index
        secret, own_share, own_key = self._held.array(0), self._held.array(1), self._held.key(2)
        shares, keys = {index: own_share}, {index: own_key}
        with void_if_wrong(self._held, *self._opening.values(), exposed=False):
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
