"""Chebyshev series of degree 1 to 31 against numpy's, with an error bound carried through the evaluation on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.engine.polynomial import polynomial_depth
from tests.engine import noise
from tests.engine.conftest import Owner
from tests.engine.test_native_arithmetic import EXAMPLES
from tests.interop.seal_bridge import rows_of


class Bound:
    """Standard deviations of the evaluation of a series by T_{a+b} = 2 T_a T_b - T_{a-b} and splits at powers of two.

    |T_i| <= 1. Deviations are added, never their squares: parts of the error are correlated. A product of
    values a, b with errors E_a, E_b has |b| E_a + |a| E_b + E_a E_b and the noise of a key switch over the
    product of the scales; a rescale adds noise.division over its scale; an integer factor round(c * scale) or a
    constant is off by at most half a unit."""

    def __init__(self, owner: Owner, level: int, scale: float, depth: int) -> None:
        self.p = owner.parameters
        self.top = level
        self.baby_limit = 1 << ((depth + 1) // 2)
        self.terms = {1: (noise.fresh(self.p) / scale, scale)}

    def level(self, i: int) -> int:
        return self.top - (i - 1).bit_length()

    def term(self, i: int) -> tuple[float, float]:
        """Deviation and scale of T_i."""
        if i not in self.terms:
            a, b = i - i // 2, i // 2
            (error_a, scale_a), (error_b, scale_b) = self.term(a), self.term(b)
            level = min(self.level(a), self.level(b))
            product = scale_a * scale_b
            scale = product / self.p.modulus_chain[level]
            error = 2 * (error_a + error_b + noise.LIMIT * error_a * error_b)
            error += 2 * noise.switching(self.p, level) / product + noise.division(self.p) / scale
            error += 0.5 / product if a == b else self.terms[1][0] + self.terms[1][1] / (2 * product)
            self.terms[i] = error, scale
        return self.terms[i]

    def series(self, c: list[float], level: int, scale: float) -> float:
        while len(c) > 1 and c[-1] == 0:
            c = c[:-1]
        if len(c) == 1:
            return 0.5 / scale
        prime = self.p.modulus_chain[level + 1]
        last = noise.division(self.p) / scale
        fits = all(x == 0 or self.level(i) >= level + 1 for i, x in enumerate(c) if i)
        if (len(c) <= self.baby_limit or len(c) <= 2) and fits:
            error = 0.5 / scale + last
            for i, x in enumerate(c):
                if i and x:
                    error += abs(x) * self.term(i)[0] + self.term(i)[1] / (2 * scale * prime)
            return error
        m = 1 << (len(c) - 1).bit_length() - 1
        quotient = [c[m], *(2 * x for x in c[m + 1 :])]
        remainder = list(c[:m])
        for j, x in enumerate(c[m + 1 :], start=1):
            remainder[m - j] -= x
        giant, giant_scale = self.term(m)
        inner_scale = scale * prime / giant_scale
        inner = self.series(quotient, level + 1, inner_scale)
        size = sum(map(abs, quotient))
        switching = noise.switching(self.p, level + 1) / (scale * prime)
        return (
            inner
            + size * giant
            + noise.LIMIT * inner * giant
            + switching
            + last
            + self.series(remainder, level, scale)
        )


def scale_of(owner: Owner) -> float:
    """Near the primes that rescaling divides by, as the compiler chooses it."""
    return 2.0 ** round(math.log2(owner.parameters.modulus_chain[-1]))


def check(
    owner: Owner, coefficients: list[float], level: int, scale: float, output_scale: float, seed: int
) -> None:
    x = np.clip(owner.values(seed), -1, 1)
    x[:2] = -1.0, 1.0
    a = owner.encrypt(x, level, scale)
    before = rows_of(a)
    result = owner.engine.polynomial(a, coefficients, output_scale=output_scale)
    depth = polynomial_depth(len(coefficients) - 1)
    assert (result.level, result.scale, result.size) == (level - depth, output_scale, 2)
    np.testing.assert_array_equal(rows_of(a), before)
    # The input's error can carry x out of [-1, 1] by 1e-8: the series is a polynomial there too.
    bound = Bound(owner, level, scale, depth).series(coefficients, level - depth, output_scale)
    assert bound < 1e-2 * max(1.0, sum(map(abs, coefficients)))
    expected = np.polynomial.chebyshev.chebval(x, coefficients)
    noise.assert_error(owner.key.decrypt(result), expected, bound)


@EXAMPLES
@given(data=st.data())
def test_random_series(owner: Owner, data: st.DataObject) -> None:
    degree = data.draw(st.integers(1, 63), label="degree")
    kind = data.draw(st.sampled_from(["dense", "even", "odd", "sparse", "one term"]))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    c = generator.uniform(-1, 1, degree + 1)
    if kind == "even":
        c[1::2] = 0
    elif kind == "odd":
        c[0::2] = 0
    elif kind == "sparse":
        c[generator.uniform(0, 1, degree + 1) < 0.7] = 0
    elif kind == "one term":
        c[:degree] = 0
    depth = polynomial_depth(degree)
    level = data.draw(st.integers(depth, owner.parameters.max_level), label="level")
    # T_k stands at the k-th power of how far the scale is from the primes.
    scale = scale_of(owner) * data.draw(st.floats(0.7, 1.4) if degree < 32 else st.floats(0.84, 1.18))
    output_scale = min(scale_of(owner), 2.0**40) * data.draw(st.floats(0.25, 1.0))
    check(owner, c.tolist(), level, scale, output_scale, seed=degree)


@pytest.mark.parametrize("degree", range(1, 32))
def test_every_basis_polynomial(owner: Owner, degree: int) -> None:
    check(owner, [0.0] * degree + [1.0], 6, scale_of(owner), min(scale_of(owner), 2.0**40), degree)


@pytest.mark.parametrize("length", [2, 3, 5, 8, 32])
def test_constants(owner: Owner, length: int) -> None:
    # A series that turns out constant still takes the levels of its length: the plan counted on them.
    for constant in (0.0, -0.75):
        check(owner, [constant] + [0.0] * (length - 1), 6, scale_of(owner), 2.0**36, length)


@pytest.mark.parametrize("trailing", [1, 3, 20])
def test_trailing_zeros_keep_the_level_rule(owner: Owner, trailing: int) -> None:
    check(owner, [0.1, 0.2, 0.3, *[0.0] * trailing], 6, scale_of(owner), 2.0**36, trailing)


def test_a_smooth_function(owner: Owner) -> None:
    # The sigmoid on [-8, 8] as the compiler would approximate it: degree 15, error of the series itself aside.
    nodes = np.cos(np.pi * (np.arange(16) + 0.5) / 16)
    series = np.polynomial.chebyshev.chebfit(nodes, 1 / (1 + np.exp(-8 * nodes)), 15)
    check(owner, series.tolist(), 5, scale_of(owner), min(scale_of(owner), 2.0**40), 99)
