"""Inputs of a plan that runs in one process: told and refused as by the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hetorch
from hetorch.errors import InputError, InputRangeWarning
from hetorch.inspect.run_slots import run_slots
from tests.server.small_plan import expected, small_plan

RUNS = [hetorch.simulate, hetorch.run_encrypted, run_slots]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("wrong", ["digits.hetorch", np.zeros(8), None])
def test_what_is_no_plan_is_refused(run: Callable[..., Any], wrong: object) -> None:
    with pytest.raises(InputError, match=rf"got {type(wrong).__name__}; .*hetorch\.Plan\.load"):
        run(wrong, np.zeros(8))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("value", [1e30, -1e300, 1e7])
def test_an_absurd_input_is_refused_with_its_place(run: Callable[..., Any], value: float) -> None:
    x = np.zeros((3, 8))
    x[2, 5] = value
    with pytest.raises(InputError, match=r"at index \(2, 5\), in sample 2; .* calibrated for -1\.\.1"):
        run(small_plan(), x)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(("scale", "word"), [(1.5, "leaves that range"), (0.001, "another unit")])
def test_an_input_of_another_range_is_told_at_the_caller(
    run: Callable[..., Any], scale: float, word: str
) -> None:
    x = np.full(8, scale)
    plan = small_plan()
    with pytest.warns(InputRangeWarning, match=word) as caught:
        result = run(plan, x)
    assert caught[0].filename == __file__
    assert np.abs(result - expected(x)).max() < 2**-20
