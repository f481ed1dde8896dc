"""The benchmark of training: what it counts and keeps, and a network on digits with the limits of its summary."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from benchmarks import training_records
from benchmarks.ordinary_networks import fit
from benchmarks.ranges import share_outside_trained
from benchmarks.row import Row
from benchmarks.training_records import keep, kept
from benchmarks.training_stages import SHIFTS, after, before
from benchmarks.training_summary import LEAST_RATIO, MOST_OUTSIDE, WORST_POINTS, summary_row
from benchmarks.training_tasks import TASKS, Prepared, digit_parts, outputs
from benchmarks.training_tasks import prepare as prepare_task
from benchmarks.training_tuning import tune, tuned_module
from hetorch.errors import InputError, InputRangeWarning
from hetorch.plan import Plan
from hetorch.train import fine_tune

EPOCHS = 6


@functools.cache
def perceptron() -> tuple[nn.Module, Plan, np.ndarray]:
    """Return a perceptron on MNIST's digits that was fine-tuned, its plan, and the digits of the test."""
    train, validation, (samples, _) = digit_parts()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
    fit(model, *train, 3)
    model.eval()
    tuned = fine_tune(model, train, validation=validation, epochs=EPOCHS, progress=False).model
    return tuned, hetorch.compile(tuned, train[0][:256], progress=False), samples


def row(**ours: float) -> Row:
    good: dict[str, Any] = {
        "points_lost": 0.0,
        "outside_test": 0.0,
        "fine_tune_s": 80.0,
        "compile_s": 10.0,
        "error_against_torch": 1e-4,
        "error_bound": 1e-3,
    }
    return Row("a", "b", "1", 1, 400.0, 100.0, 4.0, 3.9, 4.1, 2, details={"ours": good | ours})


@pytest.mark.parametrize(
    ("rows", "missed"),
    [
        ([row(), row(points_lost=1.4), row(points_lost=-0.4)], "no limit"),
        ([row(), row(points_lost=0.6), row(points_lost=0.7)], "median lost <= 0.5 points"),
        ([row(), row(points_lost=1.6), row()], "worst lost <= 1.5 points"),
        ([row(), replace(row(), ratio=2.9), row()], "every ratio >= 3.0"),
        ([row(), replace(row(), ratio=None), row()], "every ratio >= 3.0"),
        ([row(), row(outside_test=2e-4), row()], "outside <= 0.0001"),
        ([row(), row(fine_tune_s=595.0), row()], "fine-tuning and compilation <= 600 s"),
        ([row(), row(error_against_torch=2e-3), row()], "every error <= its bound"),
    ],
)
def test_the_summary_names_the_limits_that_are_missed(rows: list[Row], missed: str) -> None:
    assert summary_row("a", 1, rows).details["ours"]["missed"] == missed


def test_facts_are_kept_until_their_sources_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(tmp_path, "tune") is None
    keep(tmp_path, "tune", {"accuracy": 0.5})
    assert kept(tmp_path, "tune") == {"accuracy": 0.5}
    monkeypatch.setattr(training_records, "sources", lambda stage: "others")
    assert kept(tmp_path, "tune") is None


def test_shares_outside_are_those_of_numpy() -> None:
    model, _, samples = perceptron()
    linear, act = model[1], model[2]  # type: ignore[index]
    doubled = SHIFTS["doubled"](samples)
    hidden = (
        doubled.reshape(len(doubled), -1) @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    )
    outside = (hidden < act.running_low.numpy()) | (hidden > act.running_high.numpy())
    assert outside.any()
    # float32 sums of 784 terms in another order may move single values over an end
    assert share_outside_trained(model, doubled) == pytest.approx(np.mean(outside), abs=2 / outside.size)


def test_few_values_of_unseen_digits_leave_the_ranges_of_training() -> None:
    model, _, samples = perceptron()
    assert share_outside_trained(model, samples) <= MOST_OUTSIDE


@pytest.mark.parametrize("shift", ["doubled", "lighter"])
def test_shifted_inputs_are_warned_of_and_far_ones_are_refused(shift: str) -> None:
    _, plan, samples = perceptron()
    shifted = samples + 0.5 if shift == "lighter" else SHIFTS[shift](samples)
    with pytest.warns(InputRangeWarning, match="in 20 of 20 samples"):
        plan.public().samples(shifted[:20])
    with pytest.warns(InputRangeWarning):
        hetorch.run_encrypted(plan, shifted[:1], progress=False)
    far = samples[:3].copy()
    far[1] *= 1e6
    with pytest.raises(InputError, match="nothing can be computed on it"):
        plan.public().samples(far)


@pytest.mark.slow
def test_digits_keep_their_accuracy_and_run_three_times_faster(tmp_path: Path) -> None:
    """One seed of five, its 1,000 test digits simulated and three encrypted."""
    prepared: Prepared = replace(prepare_task("digits", 0), folder=tmp_path)
    assert prepared.task is TASKS["digits"]
    tune(prepared)
    facts, without = after(prepared), before(prepared)
    assert facts["points_lost"] <= WORST_POINTS
    assert facts["outside_test"] <= MOST_OUTSIDE
    assert without["predicted_s"] >= LEAST_RATIO * facts["predicted_s"]
    plan, samples = Plan.load(tmp_path / "after.hetorch"), prepared.samples[:3]
    error = np.abs(
        hetorch.run_encrypted(plan, samples, progress=False) - outputs(tuned_module(prepared), samples)
    )
    assert error.max() <= plan.report.predicted_error * plan.report.output_range
