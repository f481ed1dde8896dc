"""Networks of hetorch.train, compiled: the same polynomials, in one, two and three levels, within the noise bound."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hetorch
import hetorch.train as ht
from hetorch.compiler.frontend.capture import capture
from hetorch.errors import InputRangeWarning
from hetorch.ir.tensor_program import Activation
from hetorch.plan import Plan

EXACT = 1e-10
"""Bound of the error without noise, relative to the outputs. Rounding is 2^-53, cancellation inside a polynomial at
most MOST_GROWTH = 2^4 and sums of at most 2^9 terms add up: below 2^-40 = 1e-12 for each of up to five activations."""
LEVELS = {2: 1, 4: 2, 8: 3}


class Block(nn.Module):
    """A residual block: the activation before it goes two ways, and the last one reads a sum."""

    def __init__(self, make: Callable[[int], nn.Module], channels: int = 4) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm = nn.BatchNorm2d(channels)
        self.inside, self.after = make(channels), make(channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.after(self.norm(self.second(self.inside(self.first(x)))) + x)
        return result


def linear(make: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), make(16), nn.Linear(16, 12), make(12), nn.Linear(12, 3))


def convolutions(make: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), make(4), ht.ScaledPool(4, 2), nn.Conv2d(4, 6, 3),
        nn.BatchNorm2d(6), make(6), nn.Flatten(), nn.Linear(24, 3),
    )  # fmt: skip


def residual(make: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), make(4), Block(make), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 3)
    )


NETWORKS: Mapping[
    str, tuple[Callable[[Callable[[int], nn.Module]], nn.Module], tuple[int, ...], int, int]
] = {
    "linear": (linear, (8,), 3, 2),
    "convolutions": (convolutions, (1, 8, 8), 3, 2),
    "residual": (residual, (1, 8, 8), 4, 3),
}
"""By name: the network, the shape of a sample, and the numbers of affine layers and of activations on its path."""


def activation(degree: int) -> Callable[[int], nn.Module]:
    """Return what makes an activation of a number of channels; 0 stands for HerPN."""
    return ht.HerPN if degree == 0 else lambda channels: ht.PolyAct(degree, "relu", channels)


def trained(model: nn.Module, x: Tensor) -> nn.Module:
    """Return the model after passes in train(), its polynomials with coefficients that training has moved."""
    model.train()
    for _ in range(3):
        model(x)
    for part in model.modules():
        if isinstance(part, ht.PolyAct):
            part.to_polynomial()
            with torch.no_grad():
                part.coefficients.mul_(1 + 0.1 * torch.randn_like(part.coefficients))
    for _ in range(2):
        model(x)
    return model.eval()


@functools.cache
def compiled(name: str, degree: int) -> tuple[nn.Module, Tensor, Plan]:
    make, shape, _, _ = NETWORKS[name]
    torch.manual_seed(0)
    x = torch.randn(100, *shape, dtype=torch.float64)
    model = trained(make(activation(degree)).double(), x)
    return model, x, hetorch.compile(model, x)


def outputs(model: nn.Module, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model(x).numpy())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("degree", [2, 4, 8, 0])
def test_the_plan_computes_the_model_itself(name: str, degree: int) -> None:
    model, x, plan = compiled(name, degree)
    unseen = 0.8 * x + 0.2 * x.roll(1, 0)
    for inputs in (x, unseen):
        expected = outputs(model, inputs)
        error = np.abs(hetorch.simulate(plan, inputs.numpy(), noise=False) - expected).max()
        assert error < EXACT * np.abs(expected).max()
    assert plan.report.approximation_error < EXACT
    assert plan.report.promised_error < 1.001 * plan.report.predicted_error


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("degree", [2, 4, 8, 0])
def test_an_activation_takes_its_levels_and_nothing_else_does(name: str, degree: int) -> None:
    _, _, maps, activations = NETWORKS[name]
    _, _, plan = compiled(name, degree)
    assert plan.public().input_level == maps + activations * LEVELS[degree or 2]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("share", [1e-2, 1e-4])
def test_leading_coefficients_that_nearly_vanish_are_exact_on_as_many_levels(name: str, share: float) -> None:
    make, _, maps, activations = NETWORKS[name]
    earlier, x, _ = compiled(name, 4)
    model = make(activation(4)).double()
    model.load_state_dict(earlier.state_dict())
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, ht.PolyAct):
                part.coefficients[0, -1] *= share
    plan = hetorch.compile(model.eval(), x)
    expected = outputs(model, x)
    assert (
        np.abs(hetorch.simulate(plan, x.numpy(), noise=False) - expected).max()
        < EXACT * np.abs(expected).max()
    )
    assert plan.public().input_level == maps + activations * LEVELS[4]
    results = hetorch.run_encrypted(plan, x[:1].numpy())
    assert np.abs(results - expected[:1]).max() <= plan.report.predicted_error * plan.report.output_range


@pytest.mark.parametrize(
    ("name", "degree"), [("linear", 8), ("convolutions", 4), ("residual", 2), ("linear", 0)]
)
def test_encrypted_results_keep_the_noise_bound(name: str, degree: int) -> None:
    model, x, plan = compiled(name, degree)
    results = hetorch.run_encrypted(plan, x[:2].numpy())
    error = np.abs(results - outputs(model, x[:2])).max()
    assert error <= plan.report.predicted_error * plan.report.output_range


@pytest.mark.parametrize("degree", [2, 4])
def test_shifted_inputs_are_told(degree: int) -> None:
    _, x, plan = compiled("convolutions", degree)
    with pytest.warns(InputRangeWarning, match="beyond|outside|meaningless"):
        hetorch.simulate(plan, 2 * x.numpy())


def test_the_range_in_training_is_in_the_plan() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), ht.PolyAct(4, channels=6), nn.Linear(6, 2)).double()
    wide = torch.randn(200, 4, dtype=torch.float64) * 3
    trained(model, wide)
    act = model[1]
    assert isinstance(act, ht.PolyAct)
    few = wide[:20] / 10
    plan = hetorch.compile(model, few)
    low, high = float(act.running_low.min()), float(act.running_high.max())
    assert f"on {low:.3g}..{high:.3g} by degree 4" in plan.notes[-1]
    (op,) = (op for op in capture(model, few).program.operations if isinstance(op, Activation))
    assert op.trained is not None
    np.testing.assert_array_equal(op.trained.high, act.running_high.numpy())


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_ranges_and_polynomials_of_any_axis(axis: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 3, 4, dtype=torch.float64) * torch.arange(1, 5)
    act = ht.PolyAct(4, "silu", channels=x.shape[axis], channel_axis=axis)
    model = trained(nn.Sequential(act, nn.Flatten(), nn.Linear(12, 2)).double(), x)
    program = capture(model, x).program
    (op,) = (op for op in program.operations if isinstance(op, Activation))
    assert op.exact_degree == 4 and op.trained is not None
    expected = outputs(act, x).reshape(50, -1)
    np.testing.assert_allclose(op.apply(x.reshape(50, -1).numpy()), expected, rtol=1e-12, atol=1e-12)
    assert float(x[:, :, :].amin()) == op.trained.low.min()


def test_an_activation_that_is_still_exact_brings_its_range_too() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), ht.PolyAct(4, channels=6), nn.Linear(6, 2)).double()
    model.train()(torch.randn(100, 4, dtype=torch.float64) * 5)
    few = torch.randn(50, 4, dtype=torch.float64)
    (op,) = (op for op in capture(model, few).program.operations if isinstance(op, Activation))
    assert op.function == "relu" and op.exact_degree is None and op.trained is not None
    assert hetorch.simulate(hetorch.compile(model, few), few.numpy()).shape == (50, 2)


class Parabola(nn.Module):
    """A user's own activation, with coefficients for each channel."""

    a: Tensor
    b: Tensor
    c: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("a", "b", "c"):
            self.register_buffer(name, torch.randn(1, channels))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.a * x**2 + self.b * x + self.c
        return result


