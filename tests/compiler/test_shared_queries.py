"""shared_queries: the precision is such that shared results are still results."""

from __future__ import annotations

import math

import pytest
import torch

import hetorch
from hetorch.client.sharing_noise import checked_sharing, sharing_noise
from hetorch.engine.sharing import Sharing
from hetorch.errors import InputError


@pytest.mark.parametrize(("queries", "batch"), [(1, None), (1000, None), (10, 3)])
def test_the_noise_for_so_many_results_is_a_tenth_of_the_range(queries: int, batch: int | None) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Linear(4, 3))
    x = torch.rand(64, 6) * 2 - 1
    options = {} if batch is None else {"batch_size": batch}
    plain = hetorch.compile(model, x, **options).public()  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"shared_queries={queries} "):
        checked_sharing(plain, Sharing(queries=queries), batch or 1, pinned=True)
    plan = hetorch.compile(model, x, shared_queries=queries, **options).public()  # type: ignore[arg-type]
    shared = checked_sharing(plan, Sharing(queries=queries), batch or 1, pinned=True)
    # sqrt(12 tau) 2^15 sqrt(values) times the bound, by the theorem that engine.sharing names
    values = (batch or 1) * 3
    assert shared.error_bound is not None
    noise = math.sqrt(12 * queries * values) * 2**15 * shared.error_bound
    assert math.isclose(noise, sharing_noise(plan, shared, batch or 1), rel_tol=1e-9)
    assert noise <= plan.output_range / 10


def test_a_finer_precision_of_the_user_stays() -> None:
    model, x = torch.nn.Linear(4, 2), torch.rand(32, 4)
    plan = hetorch.compile(model, x, precision=1e-8, shared_queries=1).public()
    assert plan.precision <= 1e-8
