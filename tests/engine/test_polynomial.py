"""The schedule of a polynomial: its depth and structure, and the core's evaluation held equal to it, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.native import Ciphertext
from hetorch.engine.polynomial import ChebyshevSchedule, Series, chebyshev_schedule, polynomial_depth
from hetorch.errors import ParameterError
from tests.engine.conftest import Owner
from tests.interop.seal_bridge import rows_of

KINDS = ("dense", "even", "odd", "sparse", "short")


def series(degree: int, kind: str) -> list[float]:
    draw = np.random.default_rng(degree)
    c = draw.uniform(-1, 1, degree + 1)
    if kind == "even":
        c[1::2] = 0
    elif kind == "odd":
        c[0::2] = 0
    elif kind == "sparse":
        c[draw.uniform(0, 1, degree + 1) < 0.7] = 0
    elif kind == "short":
        c[degree // 2 + 1 :] = 0
    return [float(x) for x in c]


class Steps:
    """A schedule executed one elementary operation of the core after the other."""

    def __init__(self, owner: Owner, x: Ciphertext, schedule: ChebyshevSchedule) -> None:
        self.parameters = owner.parameters
        self.context = core_context(owner.parameters)
        self.core = _native.Evaluator(self.context, owner.keys)
        self.basis = {1: x}
        self.products: list[int] = []
        for step in schedule.basis:
            product = self.times(self.basis[step.left], self.basis[step.right])
            twice = self.core.add(product, product)
            if step.left == step.right:
                twice = self.plus(twice, -1.0)
            else:
                shifted = self.scaled(self.core.drop_level(x, twice.level), 1.0, twice.scale)
                twice = self.core.subtract(twice, shifted)
            made = self.core.relinearise_rescale(twice)
            assert (made.level, made.scale) == (step.level, step.scale)
            assert (schedule.levels[step.index], schedule.scales[step.index]) == (step.level, step.scale)
            self.basis[step.index] = made

    def series(self, node: Series) -> Ciphertext:
        total = node.scale * self.parameters.modulus_chain[node.level + 1]
        parts = []
        for product in node.products:
            giant = self.basis[product.giant]
            if isinstance(product.factor, Series):
                parts.append(self.times(self.series(product.factor), giant))
            else:
                parts.append(self.scaled(self.core.drop_level(giant, node.level + 1), product.factor, total))
        for i, factor in node.terms:
            parts.append(self.scaled(self.core.drop_level(self.basis[i], node.level + 1), factor, total))
        whole = parts[0]
        for part in parts[1:]:
            whole = self.core.add(whole, part)
        return self.core.relinearise_rescale(self.plus(self.at(whole, total), node.constant))

    def times(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        self.products.append(min(a.level, b.level))
        return self.core.multiply_raw(a, b)

    def scaled(self, a: Ciphertext, value: float, total: float) -> Ciphertext:
        """a * value at the scale `total`."""
        return self.core.multiply_plaintext(a, self.constant(value, a.level, total / a.scale))

    def plus(self, a: Ciphertext, value: float) -> Ciphertext:
        return self.core.add_plaintext(a, self.constant(value, a.level, a.scale))

    def constant(self, value: float, level: int, scale: float) -> _native.Plaintext:
        coefficients = np.zeros(self.parameters.ring_degree)
        coefficients[0] = np.rint(value * scale)
        return _native.lift(self.context, coefficients, level, scale)

    def at(self, a: Ciphertext, scale: float) -> Ciphertext:
        """The same residues with exactly this scale: products of doubles may differ in their last bit."""
        rows = _native.ciphertext_rows(a)
        return _native.ciphertext_of_rows(self.context, a.level, len(rows), scale, rows)


DEGREES = (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 23, 31, 33, 47, 63)


# A constant is no case: the core makes it without a schedule.
@pytest.mark.parametrize(
    ("degree", "kind"), [(d, k) for d in DEGREES for k in KINDS if any(series(d, k)[1:])]
)
def test_the_core_evaluates_by_the_schedule(owner: Owner, degree: int, kind: str) -> None:
    c, chain = series(degree, kind), owner.parameters.modulus_chain
    depth = polynomial_depth(degree)
    # With and without a level to spare: the levels decide which series are summed from the basis.
    for level in {depth, min(depth + 1, owner.parameters.max_level)}:
        scale, output_scale = 2.0 ** round(math.log2(chain[-1])) * 1.01, 2.0**33
        a = owner.encrypt(owner.values(seed=degree), level, scale)
        schedule = chebyshev_schedule(
            c, level=level, input_scale=scale, output_scale=output_scale, modulus_chain=chain
        )
        steps = Steps(owner, a, schedule)
        expected = steps.series(schedule.series)
        made = owner.engine.polynomial(a, c, output_scale=output_scale)
        assert (made.level, made.scale) == (schedule.series.level, schedule.series.scale)
        assert made.level == expected.level == level - depth
        np.testing.assert_array_equal(rows_of(made), rows_of(expected))
        assert sorted(steps.products) == sorted(level for level, _ in schedule.multiplications())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", range(1, 64))
def test_a_schedule_is_the_series(degree: int, kind: str) -> None:
    """In numbers, against numpy; every level and scale follows from those that it is made of."""
    c, x = series(degree, kind), np.linspace(-1, 1, 41)
    depth, level = polynomial_depth(degree), 7
    chain = [2.0**40 + 8192 * k for k in range(8)]
    schedule = chebyshev_schedule(
        c, level=level, input_scale=2.0**41, output_scale=2.0**39, modulus_chain=chain
    )
    basis = {0: np.ones_like(x), 1: x}
    for step in schedule.basis:
        assert step.left - step.right in (0, 1) and step.left + step.right == step.index
        basis[step.index] = 2 * basis[step.left] * basis[step.right] - basis[step.left - step.right]
        assert step.level == min(schedule.levels[step.left], schedule.levels[step.right]) - 1
        product = schedule.scales[step.left] * schedule.scales[step.right]
        assert step.scale == product / chain[step.level + 1]

    def value(node: Series) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        total = np.full_like(x, node.constant)
        for product in node.products:
            assert schedule.levels[product.giant] > node.level
            factor = product.factor
            if isinstance(factor, Series):
                assert factor.level == node.level + 1
                scale = factor.scale * schedule.scales[product.giant]
                assert scale == pytest.approx(node.scale * chain[node.level + 1], rel=1e-15)
            total = total + basis[product.giant] * (value(factor) if isinstance(factor, Series) else factor)
        for i, factor in node.terms:
            assert schedule.levels[i] > node.level and factor != 0
            total = total + factor * basis[i]
        return total

    assert (schedule.series.level, schedule.series.scale) == (level - depth, 2.0**39)
    np.testing.assert_allclose(value(schedule.series), chebyshev.chebval(x, c), rtol=0, atol=1e-12)
    # Paterson-Stockmeyer: about twice the square root of the degree, and the doublings.
    assert len(schedule.multiplications()) <= 2 * math.sqrt(degree) + depth


def test_a_constant_has_no_steps() -> None:
    schedule = chebyshev_schedule(
        [0.5, 0.0, 0.0], level=2, input_scale=1.0, output_scale=1.0, modulus_chain=[1.0] * 3
    )
    assert schedule.basis == () and schedule.multiplications() == ()
    assert schedule.series == Series((0.5,), 0, 1.0, (), (), 0.5)


def test_depths() -> None:
    assert [polynomial_depth(degree) for degree in (1, 2, 3, 4, 7, 8, 63, 64)] == [1, 2, 2, 3, 3, 4, 6, 7]
    with pytest.raises(ParameterError, match="degree >= 1"):
        polynomial_depth(0)
    with pytest.raises(ParameterError, match="uses 3 levels cannot start at level 2"):
        chebyshev_schedule([1.0] * 8, level=2, input_scale=1.0, output_scale=1.0, modulus_chain=[1.0] * 3)
