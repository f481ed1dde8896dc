from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from hetorch.compiler.activations import search_degrees
from hetorch.compiler.activations.approximate_activations import approximate_activations, nearest_network
from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.compare_outputs import class_rows, expected_agreement
from hetorch.compiler.activations.degree_path import Step, degree_path
from hetorch.compiler.activations.error_curves import Curve
from hetorch.compiler.activations.evaluate_degrees import Attempt, Manner, Task
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.compiler.activations.most_levels import levels_that_fit, most_levels
from hetorch.compiler.activations.notes import sentences
from hetorch.compiler.activations.output_gradients import output_gradients
from hetorch.compiler.activations.polynomial_growth import reach_of
from hetorch.compiler.activations.search_degrees import RUNGS
from hetorch.compiler.bootstraps.refusal import levels_of_ring_only
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.errors import InfeasibleError
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import Activation, Add, Affine, Multiply, TensorOp, TensorProgram, Wish

Array = NDArray[np.float64]


def affine(source: int, seed: int, rows: int = 4, columns: int = 4) -> Affine:
    weight = np.random.default_rng(seed).normal(size=(rows, columns))
    return Affine(source, sparse.csr_array(weight), np.zeros(rows), (rows,), f"w{seed}", "linear")


def branching() -> TensorProgram:
    """Two branches, one with a product, that are added: every kind of operation before approximation."""
    operations: tuple[TensorOp, ...] = (
        affine(0, 1),
        Activation(1, "tanh", (), (4,), "a"),
        affine(2, 2),
        Multiply(2, 3, (4,), "product"),
        Activation(4, "sigmoid", (), (4,), "b"),
        Add(5, 2, (4,), "sum"),
        affine(6, 3, rows=2),
    )
    return TensorProgram((4,), operations, 7, (2,))


def test_gradients_are_torchs() -> None:
    program, x = branching(), np.random.default_rng(0).normal(size=(5, 4))
    gradients = output_gradients(program, trace_tensor_program(program, x))
    w = [torch.tensor(affine(0, seed, rows).matrix.toarray()) for seed, rows in ((1, 4), (2, 4), (3, 2))]
    a = torch.tanh(torch.tensor(x) @ w[0].T).requires_grad_()
    a.retain_grad()
    b = torch.sigmoid(a * (a @ w[1].T))
    b.retain_grad()
    output = (b + a) @ w[2].T
    for row in range(2):
        (by_a,) = torch.autograd.grad(output[:, row].sum(), a, retain_graph=True)
        (by_b,) = torch.autograd.grad(output[:, row].sum(), b, retain_graph=True)
        np.testing.assert_allclose(gradients[2][:, row], by_a.numpy(), atol=1e-6)
        np.testing.assert_allclose(gradients[5][:, row], by_b.numpy(), atol=1e-6)


def test_signed_sums_keep_the_square_of_a_single_error() -> None:
    """The mean square over signs of an error of one output is its own square if outputs are more than sums."""
    program = TensorProgram((20,), (Activation(0, "tanh", (), (20,), "a"),), 1, (20,))
    gradient = output_gradients(program, trace_tensor_program(program, np.ones((2, 20))))[1]
    np.testing.assert_allclose(np.sum(gradient**2, axis=1), 1.0)


