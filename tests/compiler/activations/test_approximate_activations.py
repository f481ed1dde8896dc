from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.compare_outputs import class_rows, compare_outputs
from hetorch.compiler.activations.domains import RANGE_MARGIN
from hetorch.compiler.activations.fit_channels import EVEN_WEIGHT
from hetorch.compiler.activations.fit_polynomial import fit_series, series_moments
from hetorch.compiler.activations.polynomial_growth import LEAST_REACH, TAIL_GROWTH
from hetorch.compiler.activations.unseen_range import unseen_range
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InfeasibleError, PlanError
from hetorch.ir.activations import ACTIVATIONS
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Activation, Affine, Chebyshev, Multiply, TensorProgram, Wish

Array = NDArray[np.float64]


def program(*functions: str) -> TensorProgram:
    operations = tuple(Activation(i, name, (), (6,), name) for i, name in enumerate(functions))
    return TensorProgram((6,), operations, len(operations), (6,))


def data(batch: int = 200) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(0).uniform(-3, 3, (batch, 6))


@pytest.mark.parametrize(("degree", "bound"), [(7, 3e-2), (15, 2e-3), (31, 1e-5)])
def test_error_falls_as_for_an_analytic_function(degree: int, bound: float) -> None:
    x, base = data(), program("silu")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_degree=degree))
    assert np.max(np.abs(run_tensor_program(found.program, x) - reference)) < bound
    assert isinstance(found.program.operations[-1], Chebyshev)


def test_fit_of_a_polynomial_is_the_polynomial() -> None:
    truth = np.array([0.5, -1.0, 0.25, 2.0])
    points = np.linspace(-0.9, 0.8, 99)
    found = fit_series(lambda t: np.asarray(chebyshev.chebval(t, truth)), points, 15)
    np.testing.assert_allclose(found, truth, atol=1e-12)


@pytest.mark.parametrize("even", [False, True])
def test_moments_of_a_high_degree_serve_lower_ones(even: bool) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, 500)
    high = series_moments(np.abs, points, 40).problem(9, line_plus_even=even).solution(0.02)
    own = series_moments(np.abs, points, 9).problem(9, line_plus_even=even).solution(0.02)
    np.testing.assert_allclose(high, own, atol=1e-12)


def test_degree_two_is_one_square() -> None:
    x, base = data(), program("relu")
    found = approximate_activations(base, x, run_tensor_program(base, x), CompileOptions(activation_degree=2))
    assert [type(op) for op in found.program.operations] == [Affine, Multiply, Affine]
    # The best parabola for max(x, 0) on a symmetric range with even weight is 3/32 h + x/2 + 15/32 x^2/h.
    h = 3 * (1 + RANGE_MARGIN)
    value = run_tensor_program(found.program, np.zeros((1, 6)))[0, 0]
    assert abs(value - 3 / 32 * h) < 0.04 * h


def test_concave_parabola_keeps_its_sign() -> None:
    x, base = np.abs(data()) + 0.5, program("log_sigmoid")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_degree=2))
    assert found.error < 0.05


def test_what_is_linear_in_the_range_costs_nothing() -> None:
    x, base = np.abs(data()) + 1.0, program("relu")
    wide = np.concatenate([x, [[9.0] * 6]])
    base2 = program("leaky_relu")
    low = wide.min() - (wide.max() - wide.min()) / 2 * RANGE_MARGIN
    shifted = wide - min(low, 0.0)
    for candidate in (base, base2):
        found = approximate_activations(
            candidate, shifted, run_tensor_program(candidate, shifted), CompileOptions(activation_degree=7)
        )
        assert [type(op) for op in found.program.operations] == [Affine]
        assert found.error < 1e-9


def test_least_degrees_that_do_are_chosen() -> None:
    x, base = data(), program("tanh", "relu")
    reference = run_tensor_program(base, x)
    loose = approximate_activations(
        base, x, reference, CompileOptions(activation_tolerance=0.3, activation_agreement=0)
    )
    tight = approximate_activations(
        base, x, reference, CompileOptions(activation_tolerance=0.03, activation_agreement=0)
    )
    assert loose.error <= 0.3 and tight.error <= 0.03
    assert sum(loose.degrees) < sum(tight.degrees)
    assert compare_outputs(run_tensor_program(tight.program, x), reference, rows=())[0] == pytest.approx(
        tight.error
    )


