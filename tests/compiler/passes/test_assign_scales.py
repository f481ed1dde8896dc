"""What polynomials read: observed or not, it has the scale of the primes, so that the basis keeps it and the predicted
error holds for wide ranges as for narrow ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from hetorch import run_encrypted, simulate
from hetorch.compiler.api import compile
from hetorch.ir.he_operations import Polynomial
from hetorch.plan import Plan


def two_activations(first: float, second: float) -> nn.Module:
    convolution, linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 16)
    with torch.no_grad():
        convolution.weight.mul_(first)
        linear.weight.mul_(second)
    model = nn.Sequential(
        convolution, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), linear, nn.GELU(), nn.Linear(16, 4)
    )
    return model.eval()


def check_scales(made: Plan) -> int:
    """How many polynomials; the scale that each reads is near the prime that its first product is divided by, within
    the quarter of a bit that small primes lie beside their powers of two."""
    polynomials = [op for op in made.program.operations if isinstance(op, Polynomial)]
    for op in polynomials:
        given = made.program.values[op.input]
        prime = made.parameters.modulus_chain[given.level]
        assert abs(math.log2(given.scale / prime)) < 0.25, (op.layer, given.scale, prime)
    return len(polynomials)


@pytest.mark.parametrize("ranges", ["calibrated", "interval"])
@pytest.mark.parametrize(("degree", "weights"), [(7, (5.0, 5.0)), (15, (1.0, 1.0)), (15, (5.0, 5.0))])
@pytest.mark.parametrize("seed", [0, 1])
def test_wide_ranges_keep_the_promise(
    ranges: str, degree: int, weights: tuple[float, float], seed: int
) -> None:
    torch.manual_seed(seed)
    x = torch.rand(108, 1, 8, 8)
    made = compile(two_activations(*weights), x[:100], activation_degree=degree, activation_ranges=ranges)
    assert check_scales(made) == 2
    unseen = x[100:].numpy()
    clean = simulate(made, unseen, noise=False)
    bound = made.report.predicted_error * made.report.output_range
    assert np.max(np.abs(simulate(made, unseen) - clean)) <= bound
    pytest.importorskip("hetorch.engine._secret")
    assert np.max(np.abs(run_encrypted(made, unseen) - clean)) <= bound


class Joined(nn.Module):
    """A sum of two branches, one of them an activation, read by an activation and by a product."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        z = torch.tanh(y) + 5 * self.b(y)
        result: torch.Tensor = self.c(torch.sigmoid(z) * z + torch.tanh(z * z + y))
        return result


@pytest.mark.parametrize(("option", "value"), [("activation_degree", 7), ("activation_precision", 0.05)])
@pytest.mark.parametrize("ranges", ["calibrated", "interval"])
def test_sums_and_products_before_polynomials(option: str, value: float, ranges: str) -> None:
    torch.manual_seed(0)
    x = torch.rand(96, 6)
    made = compile(Joined().eval(), x, activation_ranges=ranges, **{option: value})  # type: ignore[arg-type]
    assert check_scales(made) >= 3
    clean = simulate(made, x.numpy(), noise=False)
    error = np.max(np.abs(simulate(made, x.numpy()) - clean))
    assert error <= made.report.predicted_error * made.report.output_range


def test_sums_of_sums_before_polynomials() -> None:
    """Maxima are sums that the next round reads: their scale is that of the sum within."""
    torch.manual_seed(0)
    x = torch.randn(60, 1, 9, 9)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2)
    ).eval()
    assert check_scales(compile(model, x, activation_degree=7, activation_agreement=0.0)) == 5


def test_kinks_by_compositions_of_signs() -> None:
    torch.manual_seed(0)
    x = torch.rand(96, 6)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    assert check_scales(compile(model, x, activation_precision=0.05)) >= 2
