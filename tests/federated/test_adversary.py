"""What an aggregator or a party can try: it is detected where the protocol says so, and never a silent wrong sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hetorch.errors import WireError
from hetorch.federated import Aggregator
from hetorch.federated.party import opening, tag
from hetorch.federated.residues import pack, unpack
from hetorch.federated.ring import error_shift
from hetorch.federated.rounds import content_bytes, dump_list, list_bytes
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import EVERYONE, RoundMessage, dump_bundle, load_bundle, load_round_message
from tests.federated.oracle import add, subtract
from tests.federated.rounds import Round, assert_void, round_of


def messages_of(around: Round, kind: Kind, bundle: bytes) -> list[RoundMessage]:
    count = len(around.identities)
    roster = around.roster
    identifier = bundle[40:72]
    return load_bundle(
        bundle, roster.digest, identifier, range(1, count + 1), kind, content_bytes(roster, kind)
    )


def rebundled(around: Round, bundle: bytes, messages: list[RoundMessage]) -> bytes:
    return dump_bundle(around.roster.digest, bundle[40:72], [message.dump() for message in messages])


def changed_part(message: RoundMessage, place: int = 5) -> RoundMessage:
    content = bytearray(message.content)
    content[place] ^= 1
    return replace(message, content=bytes(content))


# Shares


def test_a_changed_share_is_refused_by_its_recipient() -> None:
    around = round_of()

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_SHARE or party != 1:
            return data
        first, *rest = messages_of(around, step, data)
        return rebundled(around, data, [changed_part(first), *rest])

    around.down = down
    assert_void_for_one(around, "signature")


def test_swapped_shares_are_refused() -> None:
    around = round_of()
    held: dict[int, list[RoundMessage]] = {}

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_SHARE:
            return data
        held[party] = messages_of(around, step, data)
        if party != 1:
            return data
        # The share of party 3 for party 0 in place of that for party 1.
        return rebundled(around, data, [*held[1][:-1], held[0][-1]])

    around.down = down
    assert_void_for_one(around, "for party 0")


def test_a_share_of_another_party_under_its_own_name_is_refused() -> None:
    around = round_of()

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_SHARE or party != 1:
            return data
        messages = messages_of(around, step, data)
        stolen = replace(messages[0], sender=3)  # party 3 signs what party 0 sealed for party 1
        signed = around.identities[3].sign(stolen)
        return rebundled(around, data, [*messages[:-1], signed])

    around.down = down
    assert_void_for_one(around, "what party 3 sealed")


def test_a_replayed_share_is_refused() -> None:
    first = round_of()
    old: dict[int, bytes] = {}

    def record(step: Kind, party: int, data: bytes) -> bytes:
        if step is Kind.ROUND_SHARE:
            old[party] = data
        return data

    first.down = record
    first.run()
    again = Round(first.roster, first.identities, first.updates, first.samples)  # the same number once more
    again.down = lambda step, party, data: old[1] if step is Kind.ROUND_SHARE and party == 1 else data
    assert_void_for_one(again, "another beginning")


def assert_void_for_one(around: Round, pattern: str) -> None:
    """Assert that party 1 leaves; the others then lack its update."""
    assert_void(around, pattern, {1})


# Updates and sums


def test_an_aggregator_refuses_a_changed_update() -> None:
    around = round_of()

    def up(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_UPDATE or party != 2:
            return data
        content = content_bytes(around.roster, step)
        message = changed_part(load_round_message(data, step, around.roster.digest, data[40:72], content))
        return around.identities[2].sign(message).dump()

    around.up = up
    with pytest.raises(WireError, match="party 2 is not the one that it committed to"):
        around.run()


def changed_sum(around: Round, change: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> None:
    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_UPDATE:
            return data
        roster = around.roster
        length = content_bytes(roster, Kind.ROUND_SUM)
        message = load_round_message(data, Kind.ROUND_SUM, roster.digest, data[40:72], length)
        size = list_bytes(roster)
        names, packed = change(bytes(message.content[:size]), bytes(message.content[size:]))
        return replace(message, content=names + packed).dump()

    around.down = down


@pytest.mark.parametrize("place", [0, 5, 2047, 2048, 4095])
def test_a_false_sum_is_refused(place: int) -> None:
    around = round_of()

    def change(names: bytes, packed: bytes) -> tuple[bytes, bytes]:
        blocks = unpack(packed)
        delta = np.zeros_like(blocks)
        delta.reshape(-1)[place] = 1 << error_shift(4)  # decrypts to a sum that is larger by one step
        return names, pack(add(blocks, delta))

    changed_sum(around, change)
    assert_void(around, "the sum is not that of the updates")


def test_a_sum_without_a_contributor_of_the_list_is_refused() -> None:
    around = round_of(6, 4)
    ciphertexts = recorded_updates(around)
    changed_sum(around, lambda names, packed: (names, pack(subtract(unpack(packed), ciphertexts[5]))))
    assert_void(around, "the sum is not that of the updates")


def test_a_list_below_the_fewest_contributors_is_refused() -> None:
    around = round_of(6, 4)
    ciphertexts = recorded_updates(around)

    def change(names: bytes, packed: bytes) -> tuple[bytes, bytes]:
        total = add(add(ciphertexts[0], ciphertexts[1]), add(ciphertexts[2], ciphertexts[3]))
        return dump_list(around.roster, range(4)), pack(total)

    changed_sum(around, change)
    assert_void(around, "the sum has 4 contributors")


def recorded_updates(around: Round) -> dict[int, Any]:
    ciphertexts: dict[int, Any] = {}

    def up(step: Kind, party: int, data: bytes) -> bytes:
        if step is Kind.ROUND_UPDATE:
            length = content_bytes(around.roster, step)
            message = load_round_message(data, step, around.roster.digest, data[40:72], length)
            ciphertexts[party] = unpack(message.content)
        return data

    around.up = up
    return ciphertexts


def test_an_update_made_from_the_others_gives_no_sum() -> None:
    """Party 3, with the aggregator, sends minus the updates of parties 1 and 2, so that party 0's would be left."""
    around = round_of()
    ciphertexts = recorded_updates(around)

    def change(names: bytes, packed: bytes) -> tuple[bytes, bytes]:
        return names, pack(ciphertexts[0])

    changed_sum(around, change)
    assert_void(around, "the sum is not that of the updates")


