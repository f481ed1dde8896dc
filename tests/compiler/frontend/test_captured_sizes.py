"""What a captured network takes: few weights, few calls of torch, and no values beyond their last use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.frontend.operations import normalisation
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import Affine


class CountedCalls(TorchDispatchMode):
    """Counts the calls of one operation."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name, self.count = name, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += self.name in str(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_resizing_is_read_off_one_channel(mode: str) -> None:
    resize = nn.Upsample(scale_factor=2, mode=mode)
    with CountedCalls("upsample") as calls:
        program = capture(resize, torch.randn(3, 16, 8, 8)).program
    # One for all pixels of a channel, beside those of torch itself; there are 1024 elements.
    assert 0 < calls.count < 10
    x = torch.randn(4, 16, 8, 8)
    np.testing.assert_allclose(run_tensor_program(program, x.numpy()), resize(x).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["group", "layer", "instance", "rms"])
def test_a_normalisation_over_many_pixels_has_few_weights(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    norms: dict[str, nn.Module] = {
        "group": nn.GroupNorm(2, 4),
        "layer": nn.LayerNorm((4, 6, 6)),
        "instance": nn.InstanceNorm2d(4, affine=True),
        "rms": nn.RMSNorm((4, 6, 6)),
    }
    norm = norms[kind]
    for parameter in norm.parameters():
        nn.init.uniform_(parameter)
    monkeypatch.setattr(normalisation, "MOST_SPREAD", 4 * 36 * 20)
    x = torch.randn(3, 4, 6, 6)
    program = capture(norm.eval(), x).program
    np.testing.assert_allclose(run_tensor_program(program, x.numpy()), norm(x).detach().numpy(), atol=1e-5)
    size = 4 * 36
    # Two means, each gathered and spread, and a factor for each element.
    assert sum(op.matrix.nnz for op in program.operations if isinstance(op, Affine)) <= 5 * size


def test_every_value_is_checked_without_keeping_all() -> None:
    seen: dict[int, Any] = {}
    program = capture(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), torch.randn(5, 4)).program
    x = np.random.default_rng(0).standard_normal((5, 4))
    output = run_tensor_program(program, x, seen.__setitem__)
    for number, value in enumerate(trace_tensor_program(program, x)):
        np.testing.assert_array_equal(seen[number], value)
    assert len(seen) == program.value_count and np.array_equal(output, seen[program.output])
