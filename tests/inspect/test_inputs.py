"""Inputs of a plan that runs in one process: told and refused as by the client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import hetorch
from hetorch.errors import InputError, InputRangeWarning
from hetorch.inspect.run_slots import run_slots
from tests.server.small_plan import expected, matrix, small_plan

RUNS = [hetorch.simulate, hetorch.run_encrypted, run_slots]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("wrong", ["digits.hetorch", np.zeros(8), None])
def test_what_is_no_plan_is_refused(run: Callable[..., Any], wrong: object) -> None:
    with pytest.raises(InputError, match=rf"got {type(wrong).__name__}; .*hetorch\.Plan\.load"):
        run(wrong, np.zeros(8))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("value", [1e30, -1e300, 1e7, 8.1])
def test_an_absurd_input_is_refused_with_its_place(run: Callable[..., Any], value: float) -> None:
    x = np.zeros((3, 8))
    x[2, 5] = value
    with pytest.raises(InputError, match=r"at index \(2, 5\), in sample 2; .* calibrated for -1\.\.1"):
        run(small_plan(), x)


def test_a_result_that_wraps_becomes_nan_with_a_warning_and_the_others_stay() -> None:
    plan = small_plan()
    plan = replace(plan, input_range=(-1e3, 1e3))  # so that the results alone are too large
    x = np.zeros((5, 8))
    x[3] = 1e3 * np.sign(matrix()[0][0])
    most = plan.parameters.modulus_chain[0] / 2 / plan.output_scale
    assert expected(x[3]).max() > most > expected(x[0]).max()
    message = r"1 sample of 5 \(index 3\) gave results too large for the plan"
    with pytest.warns(InputRangeWarning, match=message):
        results = hetorch.simulate(plan, x)
    assert np.array_equal(np.isnan(results).all(axis=1), np.arange(5) == 3)
    others = np.delete(np.arange(5), 3)
    assert np.allclose(results[others], [expected(sample) for sample in x[others]], atol=0.01)
    labels = np.array([expected(sample).argmax() for sample in x])
    with pytest.warns(InputRangeWarning, match=message):
        scores = hetorch.evaluate(plan, x, labels)
    assert scores.without_result == 1
    assert scores.noisy.accuracy == np.mean(results.argmax(axis=1)[others] == labels[others]) * 4 / 5
    assert "without a result                        20.00%" in str(scores)
    for run in (hetorch.simulate, hetorch.evaluate):
        with pytest.raises(InputError, match=r"the sample has a result too large for the plan"):
            run(plan, x[3:4])


def test_calibrated_outputs_fit_up_to_the_largest_input_and_inputs_beyond_are_refused() -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(6, 2).eval()
    x = np.random.default_rng(0).uniform(0, 18424, (100, 6))
    plan = hetorch.compile(module, x)
    public = plan.public()
    assert public.largest_input == pytest.approx(8 * x.max())
    far = 8 * x[np.argmax(x.max(axis=1))]
    with torch.no_grad():
        clear = module(torch.from_numpy(far)[None].float()).numpy()
    assert np.abs(clear).max() < plan.parameters.modulus_chain[0] / 2 / plan.output_scale
    with pytest.warns(InputRangeWarning, match="no activations"):
        result = hetorch.simulate(plan, far)
    assert (
        np.abs(result - clear).max()
        < plan.report.predicted_error * plan.report.output_range + 1e-6 * np.abs(clear).max() * 8
    )
    with pytest.raises(InputError, match="nothing can be computed"):
        hetorch.simulate(plan, far * 1.01)


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