def test_levels_go_where_they_take_off_most() -> None:
    program = branching()
    curves = (
        Curve((0.5, 0.4, 0.0), (1, 2, 3), (1.0, 2.0, 3.0)),
        Curve((1.0, 0.1, 0.09), (1, 2, 3), (1.0, 2.0, 3.0)),
    )
    path = degree_path(program, curves, [0, 1], 7)
    assert path[0].rungs == (0, 0) and path[1].rungs == (0, 1)
    assert all(before.error > after.error for before, after in itertools.pairwise(path))
    assert all(
        step.levels == longest_path(program, [c.depths[r] for c, r in zip(curves, step.rungs, strict=True)])
        for step in path
    )
    assert max(step.levels for step in path) <= 7


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0, 30.0])
@pytest.mark.parametrize("exploding", [False, True])
def test_predictions_lead_to_the_first_choice_that_meets_the_goal(
    monkeypatch: pytest.MonkeyPatch, factor: float, exploding: bool
) -> None:
    """Measured errors are those predicted times a factor that grows or falls slowly; the most exact ones may explode.

    Bisection alone takes 2 runs for the ends and 7 for 120 choices.
    """
    path = [Step((i // len(RUNGS), i % len(RUNGS)), i, 10.0 ** (-8 * i / 119)) for i in range(120)]
    tolerance, tried = 10.0**-1.5, []

    def error(index: int) -> float:
        if exploding and index > 100:
            return 1e9
        return factor * math.sqrt(path[index].error) * (1 + index / 100)

    def run(task: Task, degrees: list[int]) -> Attempt:
        index = next(i for i, step in enumerate(path) if [RUNGS[rung] for rung in step.rungs] == degrees)
        tried.append(index)
        network = Approximated(branching(), error(index), 1.0, tuple(degrees))
        return Attempt(tuple(degrees), Manner(), network, expected_agreement=1.0)

    monkeypatch.setattr(search_degrees, "evaluate_degrees", run)
    program, x = branching(), np.zeros((1, 4))
    task = Task(program, x, x, trace_tensor_program(program, x), Wish(), False)
    runs = search_degrees._Runs(task, Goal(tolerance, 0.0), 50, lambda _: None)
    found = search_degrees._first_met(runs, path)
    assert found is path[next(i for i in range(120) if error(i) <= tolerance)]
    assert len(tried) <= 8


def test_the_longest_path_is_that_of_the_longer_branch() -> None:
    # affine, a, affine, product, b, affine
    assert longest_path(branching(), [2, 3]) == 1 + 2 + 1 + 1 + 3 + 1
    line = TensorProgram((4,), (affine(0, 1), Activation(1, "relu", (), (4,), "a"), affine(2, 2)), 3, (4,))
    assert [longest_path(line, [depth]) for depth in (0, 1, 4)] == [1, 3, 6]


def test_expected_agreement_is_the_probability_of_a_change() -> None:
    """Two classes, Gaussian margins and errors: the share is that of an integral."""
    random = np.random.default_rng(0)
    margins, errors = random.normal(size=2000), 0.1 * random.normal(size=2000)
    rows = class_rows((2,))
    reference = np.stack([margins, np.zeros(2000)], axis=1)
    outputs = reference + np.stack([errors, np.zeros(2000)], axis=1)
    # The signs of m and of m + s e differ with probability atan(s) / pi.
    for excess in (0.0, 0.5):
        truth = 1 - np.arctan(0.1 * (1 + excess)) / np.pi
        share = expected_agreement(outputs, reference, rows=rows, excess=excess)
        assert share == pytest.approx(truth, abs=4e-3)
    assert expected_agreement(reference, reference, rows=rows) == 1.0
    assert expected_agreement(outputs * np.nan, reference, rows=rows) == 0.0


def test_only_a_row_of_outputs_has_classes() -> None:
    assert class_rows((2,)) and not any(class_rows(shape) for shape in ((1,), (1, 8, 8), ()))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)).eval()
    captured = capture(model, torch.rand(64, 1, 8, 8))
    program = fuse_affine(captured.program)
    made = [
        approximate_activations(
            program, captured.inputs, captured.outputs, CompileOptions(activation_agreement=wish)
        )
        for wish in (0.0, 1.0)
    ]
    assert made[0].degrees == made[1].degrees and made[1].agreement == 1.0 and not made[1].shortfall
    assert made[1].missing_levels == 0
    assert any("no classes" in sentence for sentence in sentences(made[1]))


def test_what_has_little_to_do_with_the_model_is_refused_and_shown() -> None:
    """A cosine of a hundred periods: the polynomial of the highest degree does not follow it."""
    base = TensorProgram((6,), (Activation(0, "cos", (), (6,), "wave"),), 1, (6,))
    x = np.random.default_rng(0).uniform(-300, 300, (400, 6))
    options = CompileOptions(activation_agreement=0.99)
    reference = run_tensor_program(base, x)
    network = nearest_network(base, x, reference, options)
    assert "half way from chance" in network.refusal and len(network.fits) == 1 and network.agreement < 0.6
    with pytest.raises(InfeasibleError, match=r"half way from chance.*wave \(cos\)"):
        approximate_activations(base, x, reference, options)


def test_a_ring_limits_the_levels() -> None:
    random = np.random.default_rng(1)
    operations: list[TensorOp] = []
    for index in range(3):
        operations += [affine(2 * index, index), Activation(2 * index + 1, "relu", (), (4,), f"relu{index}")]
    program = TensorProgram((4,), tuple(operations), 6, (4,))
    x = random.normal(size=(300, 4))
    reference = run_tensor_program(program, x)
    wish = {"activation_tolerance": 1e-4, "activation_agreement": 0.0}
    small, large = (CompileOptions(ring_degree=ring, **wish) for ring in (1 << 14, 1 << 15))
    networks = [approximate_activations(program, x, reference, options) for options in (small, large)]
    levels = [longest_path(program, [fit.depth for fit in network.fits]) for network in networks]
    assert levels[0] <= most_levels(small) < levels_that_fit(small) < levels[1]
    assert f"({levels[0]} of at most {most_levels(small)} levels)" in networks[0].shortfall
    reason = levels_of_ring_only(program, small)
    assert "ring_degree=16384" in reason and reason not in networks[0].shortfall
    told = nearest_network(program, x, reference, small, limited_by=reason)
    assert f"and {told.missing_levels} of them are missing; {reason};" in told.shortfall
    assert told.missing_levels == networks[0].missing_levels > 0
    assert networks[1].error < networks[0].error


def test_progress_moves() -> None:
    base = TensorProgram(
        (6,), (Activation(0, "relu", (), (6,), "a"), Activation(1, "tanh", (), (6,), "b")), 2, (6,)
    )
    x = np.random.default_rng(0).uniform(-3, 3, (200, 6))
    shares: list[float] = []
    approximate_activations(base, x, run_tensor_program(base, x), CompileOptions(), shares.append)
    assert len(shares) > 2 and shares == sorted(shares) and 0 < shares[-1] <= 1


def test_the_reach_of_several_series_is_the_least() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 8)) / 2.0 ** np.arange(8)
    assert reach_of(rows) == min(reach_of(row) for row in rows) > 1


def test_a_search_on_a_part_of_the_inputs_is_judged_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.compiler.activations.approximate_activations.SEARCH_WORK", 1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    x = torch.randn(300, 4)
    x[1] *= 5  # the search does not see this input, which is the largest one
    captured = capture(model, x.numpy(), None)
    program = fuse_affine(captured.program)
    found = nearest_network(program, captured.inputs, captured.outputs, CompileOptions())
    before = trace_tensor_program(program, captured.inputs)[program.operations[1].reads[0]]
    assert found.fits[0].low <= before.min() and found.fits[0].high >= before.max()
    difference = run_tensor_program(found.program, captured.inputs) - captured.outputs
    assert found.error == pytest.approx(np.max(np.abs(difference)) / np.ptp(captured.outputs), rel=1e-6)
