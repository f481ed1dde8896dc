"""Flower's own classes in one process: the joint model is that of FedAvg, and lost nodes do what the protocol says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip(
    "flwr", reason="flwr has an environment of its own; test_environment.py runs these tests in it"
)

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict

from hetorch.errors import InputError
from hetorch.federated import Roster
from hetorch.federated.flower import EncryptedFedAvg
from hetorch.federated.flower.joint_model import NodeState
from hetorch.federated.flower.kept_party import KeptParty
from hetorch.federated.flower.records import Step, content_of
from tests.federated.flower.loop_grid import (
    LoopGrid,
    change_of,
    grid_of,
    make_app,
    model_of,
    numpy_of,
    record,
    samples_of,
)


@pytest.fixture(autouse=True)
def no_party_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the processes of rounds that a test left open."""
    begun: list[KeptParty] = []
    begin = KeptParty.begin

    def recorded(*arguments: Any) -> tuple[KeptParty, bytes]:
        party, message = begin(*arguments)
        begun.append(party)
        return party, message

    monkeypatch.setattr(KeptParty, "begin", recorded)
    yield
    for party in begun:
        party.end()


FLOAT32 = 2.0**-22
"""Four roundings of numbers below 4 to single precision, for each round."""


def expected_after(rounds: list[tuple[int, list[int]]]) -> dict[str, Any]:
    """FedAvg in clear, in double precision: the rounds that gave a sum, with the nodes that contributed."""
    model = {name: array.astype(np.float64) for name, array in model_of(0).items()}
    for round_, nodes in rounds:
        weights = [samples_of(node) for node in nodes]
        for name in model:
            changes = [change_of(node, round_)[name].astype(np.float64) for node in nodes]
            model[name] = model[name] + np.average(changes, axis=0, weights=weights)
    return model


def bound_of(roster: Roster, name: str, rounds: list[tuple[int, list[int]]]) -> float:
    """Half a fixed-point step for each contributor and round, and the roundings of the arrays' types."""
    step = max(roster.step(array) for array in roster.arrays)
    error = sum(
        len(nodes) * step / 2 * roster.most_samples / sum(samples_of(node) for node in nodes)
        for _, nodes in rounds
    )
    return error + len(rounds) * (FLOAT32 if name == "b" else 2.0**-48)


def models(grid: LoopGrid) -> list[dict[str, Any]]:
    states = [NodeState.load(context) for context in grid.contexts]
    return [state.model for state in states if state]


def check(grid: LoopGrid, roster: Roster, nodes: list[int], rounds: list[tuple[int, list[int]]]) -> None:
    expected = expected_after(rounds)
    for node in nodes:
        for name, values in expected.items():
            error = np.abs(models(grid)[node][name].astype(np.float64) - values).max()
            assert error <= bound_of(roster, name, rounds)


def train(grid: LoopGrid, roster: Roster, rounds: int, **options: Any) -> Any:
    strategy = EncryptedFedAvg(roster, step_timeout=5, min_evaluate_nodes=1, **options)
    return strategy.start(grid, record(model_of(0)), num_rounds=rounds)


def contributors(result: Any) -> list[int]:
    return [metrics["contributors"] for _, metrics in sorted(result.train_metrics_clientapp.items())]


def test_the_joint_model_is_that_of_fedavg(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 4, 3)
    result = train(grid, roster, 3)
    everyone = [0, 1, 2, 3]
    assert contributors(result) == [4, 4, 4]
    assert not grid.errors
    check(grid, roster, everyone, [(1, everyone), (2, everyone), (3, everyone)])
    first = models(grid)[0]
    for model in models(grid)[1:]:
        assert all(np.array_equal(model[name], first[name]) for name in first)  # bit by bit
    total = sum(float(model["w"].sum()) for model in models(grid)) / 4
    assert result.evaluate_metrics_clientapp[3]["sum"] == pytest.approx(total)
    assert not result.arrays


def test_nothing_in_clear_crosses_the_wire(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 3, 2)
    train(grid, roster, 1)
    wire = b"|".join(grid.wire)
    assert len(wire) > 100_000
    first = numpy_of(record(model_of(0)))
    assert first["w"].tobytes()[:64] in wire  # the search finds the model that the server began with
    for node in range(3):
        change = change_of(node, 1)
        for secret in (change["w"], first["w"] + change["w"], change["b"], first["b"] + change["b"]):
            assert secret.tobytes()[:16] not in wire
        assert b"train_loss" not in wire
        identity = (tmp_path / f"identity{node}").read_bytes()
        assert identity not in wire
    for model in models(grid):
        assert model["w"].tobytes()[:16] not in wire


