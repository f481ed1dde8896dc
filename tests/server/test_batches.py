"""Batches over the wire: several samples side by side in one request, in order, short ones too."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import simulate
from hetorch.client import Client
from hetorch.plan import Plan
from hetorch.serving.models import serve_plan
from tests.server.live import live


@pytest.fixture(scope="module")
def plan() -> Plan:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hetorch.compile(
            nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 2)).eval(),
            torch.randn(200, 6),
            ring_degree=2048,
            security="none",
            activation_degree=3,
            batch_size=3,
        )


@pytest.mark.parametrize("count", [1, 3, 4, 9])
@pytest.mark.filterwarnings("ignore")
def test_answers_come_back_in_order(plan: Plan, tmp_path: Path, count: int) -> None:
    x = np.random.default_rng(count).uniform(-2, 2, (count, 6))
    with (
        live({"scores": serve_plan("scores", plan)}) as url,
        Client(url, vault=tmp_path / "keys", allow_insecure=True) as client,
    ):
        assert client.plan.batch_size == 4
        batch = client.predict(x)
        one = client.predict(x[0])
    assert batch.shape == (count, 2) and one.shape == (2,)
    assert len(client.timings) == -(-count // 4) + 1
    bound = plan.report.predicted_error * plan.report.output_range
    expected = simulate(plan, x)
    assert np.abs(batch - expected).max() < 2 * bound
    assert np.abs(one - expected[0]).max() < 2 * bound
    # The samples differ by far more than the bound: an order mixed up would show.
    assert count == 1 or np.abs(np.diff(expected, axis=0)).max(axis=1).min() > 4 * bound
