"""Chebyshev series by weighted least squares on the observed distribution of the values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.activations.polynomial_growth import LEAST_REACH, reaches

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Function = Callable[[Array], Array]

EVEN_WEIGHT = 0.02
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

    The unknowns are the coefficients of T_i for each i in `terms`, (count,); the others are 0. Each Gram matrix is
    (count, count) and each right side (count,), for weights whose sum is 1.
    """

    terms: Indices
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
        solution = np.zeros(int(self.terms[-1]) + 1)
        solution[self.terms] = np.linalg.solve(gram, right)
        kept = np.flatnonzero(np.abs(solution) > NEGLIGIBLE * max(float(np.max(np.abs(solution))), 1e-300))
        return solution[: (int(kept[-1]) if kept.size else 0) + 1]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesMoments:
    """Weighted sums over points, from which the problems of all degrees up to `degree` follow.

    `data` and `even`: (the sums of T_0, T_1, ... T_(2 degree), those of the function times T_0, ... T_degree), over the
    data and evenly on the range.
    """

    degree: int
    data: tuple[Array, Array]
    even: tuple[Array, Array]

    def problem(self, degree: int, *, line_plus_even: bool = False) -> SeriesProblem:
        """Return the least-squares problem of a series of `degree`; with `line_plus_even`, it has no odd terms but
        T_1."""
        numbers = np.arange(degree + 1)
        terms = numbers[(numbers % 2 == 0) | (numbers == 1)] if line_plus_even else numbers
        sums, differences = np.add.outer(terms, terms), np.abs(np.subtract.outer(terms, terms))
        # T_i T_j = (T_(i+j) + T_|i-j|) / 2 (Mason, Handscomb, "Chebyshev Polynomials", 2002, section 2.4).
        parts = [
            part
            for moments, products in (self.data, self.even)
            for part in ((moments[sums] + moments[differences]) / 2, products[terms])
        ]
        return SeriesProblem(terms, *parts)


def series_moments(
    function: Function, data: Array, degree: int, *, weight: Array | None = None
) -> SeriesMoments:
    """Return the sums from which series of at most `degree` are fitted.

    Args:
        function: maps arrays to arrays of the same shape.
        data: values in [-1, 1], of any shape; their distribution is the weight.
        degree: of the series, at most.
        weight: of the square of each error, of a shape that broadcasts to that of `data`; equal ones if left out.
    """
    flat = data.reshape(-1)
    # Every n-th value: deterministic, and calibration batches have no order.
    some = slice(None, None, max(1, -(-flat.size // SAMPLES)))
    points = flat[some]
    shares = np.ones(points.size) if weight is None else np.broadcast_to(weight, data.shape).reshape(-1)[some]
    shares = shares / np.sum(shares)
    sums: list[tuple[Array, Array]] = []
    for x, share in ((points, shares), (np.linspace(-1.0, 1.0, GRID), np.full(GRID, 1 / GRID))):
        basis = chebyshev.chebvander(x, 2 * degree)
        # einsum adds in one order, whatever the number of threads, so that plans have the same bytes.
        moments = np.einsum("n,nk->k", share, basis)
        sums.append((moments, np.einsum("n,nk->k", share * function(x), basis[:, : degree + 1])))
    return SeriesMoments(degree, *sums)


def fit_series(
    function: Function, data: Array, degree: int, even: float = EVEN_WEIGHT, *, line_plus_even: bool = False
) -> Array:
    """Return the Chebyshev coefficients on [-1, 1] that are nearest to a function by least squares.

    Args:
        function: maps arrays to arrays of the same shape.
        data: values in [-1, 1], of any shape; their distribution is the weight.
        degree: of the series, at most.
        even: share of the weight that lies evenly on [-1, 1] instead.
        line_plus_even: leave out the odd terms but T_1.

    Returns:
        At most degree + 1 coefficients; leading ones that are negligible are left out.
    """
    return (
        series_moments(function, data, degree).problem(degree, line_plus_even=line_plus_even).solution(even)
    )


def fit_bounded_series(
    function: Function,
    data: Array,
    degree: int,
    *,
    line_plus_even: bool = False,
    weight: Array | None = None,
    known: dict[float, SeriesMoments] | None = None,
) -> tuple[Array, float]:
    """Return a fit that keeps within TAIL_GROWTH up to LEAST_REACH, with as little even weight as that takes.

    Degrees from 31 on grow too fast beside a kink for any weight. Their fit then covers LEAST_REACH itself, if the
    function is finite there.

    Args:
        function: as for fit_series.
        data: as for fit_series.
        degree: as for fit_series.
        line_plus_even: as for fit_series.
        weight: as for series_moments.
        known: the moments that earlier fits of the same function and data have found, by stretch; those that this one
            finds are added. A fit of lower degree than an earlier one takes little time.

    Returns:
        The coefficients, and the factor by which the range that their [-1, 1] stands for is wider than that of `data`:
        1.0 or LEAST_REACH.
    """
    found = {} if known is None else known

    def problem(stretch: float) -> SeriesProblem:
        if stretch not in found or found[stretch].degree < degree:
            found[stretch] = series_moments(
                lambda t: function(t * stretch), data / stretch, degree, weight=weight
            )
        return found[stretch].problem(degree, line_plus_even=line_plus_even)

    even, whole = EVEN_WEIGHT, problem(1.0)
    while even <= 1:
        coefficients = whole.solution(even)
        if reaches(coefficients, LEAST_REACH):
            return coefficients, 1.0
        even = min(1.0, even * 2) if even < 1 else math.inf
    with np.errstate(all="ignore"):
        beside = function(np.linspace(-LEAST_REACH, LEAST_REACH, GRID))
    stretch = LEAST_REACH if np.all(np.isfinite(beside)) else 1.0
    return problem(stretch).solution(EVEN_WEIGHT), stretch
