"""Planted faults are found and named; a correct plan is called correct."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.errors import InputError
from hetorch.inspect import find_divergence
from hetorch.inspect.divergence import _finer

torch.manual_seed(0)
X = torch.rand(200, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1
FRESH = torch.rand(24, 16, generator=torch.Generator().manual_seed(4)) * 1.96 - 0.98


@functools.cache
def model() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 4)
    )  # fmt: skip
    with torch.no_grad():
        for number in (0, 2):
            net.get_parameter(f"{number}.weight").mul_(3)  # so that tanh is far from a line
    return net.eval()


@functools.cache
def plan() -> hetorch.Plan:
    return hetorch.compile(model(), X)


@pytest.mark.parametrize("run", ["cleartext", "simulated", "encrypted"])
def test_a_correct_plan_is_called_correct(run: Any) -> None:
    answer = find_divergence(plan(), FRESH[:8], model(), run)
    assert answer.ok and answer.cause == "none" and not answer.remedy
    assert str(answer).startswith("no layer diverges: the outputs are within")
    assert find_divergence(plan(), FRESH[:8], run=run).ok


def test_samples_in_another_unit() -> None:
    with pytest.warns(hetorch.errors.InputRangeWarning):
        answer = find_divergence(plan(), 5 * FRESH, model())
    assert (answer.ok, answer.layer, answer.cause) == (False, "input", "input")
    assert "x / 255" in answer.remedy and "the calibration inputs from -0.99" in answer.reason
    with pytest.warns(hetorch.errors.InputRangeWarning):
        assert find_divergence(plan(), 5 * FRESH).cause == "input"


@pytest.mark.filterwarnings("ignore::hetorch.errors.InputRangeWarning")
@pytest.mark.parametrize("run", ["cleartext", "simulated", "encrypted"])
def test_samples_that_no_parameters_hold(run: Any) -> None:
    """Pixels of 0..255 for a model of 0..1: hetorch.trace and clients refuse them, and the answer is the cause."""
    far = 255 * FRESH[:4]
    with pytest.raises(InputError, match="nothing can be computed on it"):
        plan().public().samples(far)
    for clear in (model(), None):
        answer = find_divergence(plan(), far, clear, run)
        assert (answer.ok, answer.layer, answer.cause) == (False, "input", "input")
        assert "x / 255" in answer.remedy and "the samples reach from -2" in answer.reason


@pytest.mark.filterwarnings("ignore::hetorch.errors.InputRangeWarning")
def test_inputs_a_little_beyond_are_blamed_only_if_they_do_it() -> None:
    """Weights that are wrong stay wrong with inputs cut off at the calibrated range; polynomials do not."""
    a_little = FRESH * 1.15
    newer = copy.deepcopy(model())
    with torch.no_grad():
        newer[4].weight.neg_()  # type: ignore[index]
    answer = find_divergence(plan(), a_little, newer)
    assert (answer.ok, answer.layer, answer.cause) == (False, "4", "weights"), answer
    assert (
        find_divergence(plan(), 3 * FRESH, newer).cause == "input"
    )  # nothing can be told of the weights there


class Squares(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.last = nn.Linear(16, 12), nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.last(self.second(self.first(x) ** 2) ** 2)
        return y


def test_a_scale_that_is_too_small() -> None:
    squares = Squares().eval()  # without activations nothing but noise is wrong
    small = hetorch.compile(squares, X, scale_bits=20, precision=0.5)
    wrong = float(np.abs(hetorch.simulate(small, FRESH) - hetorch.simulate(small, FRESH, noise=False)).max())
    tolerance = wrong / small.report.output_range / 2
    answer = find_divergence(small, FRESH, squares, tolerance=tolerance)
    assert (answer.ok, answer.cause) == (False, "noise"), answer
    assert "precision=" in answer.remedy and answer.layer in [layer.name for layer in answer.trace.layers]
    assert find_divergence(small, FRESH, tolerance=tolerance).cause == "noise"
    precise = hetorch.compile(squares, X, precision=tolerance / 2)  # the remedy mends it
    assert find_divergence(precise, FRESH, squares, tolerance=tolerance).ok


def test_a_range_that_is_too_narrow() -> None:
    quiet = X * (torch.rand(200, 16, generator=torch.Generator().manual_seed(5)) < 0.04)
    quiet[0, :2] = torch.tensor([-1.0, 1.0])
    narrow = hetorch.compile(model(), quiet, activation_degree=7)
    answer = find_divergence(narrow, FRESH, model())
    assert (answer.ok, answer.layer, answer.cause) == (False, "1", "range")
    assert "calibration inputs" in answer.remedy and "leave the range" in answer.reason
    assert find_divergence(narrow, FRESH).cause == "range"


@pytest.mark.filterwarnings("ignore::hetorch.errors.ApproximationWarning")
def test_a_degree_that_is_too_low() -> None:
    coarse = hetorch.compile(
        model(), X, activation_degree=2, activation_agreement=0, activation_tolerance=0.9
    )
    answer = find_divergence(coarse, FRESH, model())
    assert (answer.ok, answer.cause) == (False, "degree")
    assert answer.layer in ("1", "3") and "activation_degree=5" in answer.remedy
    better = hetorch.compile(model(), X, activation_degree=15)
    assert find_divergence(better, FRESH, model()).ok  # the remedy mends it


@pytest.mark.filterwarnings("ignore::hetorch.errors.ApproximationWarning")
def test_lines_in_place_of_activations() -> None:
    coarse = hetorch.compile(model(), X, activation_degree=1)
    answer = find_divergence(coarse, FRESH, model())
    assert (answer.ok, answer.layer, answer.cause) == (False, "0 + 2 + 4", "degree"), answer
    assert "of degree 1 (of 1, 3, which it contains)" in answer.reason
    assert "activation_degree=3" in answer.remedy
    newer = copy.deepcopy(model())
    with torch.no_grad():
        newer[4].weight.mul_(-3)  # type: ignore[index]
    assert find_divergence(coarse, FRESH, newer).cause == "weights"


class Wave(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(9 * x)


@pytest.mark.filterwarnings("ignore::hetorch.errors.ApproximationWarning")
def test_a_polynomial_that_is_coarse_where_no_calibration_value_was() -> None:
    """Calibration reads values near the ends and the middle of the range, where a wave and a line meet."""
    torch.manual_seed(2)
    first = nn.Linear(16, 16)
    net = nn.Sequential(first, Wave(), nn.Linear(16, 4))
    with torch.no_grad():
        first.weight.copy_(torch.eye(16))
        first.bias.zero_()
    places = torch.randint(-1, 2, X.shape, generator=torch.Generator().manual_seed(6)) * np.pi / 3
    plan = hetorch.compile(net.eval(), places, activation_degree=2)
    assert plan.report.approximation_error < 0.2
    answer = find_divergence(plan, FRESH, net)
    assert (answer.ok, answer.layer, answer.cause) == (False, "1", "degree"), answer


@pytest.mark.parametrize(("degree", "words"), [(31, "=63)"), (100, "=127)"), (127, "no higher degree")])
def test_the_remedy_of_a_degree_is_one_that_compiles(degree: int, words: str) -> None:
    assert words in _finer(degree)


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_a_poisoned_weight(layer: int) -> None:
    """One number of one diagonal is another one."""
    poisoned = dict(plan().weights)
    names = [name for name in plan().weights if name.endswith(".values")]
    values = np.array(plan().weights[names[layer // 2]])
    values[1, values.shape[1] // 2 if layer < 4 else np.flatnonzero(values[1])[0]] += (
        10 * np.abs(values).max()
    )
    poisoned[names[layer // 2]] = values
    answer = find_divergence(replace(plan(), weights=poisoned), FRESH, model())
    assert (answer.ok, answer.layer, answer.cause) == (False, str(layer), "weights"), answer
    assert "other weights" in answer.reason and "compile it again" in answer.remedy


def test_a_model_that_was_trained_on() -> None:
    newer = copy.deepcopy(model())
    with torch.no_grad():
        newer[2].weight.neg_()  # type: ignore[index]
    answer = find_divergence(plan(), FRESH, newer)
    assert (answer.layer, answer.cause) == ("2", "weights")


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_a_model_that_was_trained_on_for_a_little(layer: int) -> None:
    """The error is not much larger than that of the polynomials, but it is not theirs."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 4)).eval()
    known = hetorch.compile(net, X)
    newer = copy.deepcopy(net)
    weight = newer.get_parameter(f"{layer}.weight")
    with torch.no_grad():
        weight.add_(
            0.45 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(7))
        )
    answer = find_divergence(known, FRESH, newer)
    assert not answer.ok and answer.error < 4 * known.report.approximation_error + 0.02
    assert answer.cause == "weights", answer
    assert find_divergence(known, FRESH, net).ok


def test_a_factor_of_whole_channels() -> None:
    """The plan's own scaling before an activation is known, so that such a factor is seen where it is."""
    newer = copy.deepcopy(model())
    with torch.no_grad():
        newer[2].weight.mul_(0.2)  # type: ignore[index]
        newer[2].bias.mul_(0.2)  # type: ignore[index]
    answer = find_divergence(plan(), FRESH, newer)
    assert not answer.ok and answer.cause == "weights"
    assert answer.layer == "2"
    assert "other weights here than the model" in answer.reason


def test_a_tolerance_must_be_positive() -> None:
    with pytest.raises(InputError, match="positive number"):
        find_divergence(plan(), FRESH, tolerance=0)