def test_out_of_reach() -> None:
    x, base = data(), program("relu")
    reference = run_tensor_program(base, x)
    network = approximate_activations(base, x, reference, CompileOptions(activation_tolerance=1e-6))
    assert network.error > 1e-6 and "activation_tolerance" in network.shortfall and network.degrees == (127,)
    assert network.missing_levels == 0  # A ring has levels for more; no polynomial is this near.
    with pytest.raises(InfeasibleError, match="activation_tolerance"):
        approximate_activations(base, x, reference, CompileOptions(activation_tolerance=1e-6, strict=True))


def test_a_constant_input_is_no_problem() -> None:
    x, base = np.full((4, 6), 0.3), program("sigmoid")
    found = approximate_activations(base, x, run_tensor_program(base, x), CompileOptions())
    np.testing.assert_allclose(run_tensor_program(found.program, x), ACTIVATIONS["sigmoid"](x), atol=0.05)


ALL = class_rows((2,))
"""The whole of a row of two."""


def test_compare() -> None:
    reference = np.array([[0.0, 1.0], [3.0, 1.0]])
    assert compare_outputs(reference, reference, rows=ALL) == (0.0, 1.0)
    error, agreement = compare_outputs(reference + np.array([[0.0, 0.3], [0.0, 0.0]]), reference, rows=ALL)
    assert error == pytest.approx(0.1) and agreement == 1.0
    assert compare_outputs(reference[:, ::-1], reference, rows=ALL)[1] == 0.0
    assert compare_outputs(reference * np.nan, reference, rows=ALL) == (np.inf, 0.0)


def test_compare_several_outputs() -> None:
    """The agreement is the least one of the outputs that are rows of classes; an image and a number have none."""
    assert class_rows((2, 2)) == class_rows((1,)) == ()
    rows = class_rows((9,), ((2,), (1,), (1, 3), (3,)))
    assert rows == (slice(0, 2), slice(6, 9))
    reference = np.array([[0, 1, 5, 3, 2, 1, 0, 2, 1], [1, 0, 5, 1, 2, 3, 0, 2, 1]], dtype=np.float64)
    other = reference.copy()
    other[:, 3:6] = other[:, 3:6][:, ::-1]
    assert compare_outputs(other, reference, rows=rows)[1] == 1.0
    other[0, :2] = [1, 0]
    assert compare_outputs(other, reference, rows=rows)[1] == 0.5


def channels(*functions: str) -> TensorProgram:
    """Each function on a value of 3 channels of 2 elements."""
    operations = tuple(Activation(i, name, (), (3, 2), name) for i, name in enumerate(functions))
    return TensorProgram((3, 2), operations, len(operations), (3, 2))


