"""Polynomials that are written as loops, sums of powers and recurrences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.passes.gather_polynomials import gather_polynomials
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import POLYNOMIAL, Activation, Multiply, TensorProgram, verify_tensor_program

Function = Callable[[torch.Tensor], torch.Tensor]

ODD = (
    0.0,
    6.4594,
    0.0,
    -49.7848,
    0.0,
    234.2367,
    0.0,
    -618.7302,
    0.0,
    945.71,
    0.0,
    -830.6212,
    0.0,
    388.9068,
    0.0,
    -75.18,
)
"""Coefficients of 1, x, x^2, ...: a sign function of degree 15."""


class Apply(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def horner(x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros_like(x)
    for c in reversed(ODD):
        y = y * x + c
    return y


def powers(x: torch.Tensor) -> torch.Tensor:
    return sum((c * x**k for k, c in enumerate(ODD) if c), torch.zeros_like(x))


def recurrence(x: torch.Tensor) -> torch.Tensor:
    before, element = torch.ones_like(x), x
    total = 0.5 * x
    for k in range(30):
        before, element = element, 2 * x * element - before
        total = total + 0.7**k * element
    return total


def in_the_square(x: torch.Tensor) -> torch.Tensor:
    square = x * x
    return x * (((0.1 * square - 0.5) * square + 0.3) * square - 1.0)


def repeated(x: torch.Tensor) -> torch.Tensor:
    for _ in range(5):
        x = 0.5 * x * (3.0 - x * x)
    return x


def gathered(function: Function) -> TensorProgram:
    """Return the program after the pass, which must compute the same."""
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (9, 4)))
    program = capture(Apply(function), x).program
    result = gather_polynomials(program)
    verify_tensor_program(result, "test")
    y = np.random.default_rng(1).uniform(-1, 1, (50, 4))
    np.testing.assert_allclose(
        run_tensor_program(result, y), run_tensor_program(program, y), rtol=1e-12, atol=1e-12
    )
    return result


@pytest.mark.parametrize(
    ("function", "degrees"),
    [
        (horner, [15]),
        (powers, [15]),
        (recurrence, [31]),
        (in_the_square, [7]),
        (lambda x: horner(x.cumsum(1)) + x, [15]),
        (lambda x: horner(torch.sigmoid(x)), [15]),
        (lambda x: torch.sigmoid(horner(x)).mean(1, keepdim=True), [15]),
        # The degree 243 is more than a series may have: each factor of the last product becomes one.
        (repeated, [81, 81]),
        (lambda x: torch.cat([horner(x), in_the_square(x)], 1), [15, 7]),
    ],
)  # fmt: skip
def test_what_is_gathered(function: Function, degrees: list[int]) -> None:
    found = [
        op for op in gathered(function).operations if isinstance(op, Activation) and op.function == POLYNOMIAL
    ]
    assert sorted(op.wish.degree or 0 for op in found if op.wish) == sorted(degrees)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x,
        lambda x: 0.5 * x * x + 0.25 * x - 1.0,
        lambda x: x**8,
        lambda x: (x + 0.1 * x**3).tanh(),
        lambda x: x * x.flip(1) * x.roll(1, 1) * x,  # several variables
        lambda x: (
            ((x * x - x) * torch.arange(4.0, dtype=x.dtype) + x) * x
        ),  # other coefficients for each element
        lambda x: x.sin() * x.cos() * x,
    ],
)
def test_what_stays_as_it_is_written(function: Function) -> None:
    program = gathered(function)
    assert not any(isinstance(op, Activation) and op.function == POLYNOMIAL for op in program.operations)
    assert any(isinstance(op, Multiply) for op in program.operations) or "tanh" in str(program)


def test_a_loop_is_as_fast_as_a_marked_module_and_exact() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (300, 8))
    plan, marked = (
        hetorch.compile(model, x) for model in (Apply(horner), hetorch.elementwise(Apply(horner)))
    )
    assert plan.parameters == marked.parameters
    assert [type(op) for op in plan.program.operations] == [type(op) for op in marked.program.operations]
    expected = horner(torch.from_numpy(x[:20])).numpy()
    assert np.abs(hetorch.simulate(plan, x[:20]) - expected).max() < 1e-3
    # No degree is saved where the polynomial is the model.
    plan = hetorch.compile(Apply(recurrence), x)
    expected = recurrence(torch.from_numpy(x[:20])).numpy()
    assert np.abs(hetorch.simulate(plan, x[:20]) - expected).max() < 1e-3 * np.ptp(expected)


def test_the_analysis_calls_it_exact() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (40, 4))
    model = nn.Sequential(Apply(horner), nn.Linear(4, 3).double(), nn.SiLU())
    analysis = hetorch.analyze(model, x)
    (silu,) = analysis["approximate"]
    assert silu.operation == "silu" and silu.degree is not None
    assert any("polynomial on" in note and "degree 15" in note for note in analysis.notes)
