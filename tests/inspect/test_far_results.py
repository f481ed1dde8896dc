"""Results far outside those of calibration are told by sample, although each input is within its range."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

import hetorch
from hetorch.errors import InputError, InputRangeWarning
from hetorch.inspect.run_slots import run_slots
from tests.inspect.far_results import WRONG, calibration_inputs, corners, far_plan, in_clear
from tests.server.small_plan import small_plan

RUNS = [
    functools.partial(run, progress=False) for run in (hetorch.simulate, hetorch.run_encrypted, run_slots)
]


@pytest.mark.parametrize("run", RUNS)
def test_a_wrong_result_is_told_with_its_sample_at_the_caller(run: Callable[..., Any]) -> None:
    plan = far_plan()
    x = np.stack([calibration_inputs()[5], corners()[WRONG], calibration_inputs()[7]])
    assert plan.input_range[0] < x.min() and x.max() < plan.input_range[1]
    with pytest.warns(InputRangeWarning) as caught:
        results = run(plan, x)
    error = np.abs(results - in_clear(x)).max(axis=1) / plan.report.output_range
    assert error[1] > 1 and max(error[0], error[2]) <= plan.report.promised_error
    assert [warning.filename for warning in caught] == [__file__]
    message = str(caught[0].message)
    furthest = results[1][np.abs(results[1]).argmax()]
    assert message.startswith(f"1 sample of 3 (index 1) gave results of the model 'far' up to {furthest:.4g}")
    assert "activations inside the network" in message


@pytest.mark.parametrize("run", RUNS)
def test_results_like_those_of_calibration_are_not_told(run: Callable[..., Any]) -> None:
    x = calibration_inputs(seed=1, count=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = run(far_plan(), x)
    assert np.abs(results - in_clear(x)).max() < 2 * far_plan().report.promised_error


def test_a_thousand_unseen_rows_like_those_of_calibration_are_not_told() -> None:
    """By the law one row in 10,000 leaves the range."""
    x = np.clip(calibration_inputs(seed=2, count=1000), *far_plan().input_range)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hetorch.simulate(far_plan(), x)


def test_evaluate_tells_them_too() -> None:
    x = corners()[[WRONG, WRONG]]
    with pytest.warns(InputRangeWarning, match=r"2 samples of 2 \(index 0, 1\) gave results") as caught:
        hetorch.evaluate(far_plan(), x, np.zeros(2, dtype=int))
    assert [warning.filename for warning in caught] == [__file__]


def test_a_far_but_right_result_is_returned_as_it_is() -> None:
    plan = far_plan()
    x = calibration_inputs()[:2]
    clear = in_clear(x)
    narrow = replace(plan, report=replace(plan.report, expected_outputs=(1e3, 2e3)))
    with pytest.warns(InputRangeWarning, match=r"2 samples of 2 \(index 0, 1\)"):
        results = hetorch.run_encrypted(narrow, x, progress=False)
    assert np.abs(results - clear).max() <= plan.report.promised_error * plan.report.output_range


def test_a_result_too_large_for_the_plan_has_a_true_reason() -> None:
    x = corners()[WRONG] * 1.1
    assert np.abs(x).max() < min(map(abs, far_plan().input_range))
    with pytest.raises(InputError, match="the inputs, or activations inside the network, are far outside"):
        hetorch.simulate(far_plan(), x)


def test_plans_tell_no_range_of_results_where_none_is_meant() -> None:
    """Affine and quadratic models are exact everywhere, and older plans do not have the field."""
    line = hetorch.compile(
        nn.Linear(3, 2).eval(), np.random.default_rng(0).normal(size=(40, 3)), progress=False
    )
    assert line.report.expected_outputs is None and line.public().expected_outputs is None
    assert small_plan().public().expected_outputs is None
    small_plan().public().warn_of_results(np.full((2, 4), 1e9))


def test_the_plan_keeps_the_range_of_its_results(tmp_path: Any) -> None:
    far_plan().save(tmp_path / "far")
    loaded = hetorch.Plan.load(tmp_path / "far")
    low, high = loaded.public().expected_outputs or (0.0, 0.0)
    clear = in_clear(calibration_inputs())
    assert low < clear.min() and high > clear.max()
    assert loaded.report.expected_outputs == far_plan().report.expected_outputs == (low, high)


def test_many_samples_are_counted_and_the_furthest_value_is_named() -> None:
    public = replace(small_plan().public(), expected_outputs=(-1.0, 1.0))
    results = np.zeros((9, 4))
    results[1:8, 2] = [2, 1.5, -3, 2, 1.1, -1.2, np.nan]
    results[8] = -1.0
    expected = re.escape("6 samples of 9 (index 1, 2, 3, 4, 5, …) gave results of the model 'small' up to -3")
    with pytest.warns(InputRangeWarning, match=expected):
        public.warn_of_results(results)
    public.warn_of_results(results, room=2.0)