def unequal(batch: int = 400) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Channels of very different size."""
    return np.asarray(data(batch).reshape(batch, 3, 2) * np.array([0.1, 1.0, 10.0])[:, None])


@pytest.mark.parametrize("function", ["relu", "abs", "leaky_relu", "silu", "gelu", "softplus", "hardswish"])
def test_a_quartic_is_the_best_one_of_each_channel(function: str) -> None:
    x, base = unequal(), channels(function)
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_degree=4))
    assert found.fits[0].depth == 2 and found.fits[0].degree == 4
    outputs = run_tensor_program(found.program, x)
    low, high = unseen_range(x.reshape(len(x), -1), np.repeat(np.arange(3), 2))
    half = np.maximum(np.abs(low), np.abs(high))[::2]
    (activation,) = base.operations
    assert isinstance(activation, Activation)

    def powers(t: Array) -> Array:
        return np.stack([np.ones_like(t), t, t**2, t**4], axis=1)

    for channel in range(3):
        values, truth = x[:, channel].reshape(-1), reference[:, channel].reshape(-1)
        best = np.linalg.lstsq(powers(values / half[channel]), truth, rcond=None)[0]
        grid = np.linspace(-1, 1, 128)
        on_grid = powers(grid) @ best - activation.apply(grid * half[channel])
        error = np.mean((powers(values / half[channel]) @ best - truth) ** 2)
        # The weighted sum of both errors is least for the quartic that was found.
        most = error + EVEN_WEIGHT / (1 - EVEN_WEIGHT) * np.mean(on_grid**2)
        got = np.mean((outputs[:, channel].reshape(-1) - truth) ** 2)
        assert got <= most * (1 + 1e-6) + 1e-24


def test_parabolas_of_each_channel() -> None:
    x, base = unequal(), channels("relu")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_degree=2))
    error = np.abs(run_tensor_program(found.program, x) - reference).max(axis=(0, 2))
    # One parabola for all would be wrong by a tenth of the largest channel's size in the smallest one.
    assert np.all(error <= 0.12 * np.abs(x).max(axis=(0, 2)))


KINKED = {
    "relu": (), "abs": (), "leaky_relu": (0.2,), "relu6": (), "hardtanh": (-0.5, 0.7), "hardsigmoid": (),
    "hardswish": (), "softshrink": (0.4,),
}  # fmt: skip


@pytest.mark.parametrize("function", sorted(KINKED))
def test_kinked_functions_to_a_precision(function: str) -> None:
    op = Activation(0, function, KINKED[function], (6,), function)
    base = TensorProgram((6,), (op,), 1, (6,))
    x = np.random.default_rng(1).uniform(-4, 4, (500, 6))
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_precision=2.0**-6))
    difference = np.abs(run_tensor_program(found.program, x) - reference).max()
    # The range is wider by the margin, and functions with two kinks have two errors, hardswish times x.
    factor = {
        "relu6": 2,
        "hardtanh": 2,
        "softshrink": 2,
        "abs": 2,
        "hardswish": 4.8 / 3,
        "hardsigmoid": 2 / 6,
    }
    assert difference <= 2.0**-6 * (4.8 + 3) * factor.get(function, 1)
    assert found.fits[0].method == "minimax sign" and found.fits[0].depth <= 12


def test_smooth_functions_to_a_precision() -> None:
    x, base = data(), program("tanh")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_precision=1e-3))
    assert np.abs(run_tensor_program(found.program, x) - reference).max() <= 1e-3
    with pytest.raises(PlanError, match="less precision"):
        approximate_activations(
            base, x * 30, run_tensor_program(base, x * 30), CompileOptions(activation_precision=1e-5)
        )


@pytest.mark.parametrize("function", ["silu", "gelu", "softplus"])
@pytest.mark.parametrize(("low", "high"), [(-0.55, 0.47), (-3.1, 2.9), (-1.0, 4.0)])
def test_precisions_are_judged_where_the_polynomial_is_used(function: str, low: float, high: float) -> None:
    x = np.random.default_rng(0).uniform(low, high, (200, 6))
    base = program(function)
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_precision=0.02))
    error = np.abs(run_tensor_program(found.program, x) - reference).max()
    # Analytic on these ranges: Chebyshev's error of degree 15 is below this. The range is wider than that of x.
    assert error <= 0.02 * np.abs(reference).max() * 1.5
    assert found.fits[0].degree <= 15


@pytest.mark.parametrize("degree", [2, 4, 7, 15, 31, 63])
def test_the_tail_keeps_its_bound(degree: int) -> None:
    x, base = data(), program("relu")
    found = approximate_activations(
        base, x, run_tensor_program(base, x), CompileOptions(activation_degree=degree)
    )
    (fit,) = found.fits
    assert fit.reach >= LEAST_REACH
    half = max(-fit.low, fit.high)
    inside = np.linspace(fit.low, fit.high, 1001)
    beyond = np.linspace(-half * fit.reach, half * fit.reach, 1001)
    largest = np.abs(run_tensor_program(found.program, np.repeat(inside[:, None], 6, axis=1))).max()
    outside = np.abs(run_tensor_program(found.program, np.repeat(beyond[:, None], 6, axis=1))).max()
    assert outside <= TAIL_GROWTH * largest * 1.05


@pytest.mark.parametrize("degree", [31, 63])
def test_high_degrees_follow_the_distribution(degree: int) -> None:
    """On the values they are nearer than numpy's even fit of the same degree on the same range, tail included."""
    x, base = np.random.default_rng(2).normal(size=(4000, 6)), program("relu")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_degree=degree))
    half = LEAST_REACH * max(-found.fits[0].low, found.fits[0].high)
    grid = np.linspace(-1, 1, 4001)
    even = np.polynomial.chebyshev.Chebyshev.fit(grid, np.maximum(grid, 0), degree, domain=[-1, 1])
    difference = run_tensor_program(found.program, x) - reference
    unweighted = half * even(x / half) - reference
    assert np.mean(difference**2) < 0.95 * np.mean(unweighted**2)


