"""Parties that collude with the aggregator: what they cannot do below the stated number, and what one more can."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hetorch.errors import RoundVoidError, WireError
from hetorch.federated import Aggregator, Party
from hetorch.federated.party import dealing, sealing
from hetorch.federated.party.encryption import decrypt
from hetorch.federated.party.sealing import OPENING_NONCE, unseal
from hetorch.federated.party.sharing import interpolate
from hetorch.federated.residues import unpack
from hetorch.federated.ring import BLOCK_BYTES, ERROR_BOUND, PRIME, SIGMA
from hetorch.federated.rounds import agreement, content_bytes, dump_list
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import EVERYONE, RoundMessage, dump_bundle, load_round_message
from tests.federated.rounds import Round, assert_void, round_of
from tests.federated.test_adversary import changed_part, messages_of, rebundled

Blocks = Any


class TwoLists:
    """An aggregator and colluders, the last parties, that can show different lists of contributors to honest parties.
    They keep what a party's code would forget, and sign what it would not."""

    def __init__(self, around: Round, colluders: int) -> None:
        self.around = around
        self.honest = range(len(around.identities) - colluders)
        self.colluding = range(len(self.honest), len(around.identities))
        self.ciphertexts: dict[int, Blocks] = {}
        self.states = self._until_the_sum()
        held = self.states[self.colluding[0]]._held
        self.own_keys = [bytes(bytearray(held.key(2 + party))) for party in range(len(around.identities))]
        self.shares = {party: self.states[party]._held.array(1).copy() for party in self.colluding}

    def _until_the_sum(self) -> dict[int, Any]:
        roster, number = self.around.roster, self.around.number
        states: dict[int, Any] = {}
        messages: dict[int, bytes] = {}
        for index, identity in enumerate(self.around.identities):
            states[index], messages[index] = Party(roster, identity).begin(number)
        aggregator = Aggregator.begin(roster, number)
        while aggregator.step is not Kind.ROUND_UPDATE:
            for message in messages.values():
                aggregator = aggregator.receive(message)
            step = aggregator.step
            following, back = aggregator.close()
            assert following is not None
            aggregator = following
            for index, message in back.items():
                state = states[index].receive(message)
                if step is Kind.ROUND_SHARE:
                    state = state.encrypt(self.around.updates[index], sample_count=self.around.samples[index])
                states[index], messages[index] = state
        self.identifier = aggregator.identifier
        self.commitments = dict(aggregator.commitments)
        for party, message in messages.items():
            length = content_bytes(roster, Kind.ROUND_UPDATE)
            update = load_round_message(message, Kind.ROUND_UPDATE, roster.digest, self.identifier, length)
            self.ciphertexts[party] = unpack(bytes(update.content))
        return states

    def sum_of(self, contributors: Sequence[int]) -> tuple[bytes, bytes]:
        """Return the list and the sum of these contributors, and what a party signs of them."""
        roster = self.around.roster
        total = sum(self.ciphertexts[party] for party in contributors) % PRIME
        names, packed = dump_list(roster, contributors), packed_bytes(total)
        commitments = {party: self.commitments[party] for party in contributors}
        return names + packed, agreement(names, commitments, hashlib.sha256(packed).digest())

    def open_with(self, parties: Sequence[int], contributors: Sequence[int]) -> Blocks:
        """Return the sum of the contributors' secrets that these honest parties and all colluders open."""
        roster, identifier = self.around.roster, self.identifier
        content, signed = self.sum_of(contributors)
        message = RoundMessage(Kind.ROUND_SUM, roster.digest, identifier, EVERYONE, EVERYONE, content).dump()
        agreed = {party: self.states[party].receive(message) for party in parties}
        signatures = [message for _, message in agreed.values()]
        for party in self.colluding:
            own = RoundMessage(Kind.ROUND_AGREEMENT, roster.digest, identifier, party, EVERYONE, signed)
            signatures.append(self.around.identities[party].sign(own).dump())
        bundle = dump_bundle(roster.digest, identifier, signatures)
        shares = {
            party: sum(shares[other] for other in contributors) % PRIME
            for party, shares in self.shares.items()
        }
        for party, (state, _) in agreed.items():
            _, opening = state.receive(bundle)
            length = content_bytes(roster, Kind.ROUND_OPENING)
            sealed = load_round_message(opening, Kind.ROUND_OPENING, roster.digest, identifier, length)
            content = unseal(self.own_keys[party], OPENING_NONCE, bytes(sealed.content), identifier, party)
            shares[party] = unpack(content)[0]
        return interpolate(dict(list(shares.items())[: roster.threshold]))


