"""A round gives every party the mean of FedAvg, and an aggregator nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hetorch.errors import RoundVoidError
from hetorch.federated import Identity
from hetorch.wire.frame import Kind
from tests.federated.rounds import Round, Update, mean_error_bound, roster_of, weighted_mean

IDENTITIES = [Identity.generate() for _ in range(3)]


def updates_of(count: int, seed: int = 0) -> list[Update]:
    rng = np.random.default_rng(seed)
    return [
        {"w": rng.uniform(-1, 1, (30, 100)), "b": rng.uniform(-1, 1, 7), "s": rng.uniform(-1, 1, ())}
        for _ in range(count)
    ]


def round_of(count: int, threshold: int, **options: object) -> Round:
    identities = [Identity.generate() for _ in range(count)]
    updates = updates_of(count)
    samples = [100 + 37 * index for index in range(count)]
    return Round(roster_of(identities, updates[0], threshold, **options), identities, updates, samples)


@pytest.mark.parametrize(("count", "threshold"), [(3, 2), (4, 3), (5, 3), (7, 4)])
def test_all_parties_get_the_mean(count: int, threshold: int) -> None:
    around = round_of(count, threshold)
    results = around.run()
    expected = weighted_mean(around.updates, around.samples)
    bound = mean_error_bound(around.roster, around.samples)
    assert sorted(results) == list(range(count))
    for result in results.values():
        assert result.sample_count == sum(around.samples)
        assert result.contributors == tuple(range(count))
        for name, values in expected.items():
            assert result.arrays[name].shape == values.shape
            assert np.abs(result.arrays[name] - values).max() <= bound


@pytest.mark.parametrize("last", [Kind.ROUND_UPDATE, Kind.ROUND_AGREEMENT])
def test_a_party_lost_after_its_update_counts(last: Kind) -> None:
    around = round_of(4, 3)
    around.lost = {2: last}
    results = around.run()
    expected = weighted_mean(around.updates, around.samples)
    assert sorted(results) == [0, 1, 3]
    for result in results.values():
        assert np.abs(result.arrays["w"] - expected["w"]).max() <= mean_error_bound(
            around.roster, around.samples
        )


def test_a_party_lost_before_its_update_does_not_count() -> None:
    around = round_of(6, 4)
    around.lost = {1: Kind.ROUND_COMMITMENT}
    results = around.run()
    rest = [0, 2, 3, 4, 5]
    expected = weighted_mean([around.updates[i] for i in rest], [around.samples[i] for i in rest])
    assert sorted(results) == rest
    bound = mean_error_bound(around.roster, [around.samples[i] for i in rest])
    for result in results.values():
        assert result.contributors == tuple(rest)
        assert np.abs(result.arrays["w"] - expected["w"]).max() <= bound


@pytest.mark.parametrize(
    ("lost", "step"),
    [
        ({0: Kind.ROUND_KEY}, "round_share"),
        ({0: Kind.ROUND_COMMITMENT}, "round_update"),
        ({0: Kind.ROUND_UPDATE, 1: Kind.ROUND_UPDATE}, "round_agreement"),
        ({0: Kind.ROUND_AGREEMENT, 3: Kind.ROUND_AGREEMENT}, "round_opening"),
    ],
)
def test_too_few_parties_make_the_round_void(lost: dict[int, Kind], step: str) -> None:
    around = round_of(4, 3)
    around.lost = lost
    with pytest.raises(RoundVoidError, match=f"void: in the step {step}"):
        around.run()


def test_state_dicts_of_torch_are_updates() -> None:
    models = [torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3)) for _ in range(3)]
    updates: list[Any] = [model.state_dict() for model in models]
    identities = [Identity.generate() for _ in range(3)]
    around = Round(roster_of(identities, updates[0], 2, bound=2.0), identities, updates, [10, 20, 30])
    results = around.run()
    bound = mean_error_bound(around.roster, around.samples)
    for name in updates[0]:
        values = [update[name].double().numpy() for update in updates]
        expected = np.average(values, axis=0, weights=around.samples)
        assert np.abs(results[0].arrays[name] - expected).max() <= bound


def test_an_update_of_bfloat16_is_one_of_its_values() -> None:
    tensor = torch.tensor([0.5, -0.1, 0.3], dtype=torch.bfloat16)
    updates: list[Any] = [{"w": tensor}] * 3
    around = Round(roster_of(IDENTITIES, updates[0], 2), IDENTITIES, updates, [10] * 3)
    results = around.run()
    error = np.abs(results[0].arrays["w"] - tensor.double().numpy()).max()
    assert error <= mean_error_bound(around.roster, around.samples)