def test_a_range_is_not_widened_beyond_where_the_function_is_defined() -> None:
    x, base = data() + 3.05, program("sqrt")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, CompileOptions(activation_degree=31))
    assert np.abs(run_tensor_program(found.program, x) - reference).max() < 0.02


def test_escapes_are_estimated_from_the_other_half() -> None:
    x, base = data(), program("tanh")
    assert (
        approximate_activations(base, x, run_tensor_program(base, x), CompileOptions(activation_degree=7))
        .fits[0]
        .escapes
        == 0
    )
    x[1::20] *= 6
    share = (
        approximate_activations(base, x, run_tensor_program(base, x), CompileOptions(activation_degree=7))
        .fits[0]
        .escapes
    )
    assert 0.02 < share < 0.1


def test_interval_ranges_cannot_be_left() -> None:
    weight = np.random.default_rng(3).normal(size=(6, 6))
    ops = (
        Affine(0, sparse.csr_array(weight), np.zeros(6), (6,), "w", "linear"),
        Activation(1, "tanh", (), (6,), "tanh"),
    )
    base, x = TensorProgram((6,), ops, 2, (6,)), data(20)
    found = approximate_activations(
        base,
        x,
        run_tensor_program(base, x),
        CompileOptions(activation_degree=7, activation_ranges="interval"),
    )
    (fit,) = found.fits
    worst = np.abs(weight).sum(axis=1).max() * np.abs(x).max()
    assert fit.high >= worst and fit.low <= -worst and fit.escapes <= 1


def test_functions_outside_their_definition_are_refused_with_the_way_out() -> None:
    for function in ("sqrt", "rsqrt", "log", "reciprocal"):
        with np.errstate(all="ignore"), pytest.raises(PlanError, match=r"only defined above 0.*eps"):
            base = program(function)
            approximate_activations(base, data(), np.ones((200, 6)), CompileOptions(activation_degree=7))


def test_rough_polynomials_are_blamed_where_the_model_keeps_to_a_definition() -> None:
    """Sums of exponentials are positive, and those of their polynomials are not."""
    total = Affine(1, sparse.csr_array(np.ones((1, 6))), np.zeros(1), (1,), "softmax", "sum")
    first, last = (
        Activation(n, name, (), (size,), "softmax") for n, name, size in ((0, "exp", 6), (2, "reciprocal", 1))
    )
    base, x = TensorProgram((6,), (first, total, last), 3, (1,)), 4 * data()
    with pytest.raises(
        InfeasibleError, match=r"reciprocal in softmax reads .* in the model, but the polynomials"
    ):
        approximate_activations(base, x, run_tensor_program(base, x), CompileOptions(activation_degree=3))


def test_positive_functions_keep_a_distance_from_zero() -> None:
    x = np.random.default_rng(2).uniform(0.2, 3.0, (300, 6))
    for function in ("rsqrt", "reciprocal", "log"):
        base = program(function)
        found = approximate_activations(
            base, x, run_tensor_program(base, x), CompileOptions(activation_degree=15)
        )
        assert found.fits[0].low > 0 and found.error < 0.03


def test_wishes_go_before_what_holds_for_all() -> None:
    first = Activation(0, "tanh", (), (6,), "a", None, Wish(degree=5))
    base = TensorProgram((6,), (first, Activation(1, "tanh", (), (6,), "b")), 2, (6,))
    found = approximate_activations(
        base, data(), run_tensor_program(base, data()), CompileOptions(activation_degree=9)
    )
    assert [fit.degree for fit in found.fits] == [5, 9]
