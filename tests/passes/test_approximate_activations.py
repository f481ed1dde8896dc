from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.errors import PlanError
from hetorch.ir.activations import ACTIVATIONS
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Activation, Affine, Chebyshev, Multiply, TensorProgram
from hetorch.passes.approximate_activations import approximate_activations, compare
from hetorch.passes.fit_polynomial import RANGE_MARGIN, fit


def program(*functions: str) -> TensorProgram:
    operations = tuple(Activation(i, name, (), (6,), name) for i, name in enumerate(functions))
    return TensorProgram((6,), operations, len(operations), (6,))


def data(batch: int = 200) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(0).uniform(-3, 3, (batch, 6))


@pytest.mark.parametrize(("degree", "bound"), [(7, 3e-2), (15, 2e-3), (31, 1e-5)])
def test_error_falls_as_for_an_analytic_function(degree: int, bound: float) -> None:
    x, base = data(), program("silu")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, degree=degree)
    assert np.max(np.abs(run_tensor_program(found.program, x) - reference)) < bound
    assert isinstance(found.program.operations[-1], Chebyshev)


def test_fit_of_a_polynomial_is_the_polynomial() -> None:
    truth = np.array([0.5, -1.0, 0.25, 2.0])
    points = np.linspace(-0.9, 0.8, 99)
    found = fit(lambda t: np.asarray(chebyshev.chebval(t, truth)), points, 15)
    np.testing.assert_allclose(found, truth, atol=1e-12)


def test_degree_two_is_one_square() -> None:
    x, base = data(), program("relu")
    found = approximate_activations(base, x, run_tensor_program(base, x), degree=2)
    assert [type(op) for op in found.program.operations] == [Affine, Multiply, Affine]
    # The best parabola for max(x, 0) on a symmetric range with even weight is 3/32 h + x/2 + 15/32 x^2/h.
    h = 3 * (1 + RANGE_MARGIN)
    value = run_tensor_program(found.program, np.zeros((1, 6)))[0, 0]
    assert abs(value - 3 / 32 * h) < 0.04 * h


def test_concave_parabola_keeps_its_sign() -> None:
    x, base = np.abs(data()) + 0.5, program("log_sigmoid")
    reference = run_tensor_program(base, x)
    found = approximate_activations(base, x, reference, degree=2)
    assert found.error < 0.05


def test_what_is_linear_in_the_range_costs_nothing() -> None:
    x, base = np.abs(data()) + 1.0, program("relu")
    wide = np.concatenate([x, [[9.0] * 6]])
    base2 = program("leaky_relu")
    low = wide.min() - (wide.max() - wide.min()) / 2 * RANGE_MARGIN
    shifted = wide - min(low, 0.0)
    for candidate in (base, base2):
        found = approximate_activations(candidate, shifted, run_tensor_program(candidate, shifted), degree=7)
        assert [type(op) for op in found.program.operations] == [Affine]
        assert found.error < 1e-9


def test_least_degrees_that_do_are_chosen() -> None:
    x, base = data(), program("tanh", "relu")
    reference = run_tensor_program(base, x)
    loose = approximate_activations(base, x, reference, tolerance=0.3, least_agreement=0)
    tight = approximate_activations(base, x, reference, tolerance=0.03, least_agreement=0)
    assert loose.error <= 0.3 and tight.error <= 0.03
    assert sum(loose.degrees) < sum(tight.degrees)
    assert compare(run_tensor_program(tight.program, x), reference)[0] == pytest.approx(tight.error)


def test_out_of_reach() -> None:
    x, base = data(), program("relu")
    with pytest.raises(PlanError, match="activation_tolerance"):
        approximate_activations(base, x, run_tensor_program(base, x), tolerance=1e-6)


def test_a_constant_input_is_no_problem() -> None:
    x, base = np.full((4, 6), 0.3), program("sigmoid")
    found = approximate_activations(base, x, run_tensor_program(base, x))
    np.testing.assert_allclose(run_tensor_program(found.program, x), ACTIVATIONS["sigmoid"](x), atol=0.05)


def test_compare() -> None:
    reference = np.array([[0.0, 1.0], [3.0, 1.0]])
    assert compare(reference, reference) == (0.0, 1.0)
    error, agreement = compare(reference + np.array([[0.0, 0.3], [0.0, 0.0]]), reference)
    assert error == pytest.approx(0.1) and agreement == 1.0
    assert compare(reference[:, ::-1], reference)[1] == 0.0
    assert compare(reference * np.nan, reference) == (np.inf, 0.0)
