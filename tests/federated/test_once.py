"""A state answers once: not again as a copy, not in a forked process, and not with arguments that are none."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
import pytest

from hetorch.errors import InputError, RoundVoidError, SpentStateError
from hetorch.federated import Aggregator, Identity, Party
from hetorch.federated.once import Once
from hetorch.federated.party.dealing import AwaitingKeys, AwaitingShares
from hetorch.federated.party.encrypting import AwaitingCommitments, ReadyToEncrypt
from hetorch.federated.party.opening import AwaitingAgreements, AwaitingOpenings, AwaitingSum, _sets
from hetorch.wire.frame import Kind
from tests.federated.rounds import Round, mean_error_bound, roster_of, round_of, weighted_mean


def test_a_replaced_state_shares_the_permission() -> None:
    around = round_of(3, 2)
    begun = [Party(around.roster, identity).begin(1) for identity in around.identities]
    aggregator: Aggregator | None = Aggregator.begin(around.roster, 1)
    states: list[Any] = [state for state, _ in begun]
    messages = [message for _, message in begun]
    for _ in ("keys", "shares"):
        assert aggregator is not None
        for message in messages:
            aggregator = aggregator.receive(message)
        aggregator, back = aggregator.close()
        copy = dataclasses.replace(states[0])
        answers = [state.receive(back[index]) for index, state in enumerate(states)]
        with pytest.raises(SpentStateError):
            copy.receive(back[0])  # would seal other shares under the same keys
        if isinstance(answers[0], tuple):
            states, messages = [state for state, _ in answers], [message for _, message in answers]
    again = dataclasses.replace(answers[0])
    answers[0].encrypt(around.updates[0], sample_count=1)
    with pytest.raises(SpentStateError):
        again.encrypt(around.updates[1], sample_count=1)  # would be a second update under one secret


def test_a_forked_process_has_no_permission() -> None:
    once = Once()
    child = os.fork()
    if not child:
        try:
            once.take()
        except SpentStateError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    once.take()


@pytest.mark.parametrize("number", [-1, 2**64, 1.5])
def test_the_number_of_a_round_has_64_bits(number: Any) -> None:
    around = round_of(3, 2)
    with pytest.raises(InputError, match="number of a round"):
        Party(around.roster, around.identities[0]).begin(number)
    with pytest.raises(InputError, match="number of a round"):
        Aggregator.begin(around.roster, number)


def test_states_say_whether_the_update_has_left() -> None:
    before = (AwaitingKeys, AwaitingShares, ReadyToEncrypt, AwaitingCommitments)
    after = (AwaitingSum, AwaitingAgreements, AwaitingOpenings)
    assert [state.exposed for state in (*before, *after)] == [False] * 4 + [True] * 3


@pytest.mark.parametrize(
    ("lost", "exposed"),
    [
        ({0: Kind.ROUND_KEY}, False),
        ({0: Kind.ROUND_COMMITMENT}, True),
        ({0: Kind.ROUND_AGREEMENT, 1: Kind.ROUND_AGREEMENT}, True),
    ],
)
def test_an_aggregator_says_so_too(lost: dict[int, Kind], exposed: bool) -> None:
    around = round_of(3, 2)
    around.lost = lost
    with pytest.raises(RoundVoidError) as error:
        around.run()
    assert error.value.exposed is exposed


# Shares that do not fit


@pytest.mark.parametrize("count", range(2, 14))
def test_each_party_is_left_out_of_a_set_of_shares_early(count: int) -> None:
    for threshold in range(1, count):
        sets = [next(iterator) for iterator in [_sets(list(range(count)), threshold)] for _ in range(count)]
        assert sets[0] == tuple(range(threshold))
        assert all(len(set(parties)) == threshold for parties in sets)
        runs = -(-count // (count - threshold))
        assert all(any(party not in parties for parties in sets[:runs]) for party in range(count))
    assert next(_sets(list(range(count)), count)) == tuple(range(count))


def test_a_wrong_share_of_the_first_of_many_parties_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """C(12, 7) = 792 sets; in their order the first 462 have party 0."""
    original = AwaitingOpenings._shares

    def shares(self: Any, messages: Any) -> Any:
        for party, share in original(self, messages):
            yield party, share ^ 1 if party == 0 else share

    monkeypatch.setattr(AwaitingOpenings, "_shares", shares)
    rng = np.random.default_rng(1)
    identities = [Identity.generate() for _ in range(12)]
    updates = [{"w": rng.uniform(-1, 1, 20)} for _ in identities]
    roster = roster_of(identities, updates[0], 7)
    around = Round(roster, identities, updates, [10] * 12)
    results = around.run()
    expected = weighted_mean(updates, around.samples)["w"]
    assert len(results) == 12
    assert all(
        np.abs(r.arrays["w"] - expected).max() <= mean_error_bound(roster, around.samples)
        for r in results.values()
    )