class Quartic(nn.Module):
    """Another one, by Horner's rule."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer(
            "c", torch.randn(5, 1, channels) * torch.tensor([1, 1, 0.5, 0.1, -0.1])[:, None, None]
        )

    def forward(self, x: Tensor) -> Tensor:
        c = self.get_buffer("c")
        y = c[4].expand_as(x)
        for k in (3, 2, 1, 0):
            y = y * x + c[k]
        return y


@pytest.mark.parametrize(("make", "levels"), [(Parabola, 1), (Quartic, 2)])
def test_polynomials_of_the_users_own(make: Callable[[int], nn.Module], levels: int) -> None:
    torch.manual_seed(1)
    model, x = linear(make).double().eval(), torch.randn(100, 8, dtype=torch.float64)
    plan = hetorch.compile(model, x)
    expected = outputs(model, x)
    assert (
        np.abs(hetorch.simulate(plan, x.numpy(), noise=False) - expected).max()
        < EXACT * np.abs(expected).max()
    )
    assert plan.public().input_level == 3 + 2 * levels


def test_a_model_in_single_precision_is_met_to_its_rounding() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 8)
    model = trained(linear(activation(4)), x)
    plan = hetorch.compile(model, x)
    expected = outputs(model, x)
    error = np.abs(hetorch.simulate(plan, x.numpy(), noise=False) - expected).max()
    # 2^-24 and the same factors as for EXACT.
    assert error < 2.0**-24 * 2**10 * np.abs(expected).max()


def test_one_module_that_is_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.act = nn.Linear(4, 6), nn.Linear(6, 6), ht.PolyAct(2, channels=6)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.act(self.second(self.act(self.first(x))))
            return result

    torch.manual_seed(0)
    x = torch.randn(60, 4, dtype=torch.float64)
    model = trained(Twice().double(), x)
    plan = hetorch.compile(model, x)
    expected = outputs(model, x)
    assert (
        np.abs(hetorch.simulate(plan, x.numpy(), noise=False) - expected).max()
        < EXACT * np.abs(expected).max()
    )


def test_the_analysis_calls_it_exact() -> None:
    model, x, _ = compiled("linear", 4)
    analysis = hetorch.analyze(model, x)
    assert not analysis["approximate"] and (analysis.error or 0.0) < EXACT
    assert [row.detail for row in analysis["exact"] if row.kind == "PolyAct"] == ["degree 4", "degree 4"]
