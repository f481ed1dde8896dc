"""Degrees that a part of the calibration inputs names, and that all of them judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from hetorch.compiler.activations import approximate_activations, raise_degrees
from hetorch.compiler.activations.approximate_activations import SEARCH_SAMPLES, nearest_network
from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.error_curves import Curve
from hetorch.compiler.activations.evaluate_degrees import Attempt, Manner, Task, evaluate_degrees
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.raise_degrees import MOST_RUNS
from hetorch.compiler.activations.search_degrees import RUNGS, Choices
from hetorch.compiler.activations.unseen_range import BEYOND
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.ir.tensor_program import Activation, TensorProgram, Wish

TOLERANCE, WIDE = 0.02, 1e-8


def nearest(depth: int = 2, factor: float = 2.0, tolerance: float = TOLERANCE) -> Approximated:
    """Return the network for 300 inputs, of which the search does not see those that are `factor` times as large."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(6, 6)
        with torch.no_grad():
            linear.weight *= 2.0
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(6, 1)).eval()
    inputs = torch.randn(300, 6)
    inputs[1::7] *= factor
    captured = capture(model, inputs.numpy())
    options = CompileOptions(activation_tolerance=tolerance)
    return nearest_network(fuse_affine(captured.program), captured.inputs, captured.outputs, options)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Attempt]:
    """Let the search see few inputs, and return the list of the runs on all of them that raise degrees."""
    monkeypatch.setattr(approximate_activations, "SEARCH_WORK", 1)
    made: list[Attempt] = []

    def counted(task: Task, degrees: Sequence[int], manner: Manner) -> Attempt:
        assert len(task.inputs) == 300 > SEARCH_SAMPLES
        made.append(evaluate_degrees(task, degrees, manner))
        return made[-1]

    monkeypatch.setattr(raise_degrees, "evaluate_degrees", counted)
    return made


@pytest.mark.parametrize(("depth", "factor"), [(2, 2.0), (2, 5.0)])
def test_degrees_that_are_too_low_for_all_inputs_are_raised(
    depth: int, factor: float, runs: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = nearest(depth, factor)
    assert raised.error <= TOLERANCE and not raised.shortfall
    assert raised.degrees == runs[-1].degrees and 1 <= len(runs) <= MOST_RUNS

    def kept(task: Task, goal: Goal, given: Choices, attempt: Attempt) -> Attempt:
        return attempt

    monkeypatch.setattr(approximate_activations, "raise_degrees", kept)
    found = nearest(depth, factor)
    assert found.error > TOLERANCE and f"{found.error:.2%}" in found.shortfall
    assert all(low <= high for low, high in zip(found.degrees, raised.degrees, strict=True))


def test_degrees_that_do_for_all_inputs_take_no_further_run(runs: list[Attempt]) -> None:
    assert not nearest(factor=1.0, tolerance=0.9).shortfall and not runs


def test_a_goal_that_few_inputs_miss_takes_no_further_run(runs: list[Attempt]) -> None:
    assert "of at most" in nearest(tolerance=1e-5).shortfall and not runs


@pytest.mark.parametrize(
    ("usual", "higher", "runs"),
    [
        (0.04, [], [(15, BEYOND)]),  # the usual ranges do
        (0.06, [0.04], [(15, BEYOND), (23, BEYOND)]),
        (0.06, [0.051, 0.04], [(15, BEYOND), (23, BEYOND), (31, BEYOND)]),
        # Where usual ranges are worse, wide ones stay. The nearest run is returned, though it misses the goal, and the
        # first one where all others are worse.
        (0.09, [0.06, 0.055], [(15, BEYOND), (31, WIDE), (47, WIDE)]),
        (0.09, [0.1, 0.2], [(15, BEYOND), (31, WIDE), (95, WIDE)]),
    ],
)
def test_widened_ranges_are_narrowed_before_degrees_are_raised(
    usual: float, higher: list[float], runs: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = TensorProgram((2,), (Activation(0, "relu", (), (2,), "relu"),), 1, (2,))
    inputs = np.ones((4, 2))
    task = Task(program, inputs, inputs, [inputs, inputs], Wish(), only_bounds=False)
    # Predicted mean square errors fall with the square of the degree. So a run of degree d and error e asks for the
    # first degree that is at least d * (e / 0.05) / AIM.
    curve = Curve(tuple(1.0 / degree**2 for degree in RUNGS), (4,) * len(RUNGS), tuple(map(float, RUNGS)))
    errors, made = iter([usual, *higher]), list[tuple[int, float]]()

    def evaluated(task: Task, degrees: Sequence[int], manner: Manner) -> Attempt:
        made.append((degrees[0], manner.beyond))
        return attempt(next(errors), degrees[0], manner)

    def attempt(error: float, degree: int, manner: Manner) -> Attempt:
        network = Approximated(program, error, 1.0, (degree,))
        return Attempt((degree,), manner, network, expected_agreement=1.0)

    monkeypatch.setattr(raise_degrees, "evaluate_degrees", evaluated)
    first = attempt(0.07, 15, Manner(beyond=WIDE))
    nearest = raise_degrees.raise_degrees(task, Goal(0.05, 0.0), Choices((curve,), (), 4), first)
    assert made == runs and nearest.error == min(0.07, usual, *higher)