def packed_bytes(residues: Blocks) -> bytes:
    """45 bits a residue, by whole numbers."""
    whole = sum(int(value) << (45 * place) for place, value in enumerate(residues.reshape(-1)))
    return whole.to_bytes(len(residues) * BLOCK_BYTES, "little")


def test_one_colluder_too_many_learns_an_update() -> None:
    """The bound of Roster.colluders is not cautious: 2t - n colluders get both of two lists opened."""
    around = round_of(6, 4)
    attack = TwoLists(around, around.roster.colluders + 1)
    everyone, without = range(6), range(1, 6)
    opened = attack.open_with([0, 1], everyone) - attack.open_with([2, 3], without)
    packed = packed_bytes(attack.ciphertexts[0])
    integers = decrypt(packed, opened % PRIME, attack.identifier, 6, 1)
    values = np.concatenate([blocks.reshape(-1).copy() for blocks in integers])[2:2502]
    step = around.roster.step(around.roster.arrays[0]) * around.roster.most_samples / around.samples[0]
    assert np.abs(values * step - around.updates[0]["w"]).max() <= step


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_as_many_as_the_roster_states_open_one_list_only(first: int) -> None:
    around = round_of(6, 4)
    assert around.roster.colluders == 1
    attack = TwoLists(around, 1)
    opened = 0
    for parties, contributors in ((range(first), range(6)), (range(first, 5), range(1, 6))):
        try:
            attack.open_with(parties, contributors)
        except RoundVoidError as error:
            assert "4 to 6" in str(error) and error.exposed  # three signatures
        else:
            opened += 1
    assert opened <= 1


def test_a_sum_of_two_secrets_leaves_the_deviation_of_the_table() -> None:
    """Given s_1 + s_2 = S, s_1 has the distribution of the docstring of hetorch.federated.ring; by summation."""
    numbers = np.arange(-ERROR_BOUND, ERROR_BOUND + 1)
    single = np.exp(-(numbers**2) / (2 * SIGMA**2))
    single /= single.sum()
    for total in range(-30, 31):  # beyond, a sum of two has a probability below 1e-5
        other = total - numbers
        inside = np.abs(other) <= ERROR_BOUND
        joint = np.where(inside, single * single[np.where(inside, other, 0) + ERROR_BOUND], 0)
        conditional = joint / joint.sum()
        expected = np.exp(-((numbers - total / 2) ** 2) / SIGMA**2)
        expected /= expected.sum()
        assert np.abs(conditional - expected).max() < 1e-9
        mean = (conditional * numbers).sum()
        assert np.sqrt((conditional * (numbers - mean) ** 2).sum()) >= 3.19


# A party that tells others different things


def test_two_commitments_of_one_party_open_nothing() -> None:
    around = round_of(6, 4)

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_COMMITMENT or party >= 3:
            return data
        messages = messages_of(around, step, data)
        other = changed_part(messages[5])  # another digest and the same tag, and party 5 signs it
        return rebundled(around, data, [*messages[:5], around.identities[5].sign(other)])

    around.down = down
    with pytest.raises(WireError, match="signed another list of contributors, or another sum"):
        around.run()
    assert not any(message[6:8] == bytes([Kind.ROUND_OPENING, 0]) for message in around.wire)


def test_two_own_keys_of_one_party_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Party 0 tells party 1 another key of its own than the others: the tags of party 1 are other ones."""
    original = sealing.seal
    calls = 0

    def seal(key: bytes, nonce: bytes, content: bytes, identifier: bytes) -> bytes:
        nonlocal calls
        calls += 1
        content = content[:-1] + bytes([content[-1] ^ (calls == 1)])
        return original(key, nonce, content, identifier)

    monkeypatch.setattr(dealing, "seal", seal)
    around = round_of()
    with pytest.raises(RoundVoidError):
        around.run()
    assert set(around.errors) == {0, 1, 2, 3}
    assert not any(message[6:8] == bytes([Kind.ROUND_OPENING, 0]) for message in around.wire)


def test_a_round_key_of_another_beginning_is_refused_by_its_party() -> None:
    around = round_of()
    _, old = Party(around.roster, around.identities[2]).begin(around.number)
    length = content_bytes(around.roster, Kind.ROUND_KEY)
    stale = load_round_message(old, Kind.ROUND_KEY, around.roster.digest, old[40:72], length)

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_KEY or party != 2:
            return data
        messages = messages_of(around, step, data)
        return rebundled(around, data, [*messages[:2], stale, *messages[3:]])

    around.down = down
    assert_void(around, "another round key", {2})
