"""A plan that compiles runs, and keeps its bound: the errors of encryption and of the polynomials together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from hetorch import run_encrypted, simulate
from hetorch.compiler import pipeline
from hetorch.compiler.api import compile
from hetorch.compiler.lowering.verify_plan import Verdict
from hetorch.errors import InfeasibleError
from hetorch.plan import Plan


def error(plan: Plan, model: nn.Module, x: torch.Tensor, *, encrypted: bool = False) -> float:
    """Return the largest error relative to the output range."""
    with torch.no_grad():
        expected = model(x).numpy()
    outputs = run_encrypted(plan, x.numpy()) if encrypted else simulate(plan, x.numpy())
    return float(np.max(np.abs(outputs - expected))) / plan.report.output_range


def dead_channel() -> nn.Module:
    """A network whose first channel is never active, as training leaves them."""
    torch.manual_seed(2)
    first = nn.Conv2d(1, 4, 3)
    model = nn.Sequential(
        first,
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 5),
    ).eval()
    assert first.bias is not None
    with torch.no_grad():
        first.weight[0] = -first.weight[0].abs()
        first.bias[0] = -0.1
    return model


def rare_event(size: float) -> nn.Module:
    """A model of an event so rare that all its probabilities are small."""
    torch.manual_seed(0)
    first = nn.Linear(30, 1)
    with torch.no_grad():
        first.bias.fill_(size)
    return nn.Sequential(first, nn.Sigmoid()).eval()


def test_a_dead_channel_keeps_the_bound() -> None:
    model = dead_channel()
    x = torch.rand(128, 1, 12, 12)
    plan = compile(model, x, activation_agreement=0.9)
    assert error(plan, model, x[:4]) <= plan.report.promised_error


@pytest.mark.parametrize("engine", ["native", "seal"])
@pytest.mark.parametrize("bias", [-5.0, -12.0, -20.0])
def test_a_rare_event_runs(bias: float, engine: str) -> None:
    model = rare_event(bias)
    x = torch.randn(400, 30)
    plan = compile(model, x, engine=engine)
    bound = plan.report.promised_error
    assert error(plan, model, x[:2]) <= bound
    with torch.no_grad():
        expected = model(x[:2]).numpy()
    outputs = run_encrypted(plan, x[:2].numpy(), engine=engine)
    assert np.max(np.abs(outputs - expected)) <= bound * plan.report.output_range


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
def test_small_outputs_run_on_seal(size: float) -> None:
    """SEAL refuses any value whose scale is not below the modulus, and small values have large scales."""
    torch.manual_seed(0)
    model = nn.Linear(30, 3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(size)
    x = torch.randn(64, 30)
    plan = compile(model, x, engine="seal")
    with torch.no_grad():
        expected = model(x[:2]).numpy()
    outputs = run_encrypted(plan, x[:2].numpy(), engine="seal")
    bound = plan.report.promised_error
    assert np.max(np.abs(outputs - expected)) <= bound * plan.report.output_range


def test_a_broken_promise_is_tried_finer_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = nn.Linear(4, 2).eval(), torch.randn(32, 4)
    promised: list[float] = []

    def broken(plan: Plan, choice: object) -> Verdict:
        promised.append(plan.report.predicted_error)
        return Verdict(0.5, 0.25)

    monkeypatch.setattr(pipeline, "verify_plan", broken)
    with pytest.raises(
        InfeasibleError, match=r"changes the outputs by 0\.5 .* where 0\.25 was predicted; what helps"
    ):
        compile(model, x)
    assert len(promised) == len(pipeline.FINER)
    assert all(finer < coarser / 8 for coarser, finer in pairwise(promised))
    promised.clear()
    with pytest.raises(InfeasibleError, match="scale_bits"):
        compile(model, x, scale_bits=30)
    assert len(promised) == 1
