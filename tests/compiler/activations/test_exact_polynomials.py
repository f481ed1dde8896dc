"""Polynomials that stay what they are: the forms against numpy's values, their levels and the growth inside them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from hetorch.compiler.activations.domains import domain_of
from hetorch.compiler.activations.exact_polynomials import LEAST_FACTOR, MOST_GROWTH
from hetorch.compiler.activations.interval_bounds import Interval
from hetorch.compiler.activations.replace_activation import replace_activation
from hetorch.compiler.activations.replacement import Replacement
from hetorch.ir.tensor_program import (
    POLYNOMIAL,
    Activation,
    Affine,
    Chebyshev,
    ElementRange,
    Multiply,
    Wish,
)

Array = NDArray[np.float64]

CHANNELS, PLACES, SAMPLES = 5, 3, 40
SIZE = CHANNELS * PLACES
RELU = {
    2: (0.38, 0.5, 0.12),
    4: (0.25, 0.5, 0.28, 0.0, -0.013),
    8: (0.12, 0.5, 0.5, 0.0, -0.075, 0.0, 0.0062, 0.0, -0.00019),
}
"""Polynomials near ReLU on -3..3."""


def activation(rows: Array, trained: ElementRange | None = None) -> Activation:
    """Return the activation with the coefficients of 1, x, x^2, ... of each element, (size, degree + 1)."""
    degree = rows.shape[1] - 1

    def definition(x: Array) -> Array:
        return np.asarray(polynomial.polyval(x, rows.T, tensor=False))

    shape = (CHANNELS, PLACES)
    return Activation(0, POLYNOMIAL, (), shape, "act", definition, Wish(degree), degree, trained)


def written(rows: Array, data: Array) -> tuple[Replacement, str]:
    op = activation(rows)
    everywhere = Interval(np.full(SIZE, -np.inf), np.full(SIZE, np.inf))
    out, form = replace_activation(op, 0, 0, domain_of(op, data, everywhere), 2, None)
    return out, form.method


def data_in(low: float, high: float) -> Array:
    return np.random.default_rng(0).uniform(low, high, (SAMPLES, SIZE))


def per_channel(rows: Array) -> Array:
    return np.repeat(rows, PLACES, axis=0)


def relative_error(out: Replacement, rows: Array, x: Array) -> float:
    expected = polynomial.polyval(x, rows.T, tensor=False)
    return float(np.max(np.abs(out.run(x) - expected)) / np.max(np.abs(expected)))


@pytest.mark.parametrize(("degree", "levels", "products"), [(2, 1, 1), (4, 2, 2), (8, 3, 4)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_near_relu_each_channel_has_its_own(degree: int, levels: int, products: int, sign: float) -> None:
    rng = np.random.default_rng(1)
    rows = per_channel(sign * np.array(RELU[degree]) * rng.uniform(0.8, 1.2, (CHANNELS, degree + 1)))
    x = data_in(-3, 2.5)
    out, method = written(rows, x)
    # Squares of at most MOST_GROWTH cancel: their rounding is 16 times that of the result, a few operations long.
    assert relative_error(out, rows, x) < 2.0**-53 * MOST_GROWTH * 64
    assert out.depth() == levels and method == "exact"
    assert sum(isinstance(op, Multiply) for op in out.operations) == products


@pytest.mark.parametrize("degree", range(2, 9))
@pytest.mark.parametrize("seed", range(5))
def test_any_coefficients(degree: int, seed: int) -> None:
    """Leading coefficients that vanish in some channels, others that dominate, ranges far from 0."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(CHANNELS, degree + 1))
    rows[1, -1] = 0.0
    rows[2, -1] *= 1e-9
    rows[3, 2:] = 0.0
    rows[4] *= 1e-6
    x = data_in(-1.5, 3.0)
    out, _ = written(per_channel(rows), x)
    assert relative_error(out, per_channel(rows), x) < 1e-11
    assert out.depth() == {2: 1, 3: 2, 4: 2}.get(degree, 3)


