"""A softmax of scores that differ much is taken in steps, and stays the same function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.passes.sharpen_softmax import MOST_RATIO, sharpen_softmax
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import Activation, TensorProgram


class Attention(nn.Module):
    """Attention of one head whose scores are `sharpness` times as large as usual."""

    def __init__(self, sharpness: float, *, causal: bool = False, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.qkv, self.last = nn.Linear(4, 12), nn.Linear(4, 3)
        self.sharpness, self.causal, self.mask = sharpness, causal, mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).chunk(3, -1)
        y = nn.functional.scaled_dot_product_attention(
            self.sharpness * query, key, value, attn_mask=self.mask, is_causal=self.causal
        )
        result: torch.Tensor = self.last(y.mean(1))
        return result


def inputs(count: int = 64) -> torch.Tensor:
    return torch.randn(count, 5, 4, generator=torch.Generator().manual_seed(3))


def reciprocal_ratios(program: TensorProgram, x: np.ndarray) -> list[float]:
    """The ratio of the largest to the least number of which each reciprocal is taken."""
    values = trace_tensor_program(program, x)
    return [
        float(values[op.input].max() / values[op.input].min())
        for op in program.operations
        if isinstance(op, Activation) and op.function == "reciprocal"
    ]


def _wide_linear() -> nn.Linear:
    layer = nn.Linear(4, 6)
    nn.init.normal_(layer.weight, std=4.0, generator=torch.Generator().manual_seed(1))
    return layer


@pytest.mark.parametrize(
    "model",
    [
        Attention(16.0),
        Attention(16.0, causal=True),
        Attention(16.0, mask=torch.linspace(-2, 2, 25).reshape(5, 5)),
        nn.Sequential(_wide_linear(), nn.Softmax(-1), nn.Linear(6, 2)),
    ],
    ids=["plain", "causal", "masked", "module"],
)
def test_it_is_the_same_function_with_short_ranges(model: nn.Module) -> None:
    captured = capture(model.eval(), inputs())
    sharpened = sharpen_softmax(captured.program, captured.inputs)
    (before,) = reciprocal_ratios(captured.program, captured.inputs)
    after = reciprocal_ratios(sharpened, captured.inputs)
    assert before > 10 * MOST_RATIO and len(after) > 1 and max(after) <= MOST_RATIO
    expected = run_tensor_program(captured.program, captured.inputs)
    # Only rounding differs; each step doubles it.
    np.testing.assert_allclose(run_tensor_program(sharpened, captured.inputs), expected, atol=1e-9)


def test_usual_scores_stay_as_they_are() -> None:
    captured = capture(Attention(1.0).eval(), inputs())
    assert sharpen_softmax(captured.program, captured.inputs) is captured.program


def test_a_softmax_that_the_user_set_stays_as_it_is() -> None:
    captured = capture(hetorch.approximate(Attention(16.0), degree=31).eval(), inputs())
    assert sharpen_softmax(captured.program, captured.inputs) is captured.program


@pytest.mark.filterwarnings("ignore::hetorch.errors.ApproximationWarning")
def test_attention_with_sharp_scores_compiles() -> None:
    """At once, no polynomial follows its reciprocal, and the network was refused."""
    model, x = Attention(8.0).eval(), inputs(160)
    plan = hetorch.compile(model, x[:128], bootstrap="never")
    with torch.no_grad():
        truth = model(x[128:]).numpy()
    assert np.abs(hetorch.simulate(plan, x[128:]) - truth).max() < 0.25 * np.ptp(truth)
