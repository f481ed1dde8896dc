"""Chebyshev series by weighted least squares on the observed distribution of the values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.activations.polynomial_growth import LEAST_REACH, reach_of

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

EVEN_WEIGHT = 0.1
"""Share of the least-squares weight that lies evenly on the range. More of it lowers the error where few values lie,
and raises it where most do."""
GRID = 512
"""Number of points that carry the even weight."""
SAMPLES = 8192
"""Largest number of calibration values used in one fit; more take longer."""
NEGLIGIBLE = 1e-9
"""Leading coefficients below this share of the largest one are dropped: they are far below any encryption noise."""


def on_unit_range(function: Function, centre: float | Array, half: float | Array) -> Function:
    """Return `function` at centre + half * t as a function of t."""
    return lambda t: function(t * half + centre)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesProblem:
    """The normal equations of a Chebyshev series on [-1, 1]: of the data alone, and evenly on the range.

    Each Gram matrix is (degree + 1, degree + 1) and each right side (degree + 1,), for weights whose sum is 1.
    """

    data_gram: Array
    data_right: Array
    even_gram: Array
    even_right: Array

    def solution(self, even: float) -> Array:
        """Return the coefficients with the share `even` of the weight evenly on the range.

        Leading coefficients that are negligible are left out.
        """
        gram = (1 - even) * self.data_gram + even * self.even_gram
        right = (1 - even) * self.data_right + even * self.even_right
        solution = np.asarray(np.linalg.solve(gram, right))
        kept = np.flatnonzero(np.abs(solution) > NEGLIGIBLE * max(float(np.max(np.abs(solution))), 1e-300))
        return solution[: (int(kept[-1]) if kept.size else 0) + 1]


def series_problem(function: Function, data: Array, degree: int) -> SeriesProblem:
    """Return the least-squares problem of a series.

    Args:
        function: maps arrays to arrays of the same shape.
        data: values in [-1, 1], of any shape; their distribution is the weight.
        degree: of the series, at most.
    """
    flat = data.reshape(-1)
    # Every n-th value: deterministic, and calibration batches have no order.
    points = flat[:: max(1, -(-flat.size // SAMPLES))]
    grams: list[Array] = []
    for x in (points, np.linspace(-1.0, 1.0, GRID)):
        basis = chebyshev.chebvander(x, degree)
        grams += [basis.T @ basis / x.size, basis.T @ function(x) / x.size]
    return SeriesProblem(*grams)


def fit_series(function: Function, data: Array, degree: int, even: float = EVEN_WEIGHT) -> Array:
    """Return the Chebyshev coefficients on [-1, 1] that are nearest to a function by least squares.

    Args:
        function: maps arrays to arrays of the same shape.
        data: values in [-1, 1], of any shape; their distribution is the weight.
        degree: of the series, at most.
        even: share of the weight that lies evenly on [-1, 1] instead.

    Returns:
        At most degree + 1 coefficients; leading ones that are negligible are left out.
    """
    return series_problem(function, data, degree).solution(even)


def fit_bounded_series(function: Function, data: Array, degree: int) -> tuple[Array, float]:
    """Return a fit that keeps within TAIL_GROWTH up to LEAST_REACH, with as little even weight as that takes.

    Degrees from 31 on grow too fast beside a kink for any weight. Their fit then covers LEAST_REACH itself, if the
    function is finite there.

    Returns:
        The coefficients, and the factor by which the range that their [-1, 1] stands for is wider than that of `data`:
        1.0 or LEAST_REACH.
    """
    even = EVEN_WEIGHT
    problem = series_problem(function, data, degree)
    while even <= 1:
        coefficients = problem.solution(even)
        if reach_of(coefficients) >= LEAST_REACH:
            return coefficients, 1.0
        even = min(1.0, even * 2) if even < 1 else math.inf
    with np.errstate(all="ignore"):
        beside = function(np.linspace(-LEAST_REACH, LEAST_REACH, GRID))
    stretch = LEAST_REACH if np.all(np.isfinite(beside)) else 1.0
    return fit_series(lambda t: function(t * stretch), data / stretch, degree), stretch
