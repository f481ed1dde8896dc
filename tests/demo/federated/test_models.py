"""The models' outputs and gradients are torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hetorch.demo.federated.models import (
    HIDDEN,
    LOGISTIC,
    MODELS,
    accuracy,
    gradient,
    initial_weights,
    logits,
    train,
)
from hetorch.demo.federated.records import FEATURES, Records


def some_records(count: int = 50) -> Records:
    numbers = np.random.default_rng(3)
    features = numbers.normal(size=(count, FEATURES))
    return Records(features, (features[:, 0] > 0).astype(float))


def in_torch(model: str) -> nn.Sequential:
    layers = [nn.Linear(FEATURES, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1)]
    network = nn.Sequential(*([nn.Linear(FEATURES, 1)] if model == LOGISTIC else layers)).double()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in initial_weights(model).items()})
    return network


@pytest.mark.parametrize("model", MODELS)
def test_logits_and_gradients(model: str) -> None:
    records, weights, network = some_records(), initial_weights(model), in_torch(model)
    outputs = network(torch.from_numpy(records.features))[:, 0]
    np.testing.assert_allclose(logits(weights, records.features), outputs.detach().numpy(), rtol=1e-10)
    loss = nn.functional.binary_cross_entropy_with_logits(outputs, torch.from_numpy(records.labels))
    loss.backward()  # type: ignore[no-untyped-call]
    slopes = gradient(weights, records)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(slopes[name], parameter.grad.numpy(), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("model", MODELS)
def test_training_learns_and_the_seed_decides(model: str) -> None:
    records, weights = some_records(200), initial_weights(model)
    once, again, other = (train(model, weights, records, [seed]) for seed in (1, 1, 2))
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert any(not np.array_equal(once[name], other[name]) for name in once)
    for _ in range(5):
        once = train(model, once, records, [1])
    assert accuracy(once, records) > 0.9
