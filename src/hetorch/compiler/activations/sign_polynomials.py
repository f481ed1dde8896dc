"""The sign of a number as a composition of minimax polynomials: each maps [-1, -a] and [a, 1] closer to -1 and 1.

Lee, Lee, No and Kim, "Minimax approximation of sign function by composite polynomial for homomorphic comparison" (IEEE
TDSC 2022). The polynomials are found by linear programming on a grid, the degrees by dynamic programming over the
depth.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import optimize

from hetorch.errors import PlanError

Array = NDArray[np.float64]

DEGREES = (3, 7, 15, 31)
MOST_DEPTH = 24
POINTS = 300


@functools.lru_cache(maxsize=512)
def minimax(start: float, degree: int) -> tuple[tuple[float, ...], float]:
    """Chebyshev coefficients of the odd polynomial of `degree` that is nearest to 1 on [start, 1], and its largest
    error there. A function of its arguments alone: the cache saves time and keeps no state."""
    # Points are dense at both ends, where the error swings.
    angle = np.cos(np.linspace(np.pi, 0, POINTS))
    points = start + (1 - start) * (angle + 1) / 2
    points = np.unique(np.concatenate([points, np.geomspace(start, 1.0, POINTS)]))
    orders = np.arange(1, degree + 1, 2)
    basis = np.cos(np.outer(np.arccos(points), orders))
    ones = np.ones((len(points), 1))
    rows = np.block([[basis, -ones], [-basis, -ones]])
    right = np.concatenate([np.ones(len(points)), -np.ones(len(points))])
    goal = np.zeros(len(orders) + 1)
    goal[-1] = 1.0
    found = optimize.linprog(goal, rows, right, bounds=[(None, None)] * len(orders) + [(0, None)])
    if found.status != 0 or found.x is None:
        raise PlanError(f"no polynomial of degree {degree} for the sign was found: {found.message}")
    coefficients = np.zeros(degree + 1)
    coefficients[1::2] = found.x[:-1]
    dense = np.linspace(start, 1.0, 20 * POINTS)
    error = float(np.max(np.abs(chebyshev.chebval(dense, coefficients) - 1.0)))
    return tuple(float(c) for c in coefficients), error


def sign_polynomials(blind: float, error: float) -> tuple[tuple[float, ...], ...]:
    """Polynomials p_1, p_2, ... of which the composition is within `error` of sign(x) for blind <= |x| <= 1, and at
    most 1 + error everywhere in [-1, 1], with the least depth. PlanError beyond depth MOST_DEPTH."""
    # For each depth the composition that leaves the smallest gap: (start of the next interval, polynomials, error).
    best: dict[int, tuple[float, tuple[tuple[float, ...], ...]]] = {0: (blind, ())}
    for depth in range(2, MOST_DEPTH + 1):
        last: tuple[float, tuple[tuple[float, ...], ...]] | None = None
        for degree in DEGREES:
            before = best.get(depth - degree.bit_length())
            if before is None:
                continue
            coefficients, gap = minimax(round(before[0], 12), degree)
            if gap >= 1:
                continue
            if gap <= error and (last is None or gap < last[0]):
                last = (gap, (*before[1], coefficients))
            # Peaks lie close together in [start, 1], the closer the nearer to its ends.
            inside = (np.cos(np.linspace(np.pi, 0, 20 * POINTS)) + 1) / 2
            grid = np.concatenate([np.linspace(0, 1, 4001), before[0] + (1 - before[0]) * inside])
            largest = float(np.max(np.abs(chebyshev.chebval(grid, coefficients)))) * (1 + 1e-6)
            scaled = tuple(c / largest for c in coefficients)
            start = (1 - gap) / largest
            if depth not in best or start > best[depth][0]:
                best[depth] = (start, (*before[1], scaled))
        if last is not None:
            return last[1]
    raise PlanError(
        f"the sign to {error:g}, blind below {blind:g}, takes more than {MOST_DEPTH} levels; ask for less precision "
        "(a larger activation_precision=)"
    )