def test_a_node_lost_after_its_update_counts(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 4, 3, **{"hetorch-fewest-parties": 3})
    grid.dead = lambda node, step, round_: node == 2 and (round_ > 1 or step in ("agree", "open", "finish"))
    result = train(grid, roster, 2, fewest_parties=3)
    rest = [0, 1, 3]
    assert contributors(result) == [4, 3]
    check(grid, roster, rest, [(1, [0, 1, 2, 3]), (2, rest)])


def test_a_node_lost_before_its_update_makes_the_round_void_and_training_continues(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 4, 3, **{"hetorch-fewest-parties": 3})
    grid.dead = lambda node, step, round_: node == 1 and (round_ > 1 or step not in ("keys", "shares"))
    result = train(grid, roster, 3, fewest_parties=3)
    rest = [0, 2, 3]
    assert contributors(result) == [0, 3, 3]
    check(grid, roster, rest, [(2, rest), (3, rest)])


def test_with_fewer_than_the_roster_allows_all_rounds_are_void(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 3, 2)
    grid.dead = lambda node, step, round_: node == 0
    result = train(grid, roster, 2)
    assert contributors(result) == [0, 0]
    for model in models(grid):
        assert all(np.array_equal(model[name], values) for name, values in model_of(0).items())


def test_a_node_refuses_fewer_parties_than_its_owner_allows(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 4, 3)
    grid.dead = lambda node, step, round_: node == 0
    result = train(grid, roster, 1, fewest_parties=3)
    assert contributors(result) == [0]
    assert any("the round is of 3 parties; this node wants at least 4" in error for error in grid.errors)


@pytest.mark.parametrize(("fewest", "expected"), [(3, [0, 0]), (4, [0, 4])])
def test_an_exposed_update_is_sent_again_only_to_the_same_contributors(
    tmp_path: Path, fewest: int, expected: list[int]
) -> None:
    grid, roster = grid_of(tmp_path, 4, 3, **{"hetorch-fewest-parties": fewest})
    grid.app = make_app(lambda node, round_: change_of(node, 1))  # deterministic: the same in each round
    grid.dead = lambda node, step, round_: round_ == 1 and step == "agree" and node > 0
    assert contributors(train(grid, roster, 2, fewest_parties=fewest)) == expected
    refused = sum("was sent in a round that gave this node no sum" in error for error in grid.errors)
    assert refused == (4 if fewest == 3 else 0)


def test_other_training_after_an_exposed_round_continues(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 3, 2)
    grid.dead = lambda node, step, round_: round_ == 1 and step == "agree" and node > 0
    result = train(grid, roster, 2)
    assert contributors(result) == [0, 3]
    check(grid, roster, [0, 1, 2], [(2, [0, 1, 2])])


def test_different_first_models_make_no_round(tmp_path: Path) -> None:
    """A server that singles a party out by another model gets no sum."""
    grid, roster = grid_of(tmp_path, 3, 2)
    other = model_of(1)
    deliver = grid.app

    def app(message: Message, context: Context) -> Message:
        if context.node_id == 1 and "arrays" in message.content:
            message.content["arrays"] = record(other)
        return deliver(message, context)

    grid.app = app
    assert contributors(train(grid, roster, 2)) == [0, 0]


@pytest.mark.parametrize("kind", [MessageType.TRAIN, MessageType.EVALUATE])
def test_a_message_without_the_strategy_is_refused(tmp_path: Path, kind: str) -> None:
    grid, _ = grid_of(tmp_path, 3, 2)
    content = RecordDict({"arrays": record(model_of(0)), "config": ConfigRecord({"server-round": 1})})
    with pytest.raises(InputError, match="nothing but messages of EncryptedFedAvg"):
        make_app()(Message(content, dst_node_id=1, message_type=kind), grid.contexts[0])


def test_metrics_of_training_are_not_to_be_had_as_those_of_evaluation(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 3, 2)
    train(grid, roster, 1)
    message = Message(content_of(Step.EVALUATE), dst_node_id=1, message_type=MessageType.TRAIN)
    with pytest.raises(InputError, match="which the strategy does not send"):
        grid.app(message, grid.contexts[0])


def test_an_identity_that_others_can_read_is_refused(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 3, 2)
    (tmp_path / "identity1").chmod(0o644)
    assert contributors(train(grid, roster, 1)) == [0]
    assert any("others can read" in error for error in grid.errors)


def test_the_server_cannot_evaluate(tmp_path: Path) -> None:
    grid, roster = grid_of(tmp_path, 3, 2)
    with pytest.raises(InputError, match="does not know the joint model"):
        EncryptedFedAvg(roster).start(grid, record(model_of(0)), evaluate_fn=lambda round_, arrays: None)
    with pytest.raises(InputError, match="leave fraction_train out"):
        EncryptedFedAvg(roster, fraction_train=0.5)
