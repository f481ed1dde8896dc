"""The stored series of the modular reduction is the fit that its docstring describes."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev

from hetorch.engine.bootstrapping import COSINE_16
from hetorch.params.bootstrap_set import MESSAGE_RATIO
from hetorch.params.bootstrap_sizes import REDUCTION_DEPTH

POINTS = 40


def points() -> tuple[np.ndarray, np.ndarray]:
    """Return the integers I and the points u = y - 1/4 around each, (33, 40)."""
    integers = np.arange(-COSINE_16.multiples, COSINE_16.multiples + 1)
    nodes = np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS) * COSINE_16.margin
    return integers, integers[:, None] + nodes - 0.25


def test_coefficients_are_the_fit() -> None:
    integers, u = points()
    weights = np.repeat(2.0 ** (-1.5 * np.maximum(0, np.abs(integers - 0.25) - 8)), POINTS)
    w = 2 * (u.ravel() / COSINE_16.range) ** 2 - 1
    target = COSINE_16.amplitude * np.cos(2 * np.pi * u.ravel() / 2**COSINE_16.doublings)
    basis = chebyshev.chebvander(w, len(COSINE_16.coefficients) - 1)
    fit, *_ = np.linalg.lstsq(basis * weights[:, None], target * weights, rcond=None)
    # The fit's condition is about 2^10, so its own coefficients are good to about 2^-42.
    np.testing.assert_allclose(COSINE_16.coefficients, fit, atol=2.0**-40, rtol=0)


def test_error_after_the_doublings() -> None:
    integers, u = points()
    z = chebyshev.chebval(2 * (u / COSINE_16.range) ** 2 - 1, np.array(COSINE_16.coefficients))
    amplitude = COSINE_16.amplitude
    for _ in range(COSINE_16.doublings):
        amplitude *= amplitude
        z = 2 * z * z - amplitude
    error = np.abs(z - np.sin(2 * np.pi * (u + 0.25)) / (2 * np.pi)).max(axis=1)
    assert error[np.abs(integers) <= 8].max() < 2.0**-35
    assert error.max() < 2.0**-24
    assert abs(amplitude - 1 / (2 * np.pi)) < 2.0**-50


def test_depth_and_margin() -> None:
    degree = len(COSINE_16.coefficients) - 1
    assert 1 + degree.bit_length() + COSINE_16.doublings == REDUCTION_DEPTH
    assert COSINE_16.margin >= 1 / MESSAGE_RATIO
