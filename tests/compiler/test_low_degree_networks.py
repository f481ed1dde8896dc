"""Deep networks of polynomials of degree 3, which are exact: bootstrapped in the smaller of the two rings."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.inspect.run_slots import run_slots
from hetorch.ir.he_operations import Bootstrap
from hetorch.params.bootstrap_sizes import LARGE_RING, SMALL_RING
from hetorch.plan import Plan

SIZE = 16


class Cubic(nn.Module):
    """Layers of an orthogonal map and x - x^3 / 10, which keeps values as they are in size."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        maps = [nn.Linear(SIZE, SIZE) for _ in range(layers)]
        for layer in maps:
            nn.init.orthogonal_(layer.weight)
        self.maps, self.last = nn.ModuleList(maps), nn.Linear(SIZE, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.maps:
            x = layer(x)
            x = x - 0.1 * x * x * x
        result: torch.Tensor = self.last(x)
        return result


@functools.cache
def network(layers: int) -> Cubic:
    torch.manual_seed(1)
    return Cubic(layers).eval()


def inputs(count: int, seed: int = 2) -> torch.Tensor:
    return torch.rand(count, SIZE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def truth(layers: int, samples: torch.Tensor) -> NDArray[np.float64]:
    with torch.no_grad():
        return np.asarray(network(layers)(samples).numpy(), dtype=np.float64)


@functools.cache
def plan(layers: int = 20, **options: Any) -> Plan:
    return hetorch.compile(network(layers), inputs(100), **options)


def user_levels(of: Plan) -> int:
    op = next(op for op in of.program.operations if isinstance(op, Bootstrap))
    return op.bootstrap_set(of.parameters).user_levels


def test_the_smaller_ring_is_chosen_by_its_time() -> None:
    # 20 layers of three levels, more than the largest ring has.
    chosen = plan()
    assert chosen.parameters.ring_degree == SMALL_RING and chosen.parameters.security.value == "128"
    large = plan(ring_degree=LARGE_RING)
    assert large.parameters.ring_degree == LARGE_RING
    assert chosen.report.predicted_seconds < large.report.predicted_seconds
    assert chosen.public().evaluation_key_bytes < large.public().evaluation_key_bytes


def test_a_finer_precision_takes_less_noisy_bootstraps() -> None:
    first = plan().report.predicted_error
    fine, finest = plan(precision=first / 2, ring_degree=SMALL_RING), plan(precision=first / 10)
    assert user_levels(fine) < user_levels(plan())
    assert finest.parameters.ring_degree == LARGE_RING
    for precision, other in ((first / 2, fine), (first / 10, finest)):
        assert other.report.predicted_error <= precision
        assert other.report.predicted_seconds >= plan().report.predicted_seconds


def test_outputs_in_clear_are_within_the_bound() -> None:
    made, samples = plan(), inputs(2, seed=3)
    span, bound = made.report.output_range, made.report.predicted_error
    exact = simulate(made, samples.numpy(), noise=False)
    # Polynomials are exact, so that the sines of the bootstraps alone make a difference.
    assert np.abs(exact - truth(20, samples)).max() <= 2 * made.report.approximation_error * span
    in_clear = np.array([run_slots(made, sample) for sample in samples.numpy()]).reshape(exact.shape)
    assert 0 < np.abs(in_clear - exact).max() <= bound * span


@pytest.mark.slow
def test_outputs_are_those_of_torch_encrypted() -> None:
    # Ten layers fit the larger ring, and are bootstrapped in the smaller one.
    made, samples = plan(10, ring_degree=SMALL_RING), inputs(1, seed=3)
    span, bound = made.report.output_range, made.report.predicted_error
    exact = simulate(made, samples.numpy(), noise=False)
    encrypted = run_encrypted(made, samples.numpy())
    assert np.abs(encrypted - exact).max() <= bound * span
    assert (
        np.abs(encrypted - truth(10, samples)).max() <= (bound + 2 * made.report.approximation_error) * span
    )
