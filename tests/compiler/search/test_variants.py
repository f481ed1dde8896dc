from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.search.variants import program_variants
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from tests.compiler.networks import Square, inputs, model


def test_facts_belong_to_the_program() -> None:
    captured = capture(model("mlp"), inputs("mlp")[:64])
    (variant,) = program_variants(captured.program, captured.inputs)
    values = trace_tensor_program(variant.program, captured.inputs)
    assert variant.sizes == tuple(float(np.max(np.abs(value))) for value in values)
    # What bootstraps change is not measured before they are placed.
    assert "sensitivity" not in vars(variant) and "range_gains" not in vars(variant)
    assert len(variant.levels) == variant.program.value_count and variant.levels[variant.program.output] == 0


def test_variants_trade_non_zeros_for_levels() -> None:
    torch.manual_seed(0)
    # A bottleneck of 4 between 24 and 24: fused it is one map with 3 times the weights.
    network = nn.Sequential(nn.Linear(24, 4), nn.Linear(4, 24), Square(), nn.Linear(24, 2)).double().eval()
    captured = capture(network, torch.randn(30, 24, dtype=torch.float64))
    first, second = program_variants(captured.program, captured.inputs)
    assert first.levels[0] == second.levels[0] + 1
    x = captured.inputs[:5]
    np.testing.assert_allclose(
        run_tensor_program(first.program, x), run_tensor_program(second.program, x), atol=1e-9
    )
