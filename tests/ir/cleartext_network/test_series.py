from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.ir.cleartext_network.series import BLOCK, SplitSeries


@pytest.mark.parametrize("degree", [1, 2, 3, 5, 8, 13, 14, 15, 27, 31, 59, 63, 127, 255])
@pytest.mark.parametrize("kind", ["whole", "even and linear", "odd", "even"])
def test_a_series_is_numpys(degree: int, kind: str) -> None:
    numbers = np.random.default_rng(degree)
    coefficients = numbers.normal(size=degree + 1)
    if kind == "odd":
        coefficients[0::2] = 0.0
    elif kind != "whole":
        coefficients[1 if kind == "even" else 3 :: 2] = 0.0
    x = numbers.uniform(-1, 1, (3, BLOCK // 2))  # the last block is not full
    expected = chebyshev.chebval(x, coefficients)
    # In powers of w and v the coefficients grow as those of Chebyshev polynomials, (1 + sqrt(2))^n.
    series = SplitSeries.of(tuple(coefficients))
    giants, babies = (1, 1) if series.whole.factors is None else series.whole.factors.shape
    growth = 4 * degree * (1 + np.sqrt(2)) ** (giants + babies - 2)
    bound = growth * np.finfo(float).eps * np.abs(coefficients).sum()
    assert series.halved == (kind.startswith("even") or degree < 3)
    assert np.abs(series.evaluate(x) - expected).max() <= bound


def test_a_series_grows_outside_the_range_as_numpys() -> None:
    coefficients = tuple(np.random.default_rng(1).normal(size=40))
    x = np.array([-1.3, 1.05, 1.2])
    np.testing.assert_allclose(
        SplitSeries.of(coefficients).evaluate(x), chebyshev.chebval(x, coefficients), rtol=1e-9
    )


def test_a_constant_series() -> None:
    assert np.array_equal(SplitSeries.of((2.5, 0.0)).evaluate(np.zeros((2, 3))), np.full((2, 3), 2.5))
