"""Pruning by diagonals: what is predicted is what the compiler then does, and torch computes the same numbers."""

from __future__ import annotations

import copy
import functools
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn.utils import prune as torch_prune

import hetorch
from hetorch.errors import InputError
from hetorch.plan import Plan
from hetorch.train import diagonal_penalty, prune
from hetorch.train.pruning.diagonal_groups import DiagonalGroups
from hetorch.train.pruning.importance import by_loss
from hetorch.train.pruning.prune import PrunedModel
from tests.compiler.networks import Square

OPTIONS: dict[str, Any] = {"ring_degree": 2048, "security": "none"}


@functools.cache
def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        *(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), Square(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(8 * 9, 3)),
    ).eval()


@functools.cache
def images() -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randn(40, 4, 6, 6)


@functools.cache
def pruned(amount: float) -> PrunedModel:
    return prune(network(), images(), amount=amount, **OPTIONS)


def compiled(model: nn.Module) -> Plan:
    return hetorch.compile(model, images(), **OPTIONS)


def diagonals(plan: Plan) -> int:
    """Count the diagonals that the plan multiplies with."""
    return sum(len(values) for name, values in plan.weights.items() if name.endswith(".values"))


pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")


@pytest.mark.parametrize("amount", [0.3, 0.6])
def test_a_plan_has_as_many_diagonals_less_as_were_removed(amount: float) -> None:
    result = pruned(amount)
    prunable, removed = (sum(getattr(layer, n) for layer in result.layers) for n in ("diagonals", "removed"))
    assert removed >= round(amount * prunable)
    before, after = compiled(network()), compiled(result.model)
    assert diagonals(before) == result.diagonals_before
    assert diagonals(after) == result.diagonals_after == result.diagonals_before - removed
    assert after.report.predicted_seconds == pytest.approx(result.seconds_after)
    expected = result.model(images()).detach().numpy()
    error = np.max(np.abs(hetorch.simulate(after, images().numpy(), noise=False) - expected))
    assert error <= 1e-5 * after.report.output_range  # float32 against float64


def test_time_and_products_and_rotations_fall_with_the_share() -> None:
    results = [pruned(amount) for amount in (0.3, 0.6, 0.85)]
    # What a run multiplies; the time of a run is measured by scripts/bench pruning.
    multiplied = [diagonals(compiled(model)) for model in (network(), *(result.model for result in results))]
    assert all(later < sooner for sooner, later in pairwise(multiplied))
    seconds = [results[0].seconds_before, *(result.seconds_after for result in results)]
    rotations = [results[0].rotations_before, *(result.rotations_after for result in results)]
    assert all(later < sooner for sooner, later in pairwise(seconds))
    assert all(later <= sooner for sooner, later in pairwise(rotations))
    assert rotations[-1] < rotations[0]
    assert f"{results[0].diagonals_before} diagonals -> {results[0].diagonals_after}" in str(results[0])


def test_as_many_zeros_in_random_places_save_less() -> None:
    result = pruned(0.6)
    scattered = nn.Sequential(*network())
    for layer in result.layers:
        module = copy.deepcopy(network().get_submodule(layer.name))
        torch_prune.random_unstructured(module, "weight", layer.zero)  # type: ignore[no-untyped-call]
        scattered[int(layer.name)] = module
    before, after = result.diagonals_before, diagonals(compiled(scattered))
    assert before - after < 0.5 * (before - result.diagonals_after)


