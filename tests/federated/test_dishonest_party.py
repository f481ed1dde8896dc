"""States answer once, and parties that send nonsense are noticed."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from hetorch.errors import RoundVoidError, SpentStateError, WireError
from hetorch.federated import Aggregator, Identity, Party, Roster
from hetorch.federated.party import dealing, encrypting, opening, sharing, tag, update
from hetorch.federated.ring import PRIME
from hetorch.federated.rounds import content_bytes
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import load_round_message
from tests.federated.rounds import Round, assert_void, mean_error_bound, roster_of, round_of, weighted_mean

RECEIVING: tuple[Any, ...] = (
    dealing.AwaitingKeys,
    dealing.AwaitingShares,
    opening.AwaitingSum,
    opening.AwaitingAgreements,
    opening.AwaitingOpenings,
)


def states_of(around: Round) -> dict[str, Any]:
    """The states that party 0 had, by name, all spent, and the message that each took."""
    seen: dict[str, Any] = {}
    for cls in RECEIVING:

        def receive(self: Any, data: bytes, cls: type = cls, original: Any = cls.receive) -> Any:
            if self._place.index == 0:
                seen[cls.__name__] = (self, data, original)
            return original(self, data)

        cls.receive = receive
    return seen


def test_no_state_answers_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in RECEIVING:
        monkeypatch.setattr(cls, "receive", cls.receive)  # is restored at the end
    around = round_of()
    seen = states_of(around)
    around.run()
    assert len(seen) == 5
    for state, data, original in seen.values():
        with pytest.raises(SpentStateError):
            original(state, data)


def test_states_are_not_copied() -> None:
    around = round_of()
    state, _ = Party(around.roster, around.identities[0]).begin(1)
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(state)
    same = copy.copy(state)  # it shares the permission
    for _ in range(2):
        with pytest.raises((RoundVoidError, SpentStateError)):
            same.receive(b"")
    with pytest.raises(SpentStateError):
        state.receive(b"")


def test_an_aggregator_takes_one_message_of_a_party() -> None:
    around = round_of()
    first = Aggregator.begin(around.roster, 1)
    _, message = Party(around.roster, around.identities[0]).begin(1)
    _, other = Party(around.roster, around.identities[0]).begin(1)
    second = first.receive(message)
    with pytest.raises(WireError, match="a second"):
        second.receive(other)
    with pytest.raises(SpentStateError):
        first.receive(other)


# Parties that send nonsense


def test_nonsense_leaves_the_aggregator_where_it_was() -> None:
    around = round_of()
    state = Aggregator.begin(around.roster, 1)
    _, message = Party(around.roster, around.identities[0]).begin(1)
    stranger = Identity.generate()
    length = content_bytes(around.roster, Kind.ROUND_KEY)
    forged = load_round_message(message, Kind.ROUND_KEY, around.roster.digest, message[40:72], length)
    for nonsense in (b"", b"x" * len(message), message[:-1], stranger.sign(forged).dump()):
        with pytest.raises(WireError):
            state.receive(nonsense)
    assert state.receive(message).missing == {1, 2, 3}


def test_every_changed_byte_of_a_bundle_ends_the_round() -> None:
    around = round_of()
    bundles: list[bytes] = []

    def down(step: Kind, party: int, data: bytes) -> bytes:
        bundles.append(data)
        return data

    around.down = down
    around.run()
    keys = bundles[0]
    rng = np.random.default_rng(3)
    for place in rng.integers(0, len(keys), 60):
        changed = bytearray(keys)
        changed[place] ^= 1 << int(rng.integers(8))
        state, _ = Party(around.roster, around.identities[0]).begin(1)
        with pytest.raises(RoundVoidError):
            state.receive(bytes(changed))


def dealt_wrong(monkeypatch: pytest.MonkeyPatch, dealer: int, wrong: int) -> None:
    """Let party `dealer` deal a wrong share to party `wrong`, the others as they should."""
    count = 0
    original = sharing.deal

    def deal(*arguments: Any) -> Any:
        nonlocal count
        shares = original(*arguments)
        if count == dealer:
            shares[wrong] = (shares[wrong] + 1) % PRIME
        count += 1
        return shares

    monkeypatch.setattr(dealing, "deal", deal)


def test_a_wrong_share_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt_wrong(monkeypatch, 2, 1)
    around = round_of()
    around.lost = {3: Kind.ROUND_AGREEMENT}  # so that the wrong share is needed
    assert not around.run()
    assert set(around.errors) == {0, 1, 2}
    assert all("no shares of the sum belong together" in str(error) for error in around.errors.values())


def test_a_wrong_share_among_more_than_enough_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt_wrong(monkeypatch, 2, 1)
    around = round_of()
    results = around.run()
    expected = weighted_mean(around.updates, around.samples)
    bound = mean_error_bound(around.roster, around.samples)
    assert len(results) == 4
    assert all(np.abs(result.arrays["w"] - expected["w"]).max() <= bound for result in results.values())


def emptied(around: Round, step: Kind) -> Callable[[Kind, int, bytes], bytes]:
    """Return what becomes of messages if party 2 signs zeros in place of the content of `step`."""

    def up(kind: Kind, party: int, data: bytes) -> bytes:
        if kind is not step or party != 2:
            return data
        length = content_bytes(around.roster, kind)
        message = load_round_message(data, kind, around.roster.digest, data[40:72], length)
        return around.identities[2].sign(replace(message, content=bytes(length))).dump()

    return up


def test_an_agreement_on_something_else_is_refused_by_the_aggregator() -> None:
    around = round_of()

    around.up = emptied(around, Kind.ROUND_AGREEMENT)
    with pytest.raises(WireError, match="party 2 signed another list"):
        around.run()


def test_a_share_of_the_sum_that_cannot_be_opened_does_no_harm_among_enough() -> None:
    around = round_of()

    around.up = emptied(around, Kind.ROUND_OPENING)
    assert len(around.run()) == 4
    around.lost = {3: Kind.ROUND_AGREEMENT}
    around.number = 2
    assert not around.run()
    assert "2 shares of the sum can be opened" in str(around.errors[0])


def test_a_wrong_tag_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tag.dump_tag
    calls = iter([0, 0, 1, 0])
    monkeypatch.setattr(encrypting, "dump_tag", lambda pair: original((pair[0] ^ next(calls), pair[1])))
    assert_void(round_of(), "sent a wrong tag")


def test_a_party_that_does_not_count_itself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = update.encode

    def encode(roster: Roster, values: Any, sample_count: int, chunk_blocks: int) -> Any:
        for index, chunk in enumerate(original(roster, values, sample_count, chunk_blocks)):
            if index == 0 and np.array_equal(values["w"], around.updates[1]["w"]):
                chunk[0, 0] = 5
            yield chunk

    around = round_of()
    monkeypatch.setattr(encrypting, "encode", encode)
    assert not around.run()
    assert all("sum is of 8 updates" in str(error) for error in around.errors.values())


# How many may collude


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_two_lists_never_both_get_their_signatures(count: int) -> None:
    """Colluders sign every list, others one; with one colluder more than the roster states two lists pass."""
    identities = [Identity.generate() for _ in range(count)]
    for threshold in range(count // 2 + 1, count):
        for fewest in range(threshold + 1, count + 1):
            roster = roster_of(identities, {"w": np.zeros(3)}, threshold, fewest_contributors=fewest)
            assert 0 <= roster.colluders <= threshold - 1
            assert fewest - roster.colluders >= 2  # honest updates in every sum
            if fewest < count:
                assert not two_quorums(count, threshold, roster.colluders)
                assert two_quorums(count, threshold, roster.colluders + 1)


def two_quorums(count: int, threshold: int, colluders: int) -> bool:
    quorums = [set(quorum) for quorum in combinations(range(count), threshold)]
    return any(one & other <= set(range(colluders)) for one in quorums for other in quorums)
