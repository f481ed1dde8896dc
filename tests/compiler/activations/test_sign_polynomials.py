from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.compiler.activations.sign_polynomials import minimax, sign_polynomials
from hetorch.errors import PlanError


@pytest.mark.parametrize(("start", "degree"), [(0.5, 3), (0.1, 7), (0.02, 15), (0.2, 15)])
def test_the_error_alternates(start: float, degree: int) -> None:
    """Chebyshev's theorem: a polynomial of (degree + 1) / 2 odd terms is the best if and only if its error takes its
    largest size with changing signs at one place more."""
    coefficients, error = minimax(start, degree)
    assert not np.any(coefficients[::2])
    grid = np.linspace(start, 1.0, 20001)
    difference = chebyshev.chebval(grid, coefficients) - 1.0
    assert np.max(np.abs(difference)) == pytest.approx(error, rel=1e-3)
    large = difference[np.abs(difference) > 0.97 * error]
    turns = 1 + int(np.sum(np.diff(np.sign(large)) != 0))
    assert turns >= (degree + 1) // 2 + 1


@pytest.mark.parametrize("bits", [4, 7, 10])
def test_compositions_reach_what_is_asked(bits: int) -> None:
    blind = error = 2.0**-bits
    polynomials = sign_polynomials(blind, error)
    x = np.concatenate([np.geomspace(blind, 1.0, 5001), np.linspace(0, blind, 1001)])
    y = x
    for coefficients in polynomials:
        # Every input of the next one lies in [-1, 1], where the engine's polynomials are defined.
        assert np.max(np.abs(y)) <= 1 + 1e-9
        y = np.asarray(chebyshev.chebval(y, coefficients))
    assert np.max(np.abs(y[:5001] - 1)) <= error * (1 + 1e-6)
    assert np.max(y) <= 1 + error * (1 + 1e-6) and np.min(y) >= -error


def test_more_precision_takes_more_depth() -> None:
    depths = [
        sum((len(c) - 1).bit_length() for c in sign_polynomials(2.0**-bits, 2.0**-bits)) for bits in (3, 6, 9)
    ]
    assert depths == sorted(depths) and depths[0] < depths[-1] <= 14


def test_out_of_reach() -> None:
    with pytest.raises(PlanError, match="less precision"):
        sign_polynomials(2.0**-40, 2.0**-20)
