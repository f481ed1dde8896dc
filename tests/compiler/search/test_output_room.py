"""The last modulus holds the outputs and all that they are summed up from: biases and terms may be far larger."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hetorch import run_encrypted, simulate
from hetorch.compiler.api import compile


def compiled_and_run(seed: int, cancelling: float, encrypted: bool) -> None:
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    before, hidden, after = (int(n) for n in generator.integers((4, 3, 1), (20, 16, 6)))
    last = nn.Linear(hidden, after)
    model = nn.Sequential(nn.Linear(before, hidden), nn.Sigmoid(), last)
    with torch.no_grad():
        # Sigmoids are about 1/2: the bias takes away what the weights add.
        last.weight.add_(cancelling)
        last.bias.sub_(cancelling * hidden / 2)
    x = torch.rand(64, before)
    plan = compile(model, x, security="none", activation_agreement=0.0)
    found = (run_encrypted if encrypted else simulate)(plan, x.numpy().astype(np.float64)[:4])
    truth = model(x[:4]).detach().numpy()
    share = plan.report.approximation_error + plan.report.predicted_error
    assert np.abs(found - truth).max() <= share * plan.report.output_range


@pytest.mark.parametrize("seed", range(12))
def test_random_small_networks(seed: int) -> None:
    compiled_and_run(seed, 0.0, encrypted=False)


@pytest.mark.parametrize("seed", range(12))
def test_outputs_much_smaller_than_their_biases(seed: int) -> None:
    compiled_and_run(seed, 10.0 * (seed + 1), encrypted=False)


def test_encrypted() -> None:
    compiled_and_run(8, 90.0, encrypted=True)