@pytest.mark.parametrize("degree", range(2, 9))
def test_no_value_inside_is_much_larger_than_the_result(degree: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(CHANNELS, degree + 1)) * rng.uniform(0, 1, degree + 1) ** 8
        x = np.random.default_rng(seed).uniform(-1, 1, (16, SIZE))
        rows = per_channel(rows)
        out, _ = written(rows, x)
        size = np.max(np.abs(polynomial.polyval(x, rows.T, tensor=False)))
        # A polynomial of degree 8 has coefficients up to 2^7 times its size, products of parts up to as much. Degrees 4
        # and 8 are computed in multiples of a factor.
        most = max(MOST_GROWTH, 2.0**degree) / (LEAST_FACTOR if degree in (4, 8) else 1.0)
        values: dict[int, Array] = {0: x}
        for number, op in enumerate(out.operations, 1):
            values[number] = op.evaluate(values)
            if isinstance(op, Multiply):
                assert np.max(np.abs(values[number])) <= most * max(size, 1.0)


@pytest.mark.parametrize("degree", [4, 8])
@pytest.mark.parametrize("leading", [0.1, 1e-3, -1e-3, 1e-7])
def test_a_leading_coefficient_that_vanishes_takes_no_second_map_of_the_source(
    degree: int, leading: float
) -> None:
    rows = per_channel(np.tile(RELU[4][:2] + (0.3, 0.1) + (0.2,) * (degree - 3), (CHANNELS, 1)))
    rows[:PLACES, -1] = leading
    x = data_in(-1, 1)
    out, _ = written(rows, x)
    assert relative_error(out, rows, x) < 2.0**-53 / LEAST_FACTOR
    maps = [op for op in out.operations if isinstance(op, Affine) and op.input == 0]
    assert len(maps) == (1 if abs(leading) > 1e-4 else 2)
    assert out.depth() == {4: 2, 8: 3}[degree]


@pytest.mark.parametrize("leading", [0.0, 1e-9])
def test_a_channel_that_is_a_line_among_parabolas_multiplies_no_noise(leading: float) -> None:
    rows = per_channel(np.tile([0.3, 0.5, 0.4], (CHANNELS, 1)))
    rows[:PLACES, 2] = leading
    x = data_in(-1, 1)
    out, _ = written(rows, x)
    assert out.depth() == 1 and relative_error(out, rows, x) < 1e-12
    # The map of u and the one behind the square: a factor of the noise, which is of one size for all values.
    factors = [np.max(np.abs(op.matrix.data)) for op in out.operations if isinstance(op, Affine)]
    assert max(factors) < MOST_GROWTH


@pytest.mark.parametrize(("degree", "depth"), [(4, 2), (8, 3), (7, 3), (15, 4), (31, 5)])
def test_one_polynomial_for_all_takes_the_fewest_levels(degree: int, depth: int) -> None:
    # exp is close to its Taylor polynomial, whose coefficients all count.
    row = 1 / np.cumprod([1.0, *np.arange(1.0, degree + 1)])
    rows = np.broadcast_to(row, (SIZE, degree + 1)).copy()
    x = data_in(-6, 6)
    out, _ = written(rows, x)
    assert out.depth() == depth
    assert relative_error(out, rows, x) < 1e-12
    assert any(isinstance(op, Chebyshev) for op in out.operations) == (degree not in (4, 8))


def test_lower_degrees_than_written_and_lines_take_no_more_than_they_need() -> None:
    x = data_in(-2, 2)
    rows = np.zeros((SIZE, 9))
    rows[:, 1] = np.arange(SIZE)
    out, _ = written(rows, x)
    assert [type(op) for op in out.operations] == [Affine]
    np.testing.assert_allclose(out.run(x), x * np.arange(SIZE), atol=1e-12)
    rows[:, 2] = 1.0
    assert written(rows, x)[0].depth() == 1


def test_the_range_in_training_is_part_of_the_domain() -> None:
    x = data_in(-1, 1)
    rows = per_channel(np.ones((CHANNELS, 3)))
    trained = ElementRange(np.full(SIZE, -5.0), np.full(SIZE, 0.5))
    everywhere = Interval(np.full(SIZE, -np.inf), np.full(SIZE, np.inf))
    alone, both = (domain_of(activation(rows, seen), x, everywhere) for seen in (None, trained))
    np.testing.assert_array_equal(both.low, -5.0)
    np.testing.assert_array_equal(both.high, alone.high)
