"""The sign of a number as a composition of minimax polynomials: each maps [-1, -a] and [a, 1] closer to -1 and 1.

Lee, Lee, No and Kim, "Minimax approximation of sign function by composite polynomial for homomorphic comparison" (IEEE
TDSC 2022). The polynomials are found by linear programming on a grid, their degrees by dynamic programming over the
depth.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import optimize

from hetorch.errors import InfeasibleError

Array = NDArray[np.float64]
Coefficients = tuple[float, ...]

DEGREES = (3, 7, 15, 31)
"""Degrees of a polynomial of the composition: the largest odd ones of depth 2 to 5."""
MOST_DEPTH = 24
"""Largest depth of a composition that is tried."""
POINTS = 300
"""Number of points of each grid of the linear programme; more find the error more exactly."""
DENSE = 20 * POINTS
"""Number of points at which the error and the largest value of a polynomial are taken."""


@dataclass(frozen=True, slots=True)
class Composition:
    """Polynomials, the first one applied first, that map blind <= |x| <= 1 to [start, 1] and its mirror image."""

    start: float
    polynomials: tuple[Coefficients, ...]


def sign_polynomials(blind: float, error: float) -> tuple[Coefficients, ...]:
    """Return the polynomials of least depth whose composition is the sign.

    It is within `error` of sign(x) for blind <= |x| <= 1, and at most 1 + error everywhere in [-1, 1]. InfeasibleError
    beyond depth MOST_DEPTH.
    """
    best: dict[int, Composition] = {0: Composition(blind, ())}
    for depth in range(2, MOST_DEPTH + 1):
        finished: tuple[float, tuple[Coefficients, ...]] | None = None
        for degree in DEGREES:
            before = best.get(depth - degree.bit_length())
            if before is None:
                continue
            coefficients, gap = minimax(round(before.start, 12), degree)
            if gap >= 1:
                continue
            if gap <= error and (finished is None or gap < finished[0]):
                finished = (gap, (*before.polynomials, coefficients))
            longer = _extended(before, coefficients, gap)
            if depth not in best or longer.start > best[depth].start:
                best[depth] = longer
        if finished is not None:
            return finished[1]
    raise InfeasibleError(
        f"the sign to {error:g}, blind below {blind:g}, takes more than {MOST_DEPTH} levels; ask for less precision "
        "(a larger activation_precision=)"
    )


def _extended(before: Composition, coefficients: Coefficients, gap: float) -> Composition:
    """Return the composition with one polynomial more, which is scaled so that its results lie in [-1, 1]. It maps
    [before.start, 1] to within `gap` of 1."""
    # Peaks lie close together in [start, 1], the closer the nearer to its ends.
    inside = (np.cos(np.linspace(np.pi, 0, DENSE)) + 1) / 2
    grid = np.concatenate([np.linspace(0, 1, 4001), before.start + (1 - before.start) * inside])
    # A peak between two points of the grid is higher by less than the last factor.
    largest = float(np.max(np.abs(chebyshev.chebval(grid, coefficients)))) * (1 + 1e-6)
    return Composition((1 - gap) / largest, (*before.polynomials, tuple(c / largest for c in coefficients)))


@functools.lru_cache(maxsize=512)
def minimax(start: float, degree: int) -> tuple[Coefficients, float]:
    """Return the Chebyshev coefficients of the odd polynomial of `degree` that is nearest to 1 on [start, 1], and its
    largest error there. A function of its arguments alone: the cache saves time and keeps no state."""
    # Points are dense at both ends, where the error swings.
    angle = np.cos(np.linspace(np.pi, 0, POINTS))
    points = start + (1 - start) * (angle + 1) / 2
    points = np.unique(np.concatenate([points, np.geomspace(start, 1.0, POINTS)]))
    orders = np.arange(1, degree + 1, 2)
    basis = np.cos(np.outer(np.arccos(points), orders))
    # Unknowns: the odd coefficients, and the error e with |p(x) - 1| <= e at each point.
    ones = np.ones((len(points), 1))
    rows = np.block([[basis, -ones], [-basis, -ones]])
    right = np.concatenate([np.ones(len(points)), -np.ones(len(points))])
    goal = np.zeros(len(orders) + 1)
    goal[-1] = 1.0
    solution = optimize.linprog(goal, rows, right, bounds=[(None, None)] * len(orders) + [(0, None)])
    if solution.status != 0 or solution.x is None:
        raise InfeasibleError(f"no polynomial of degree {degree} for the sign was found: {solution.message}")
    coefficients = np.zeros(degree + 1)
    coefficients[1::2] = solution.x[:-1]
    dense = np.linspace(start, 1.0, DENSE)
    error = float(np.max(np.abs(chebyshev.chebval(dense, coefficients) - 1.0)))
    return tuple(float(c) for c in coefficients), error