def test_masks_are_those_of_torch() -> None:
    model = pruned(0.6).model.train()
    zeros = {
        name: module.weight == 0
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    assert torch_prune.is_pruned(model) and not torch_prune.is_pruned(network())
    copied = prune(model, images(), amount=0.1, **OPTIONS).model
    optimiser = torch.optim.SGD(copied.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        copied(images()).square().mean().backward()
        optimiser.step()
    copied.eval()
    outputs = copied(images())
    for name, zero in zeros.items():
        module = copied.get_submodule(name)
        if torch_prune.is_pruned(module):
            torch_prune.remove(module, "weight")  # type: ignore[no-untyped-call]
        assert isinstance(module.weight, nn.Parameter) and not module.weight[zero].any()
    assert torch.equal(copied(images()), outputs)


def test_masks_of_the_user_stay_and_count() -> None:
    masked = nn.Sequential(*network())
    kept = nn.Conv2d(4, 8, 3, padding=1)
    kept.load_state_dict(network()[0].state_dict())
    torch_prune.ln_structured(kept, "weight", 0.5, 2, 0)  # type: ignore[no-untyped-call]
    masked[0] = kept
    result = prune(masked, images(), amount=0.3, layers=["0"], **OPTIONS)
    assert result.diagonals_before < pruned(0.3).diagonals_before
    assert result.diagonals_after < result.diagonals_before
    weight = result.model.get_submodule("0").weight
    assert isinstance(weight, torch.Tensor) and not weight[kept.weight == 0].any()


def test_budget_in_seconds_is_kept() -> None:
    budget = 0.8 * pruned(0.3).seconds_before
    result = prune(network(), images(), seconds=budget, **OPTIONS)
    assert result.seconds_after <= budget < result.seconds_before


def test_importance_is_the_first_order_change_of_the_loss() -> None:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 4, bias=False)).eval()
    groups = DiagonalGroups(
        ("0",),
        (0, 24),
        sparse.csr_array((1, 24)),
        np.zeros(1, dtype=np.int64),
        np.ones(1),
        sparse.csr_array((0, 1)),
        np.zeros(0),
    )
    batches = [(torch.randn(5, 6), torch.randn(5, 4)) for _ in range(2)]
    importance = by_loss(model, groups, batches, nn.functional.mse_loss)
    weight = model.get_parameter("0.weight").detach().numpy().astype(np.float64)
    expected = np.zeros((4, 6))
    for x, y in batches:
        gradient = 2.0 / 20 * (x.numpy() @ weight.T - y.numpy()).T @ x.numpy()
        expected += (weight * gradient) ** 2
    np.testing.assert_allclose(importance.reshape(4, 6), expected, rtol=1e-4)
    assert model[0].weight.grad is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either amount="),
        ({"amount": 0.5, "seconds": 1.0}, "either amount="),
        ({"amount": 1.0}, "below 1, got 1.0"),
        ({"seconds": -1.0}, "positive"),
        ({"amount": 0.5, "loss": nn.functional.mse_loss}, "without a loader"),
        ({"amount": 0.5, "layers": ["7"]}, "'7' has no weights to prune; those that have: 0, 5"),
        ({"amount": 0.5, "layers": []}, "no weights were found"),
        ({"seconds": 1000.0}, "nothing is pruned"),
        ({"amount": 0.5, "loader": []}, "loader has no batches"),
        ({"amount": 0.5, "loader": [torch.zeros(3)]}, "pairs"),
        ({"seconds": 1e-6}, "is not reached"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prune(network(), images(), **arguments, **OPTIONS)


def test_penalty_pulls_the_weights_of_a_diagonal_together() -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(16, 16), Square(), nn.Linear(16, 2)).eval()
    x = torch.randn(40, 16)
    penalty = diagonal_penalty(model, x, layers=["0"], **OPTIONS)
    weight = model.get_parameter("0.weight")
    with torch.no_grad():
        before = weight.clone()
        weight.fill_(-0.25)
        assert float(penalty()) == pytest.approx(0.25, rel=1e-6)  # each root mean square is 0.25
        weight.copy_(before)
    (gradient,) = torch.autograd.grad(penalty(), [weight])
    # The gradient of the norm of a group is the group over its norm: one ratio for each diagonal.
    ratio = (gradient / weight.detach()).numpy().round(5)
    values, sizes = np.unique(ratio, return_counts=True)
    assert len(values) == penalty.diagonals and sizes.sum() == 256
    with torch.no_grad():
        weight[torch.from_numpy(ratio == values[0])] = 0.0
    fewer = diagonals(hetorch.compile(model, x, **OPTIONS))
    weight.data.copy_(before)
    assert fewer == diagonals(hetorch.compile(model, x, **OPTIONS)) - 1
