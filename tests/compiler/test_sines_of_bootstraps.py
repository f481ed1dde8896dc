"""A network whose polynomials meet the goal, which its bootstrapped plan misses because of their sines."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import simulate
from hetorch.errors import ApproximationWarning, InfeasibleError

pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")
TOLERANCE = 1e-4
"""A tenth of what a sine loses at the bound of its bootstrap (2^-13.3 of it), after ten layers that double errors."""
OPTIONS: dict[str, Any] = {
    "security": "none",
    "ring_degree": 1 << 11,
    "activation_tolerance": TOLERANCE,
    "batch_size": 512,  # all slots, so that few sets of parameters are tried
}


def network() -> nn.Module:
    """Make a network of smooth activations and more levels than a ring has."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for _ in range(11):
        linear = nn.Linear(2, 2)
        with torch.no_grad():
            linear.weight *= 3.0
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(2, 2)).eval()


def inputs() -> torch.Tensor:
    return torch.rand(40, 2, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_what_the_sines_alone_miss_is_told() -> None:
    model, samples = network(), inputs()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan = hetorch.compile(model, samples, **OPTIONS)
    told = [str(one.message) for one in caught if one.category is ApproximationWarning]
    # The polynomials themselves miss nothing.
    assert len(told) == 1 and told[0].startswith("Sequential: with the sines of the plan's bootstraps")
    assert "(activation_tolerance allows 0.01%)" in told[0]
    assert any(note in told[0] for note in plan.report.notes)
    assert any(row.kind == "bootstrap" for row in plan.report.layers)
    with torch.no_grad():
        expected = model(samples).numpy()
    outputs = simulate(plan, samples.numpy(), noise=False)
    assert np.abs(outputs - expected).max() / plan.report.output_range > TOLERANCE


def test_a_strict_plan_is_refused_for_its_sines() -> None:
    with pytest.raises(InfeasibleError, match=r"Sequential: with the sines .* leaves room for them"):
        hetorch.compile(network(), inputs(), strict=True, **OPTIONS)
