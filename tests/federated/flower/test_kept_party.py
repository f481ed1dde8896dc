"""A party in a process of its own: a whole round, and what ends it. None of this needs flwr."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from hetorch.errors import InputError, RoundVoidError
from hetorch.federated import Aggregator, Identity, Roster
from hetorch.federated.flower.kept_party import KeptParty
from hetorch.federated.flower.session import first_history, next_history, roster_of_round


def make_roster(count: int = 3, threshold: int = 2) -> tuple[Roster, list[Identity]]:
    identities = [Identity.generate() for _ in range(count)]
    public = tuple(identity.public for identity in identities)
    return Roster("s", public, threshold, Roster.arrays_of({"w": np.zeros(10)}, 1.0), 100), identities


def test_a_round_of_kept_parties_gives_the_mean() -> None:
    roster, identities = make_roster()
    updates = [{"w": np.random.default_rng(i).uniform(-1, 1, 10)} for i in range(3)]
    began = [KeptParty.begin(roster, identity.private_bytes(), 5) for identity in identities]
    parties, messages = [party for party, _ in began], [message for _, message in began]
    aggregator: Aggregator | None = Aggregator.begin(roster, 5)
    means = []
    for step in range(6):
        assert aggregator is not None
        for message in messages:
            aggregator = aggregator.receive(message)
        aggregator, back = aggregator.close()
        if step == 5:
            means = [party.finish(back[i]) for i, party in enumerate(parties)]
            break
        messages = [party.receive(back[i]) for i, party in enumerate(parties)]
        if step == 1:
            assert messages == [b""] * 3
            messages = [party.encrypt(updates[i], 50 + i) for i, party in enumerate(parties)]
    expected = np.average([update["w"] for update in updates], axis=0, weights=[50, 51, 52])
    (array,) = roster.arrays
    bound = 3 * roster.step(array) / 2 * 100 / 153 + 1e-14
    for mean in means:
        assert np.abs(mean["w"] - expected).max() <= bound
    for party in parties:
        assert not Path(party.folder).exists()  # the process ended with the round


def test_a_wrong_message_ends_the_process() -> None:
    roster, identities = make_roster()
    party, _ = KeptParty.begin(roster, identities[0].private_bytes(), 1)
    with pytest.raises(RoundVoidError, match="the round is void"):
        party.receive(b"nonsense")
    with pytest.raises(RoundVoidError, match="the process that held its secrets has ended") as caught:
        party.receive(b"nonsense")
    assert caught.value.exposed  # nobody can tell whether its update has left
    party.end()  # without effect


def test_only_its_user_may_open_the_folder() -> None:
    roster, identities = make_roster()
    party, _ = KeptParty.begin(roster, identities[0].private_bytes(), 1)
    assert Path(party.folder).stat().st_mode & 0o777 == 0o700
    party.end()
    with pytest.raises(RoundVoidError):
        party.receive(b"")


def test_it_ends_with_the_process_that_starts_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    roster, identities = make_roster()
    with subprocess.Popen(["sleep", "600"]) as starter:
        monkeypatch.setattr(os, "getppid", lambda: starter.pid)
        party, _ = KeptParty.begin(roster, identities[0].private_bytes(), 1)
        starter.kill()
    end = time.monotonic() + 120
    while Path(party.folder).exists():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_an_identity_that_is_not_in_the_roster_is_told() -> None:
    roster, _ = make_roster()
    with pytest.raises(RoundVoidError, match="this identity is not in the roster"):
        KeptParty.begin(roster, Identity.generate().private_bytes(), 1)


def test_the_roster_of_a_round_depends_on_the_model() -> None:
    roster, _ = make_roster(5, 4)
    one, other = first_history({"w": np.zeros(10)}), first_history({"w": np.full(10, 1e-300)})
    digests = {
        roster_of_round(roster, history, range(5)).digest for history in (one, other, next_history(one, b""))
    }
    assert len(digests) == 3


@pytest.mark.parametrize(("there", "threshold", "contributors"), [(5, 4, 5), (4, 3, 4), (3, 2, 3)])
def test_fewer_parties_keep_the_threshold_as_far_as_they_can(
    there: int, threshold: int, contributors: int
) -> None:
    roster, _ = make_roster(5, 4)
    smaller = roster_of_round(roster, bytes(32), range(there))
    assert (smaller.threshold, smaller.fewest_contributors) == (threshold, contributors)
    assert smaller.colluders >= 1


def test_two_parties_have_no_round() -> None:
    roster, _ = make_roster()
    with pytest.raises(InputError, match="at least 3"):
        roster_of_round(roster, bytes(32), [0, 2, 2])