def test_nor_does_it_where_all_tags_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the secrets stands in the way here: those of the victim's sum were never shared."""
    around = round_of()
    ciphertexts = recorded_updates(around)
    changed_sum(around, lambda names, packed: (names, pack(ciphertexts[0])))
    monkeypatch.setattr(Aggregator, "_check", lambda *_: None)
    monkeypatch.setattr(tag.TagKey, "value", (0, 0))
    monkeypatch.setattr(opening, "add_tags", lambda tags: (0, 0))
    results = around.run()
    assert not results
    assert all("no shares of the sum belong together" in str(error) for error in around.errors.values())


# Lists of contributors, and shares of the sum


def test_two_lists_of_contributors_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    around = round_of(6, 4)
    monkeypatch.setattr(Aggregator, "_check", lambda *_: None)  # an aggregator that lies
    ciphertexts = recorded_updates(around)
    sums: dict[int, bytes] = {}

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_UPDATE or party < 3:
            return data
        if not sums:  # all but party 0
            total = ciphertexts[1]
            for other in range(2, 6):
                total = add(total, ciphertexts[other])
            sums[0] = dump_list(around.roster, range(1, 6)) + pack(total)
        return RoundMessage(
            Kind.ROUND_SUM, around.roster.digest, data[40:72], EVERYONE, EVERYONE, sums[0]
        ).dump()

    around.down = down
    assert_void(around, "signed another list of contributors")
    assert not any(message[6:8] == bytes([Kind.ROUND_OPENING, 0]) for message in around.wire)


def test_agreements_of_fewer_than_the_threshold_open_nothing() -> None:
    around = round_of(6, 4)

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_AGREEMENT:
            return data
        return rebundled(around, data, messages_of(around, step, data)[:3])

    around.down = down
    assert_void(around, "3 messages")


def test_one_signature_counts_once() -> None:
    around = round_of(6, 4)

    def down(step: Kind, party: int, data: bytes) -> bytes:
        if step is not Kind.ROUND_AGREEMENT:
            return data
        return rebundled(around, data, [messages_of(around, step, data)[0]] * 4)

    around.down = down
    assert_void(around, "two messages of one party")
