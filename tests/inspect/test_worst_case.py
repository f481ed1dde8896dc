"""The noise bound on random inputs and on those that a search for the worst one finds; the search itself."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.errors import InputError
from hetorch.inspect import trace
from hetorch.inspect.evolution import maximise
from tests.compiler.networks import inputs, model, plan

NETWORKS = ("wide", "pooled", "residual", "gate", "ends")


def outside_of(name: str, x: np.ndarray) -> np.ndarray:
    """True for samples with which an activation leaves its range, by torch's hooks and the plan's report."""
    beyond = np.zeros(len(x), dtype=bool)
    fits = {fit.layer: fit for fit in plan(name).report.polynomials}

    def look(module: str) -> object:
        def hook(_module: nn.Module, args: tuple[torch.Tensor, ...], _out: torch.Tensor) -> None:
            read = args[0].reshape(len(x), -1).numpy()
            each = read.shape[1] // len(fits[module].channel_low)
            low, high = (
                np.repeat(end, each) for end in (fits[module].channel_low, fits[module].channel_high)
            )
            slack = 2e-4 * (fits[module].high - fits[module].low)
            beyond[:] |= ((read < low - slack) | (read > high + slack)).any(axis=1)

        return hook

    modules = dict(model(name).named_modules())
    hooks = [modules[fit].register_forward_hook(look(fit)) for fit in fits if fit in modules]
    with torch.no_grad():
        model(name)(torch.from_numpy(x).float())
    for hook in hooks:
        hook.remove()
    return beyond


@pytest.mark.parametrize("name", NETWORKS)
def test_the_noise_bound_holds_over_a_thousand_random_inputs(name: str) -> None:
    made = plan(name)
    low, high = made.input_range
    random = np.random.default_rng(0)
    # Inputs like those of calibration, within their range.
    x = np.clip(random.standard_normal((1000, *made.input_layout.shape)), low, high)
    noise = np.abs(hetorch.simulate(made, x, seed=1) - hetorch.simulate(made, x, noise=False)).reshape(
        1000, -1
    )
    beyond = outside_of(name, x)
    assert np.count_nonzero(~beyond) > 500  # most random inputs count
    assert noise[~beyond].max() <= made.report.predicted_error * made.report.output_range


# The worst input may have results that none like those of calibration has.
@pytest.mark.filterwarnings("ignore:.*may be meaningless:hetorch.errors.InputRangeWarning")
@pytest.mark.parametrize("with_model", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_bound_holds_for_the_worst_input_within_the_ranges(name: str, with_model: bool) -> None:
    made, samples = plan(name), inputs(name)[:16]
    traced = trace(made, samples, model(name) if with_model else None, "cleartext")
    worst = traced.worst_case(evaluations=200, within_ranges=True)
    assert not worst.outside and ("all activations stay" in str(worst)) == (not worst.unjudged)
    assert not (with_model and worst.unjudged)
    if not worst.unjudged:  # without a model the search leaves ranges that it cannot see
        assert worst.is_bounded
    low, high = made.input_range
    assert low <= worst.input.min() and worst.input.max() <= high
    clear = hetorch.simulate(made, worst.input, noise=False)
    noise = np.abs(hetorch.simulate(made, worst.input, seed=0) - clear).max() / made.report.output_range
    assert noise <= worst.noise * (1 + 1e-9)
    if with_model:
        assert not outside_of(name, worst.input[None])[0]
    if with_model and not made.interface.functions:  # errors are those of the outputs before a softmax
        with torch.no_grad():
            truth = model(name)(torch.from_numpy(worst.input[None]).float()).numpy()
        error = np.abs(clear - truth).max() / made.report.output_range
        assert worst.error == pytest.approx(error, abs=worst.noise + 1e-5)
        over = np.abs(hetorch.simulate(made, samples, noise=False) - _outputs(name, samples))
        assert (
            worst.error
            >= over[~outside_of(name, samples)].max() / made.report.output_range - worst.noise - 1e-5
        )


def _outputs(name: str, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model(name)(torch.from_numpy(x).float()))


@functools.cache
def narrow() -> tuple[nn.Module, hetorch.Plan, torch.Tensor]:
    """A network whose calibration inputs have one large number at a time, so that others leave the ranges."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 2)).eval()
    x = torch.zeros(240, 12)
    x[torch.arange(240), torch.arange(240) % 12] = torch.linspace(-2, 2, 240)
    return net, hetorch.compile(net, x, activation_degree=5), x


def test_where_activations_leave_their_ranges_it_says_so() -> None:
    net, made, x = narrow()
    worst = trace(made, x[:16], net, "simulated").worst_case(evaluations=400)
    assert worst.outside == ("1",) and worst.error > 10 * worst.promised
    assert "1 read values outside the ranges" in str(worst) and worst._repr_html_().startswith("<pre style=")
    with torch.no_grad():
        read = net[0](torch.from_numpy(worst.input[None]).float())  # type: ignore[index]
    (fit,) = made.report.polynomials
    assert read.min() < fit.low or read.max() > fit.high
    assert worst.trace["1"].outside
    kept = trace(made, x[:16], net, "simulated").worst_case(evaluations=400, within_ranges=True)
    assert not kept.outside and kept.error < worst.error
    unjudged = trace(made, x[:16], run="simulated").worst_case(evaluations=200)
    assert np.isnan(unjudged.error) and "error" not in str(unjudged).split("noise")[0]


def test_noise_beyond_the_bound_is_told_with_the_products_that_make_it() -> None:
    made = plan("mlp")  # of squares, which have no range
    worst = trace(made, inputs("mlp")[:16], run="cleartext").worst_case(evaluations=1000)
    assert not worst.is_bounded and worst.larger and "beyond the bound" in str(worst)
    assert f"products in {', '.join(worst.larger)} are larger" in str(worst)


def test_what_cannot_be_searched_is_told() -> None:
    net, made, x = narrow()
    with pytest.raises(InputError, match="evaluations must be 1 or more"):
        trace(made, x[0], net, "cleartext").worst_case(evaluations=0)
    nowhere = replace(made.report.polynomials[0], low=0.0, high=1e-6).without_channels()
    broken = replace(made, report=replace(made.report, polynomials=(nowhere,)))
    with pytest.raises(InputError, match="leave out within_ranges="):
        trace(broken, x[0], net, "cleartext").worst_case(evaluations=100, within_ranges=True)


@pytest.mark.parametrize("size", [1, 5, 200])
def test_the_search_finds_a_maximum(size: int) -> None:
    peak = np.random.default_rng(size).uniform(0.1, 0.9, size)
    weights = np.linspace(1, 10, size)
    counted: list[int] = []
    best = maximise(
        lambda points: -np.sum(weights * (points - peak) ** 2, axis=1),
        np.full((1, size), 0.5),
        6000,
        0,
        counted.append,
    )
    assert np.abs(best - peak).max() < 0.1 and counted[-1] >= 6000
    corner = maximise(lambda points: points.sum(axis=1), np.full((1, size), 0.5), 6000, 0, counted.append)
    assert corner.mean() > 0.95 and corner.max() <= 1.0
