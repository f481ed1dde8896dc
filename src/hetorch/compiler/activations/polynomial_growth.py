"""How far beyond its range a polynomial can be used before its values explode."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Array = NDArray[np.float64]

TAIL_GROWTH = 8.0
"""Largest value that a polynomial may take beside its range, as a multiple of its largest value in the range. Outputs
have that much room before they wrap around the last modulus and spoil all slots of their ciphertext; a larger value
needs more room in q_0."""
MOST_REACH = 64.0
"""Distance from the centre, in half ranges, up to which the growth of a polynomial is looked at."""
LEAST_REACH = 1.1
"""Distance from the centre, in half ranges, up to which every polynomial must keep within TAIL_GROWTH. Fits that do not
get more even weight and, if that is not enough, a wider range; a larger value costs precision."""
GRID = 512
"""Number of points at which the largest value in the range is taken."""
BISECTIONS = 50
"""Number of halvings that find the reach; enough for all bits of a float."""


def reach_of(coefficients: Sequence[float] | Array) -> float:
    """Return the largest r up to MOST_REACH with |p(t)| <= TAIL_GROWTH * max over [-1, 1] of |p| for all |t| <= r.

    `coefficients` are of the Chebyshev series p; of a matrix each row is one, and the least r of all is returned. For
    |t| = r >= 1, |T_k(t)| = cosh(k arcosh r), and so |p(t)| is at most sum |c_k| cosh(k arcosh r), which grows with r.
    """
    growth = _Growth(coefficients)
    if not growth.reaches(1.0):
        return 1.0
    if growth.reaches(MOST_REACH):
        return MOST_REACH
    low, high = 1.0, MOST_REACH
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if growth.reaches(middle) else (low, middle)
    return low


def reaches(coefficients: Sequence[float] | Array, r: float) -> bool:
    """Return whether reach_of is `r` or more, in less time."""
    return _Growth(coefficients).reaches(r)


class _Growth:
    """The sizes of the coefficients of each row, and the largest value that it may take."""

    def __init__(self, coefficients: Sequence[float] | Array) -> None:
        rows = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
        self.sizes = np.abs(rows)
        values = np.abs(chebyshev.chebval(np.linspace(-1, 1, GRID), rows.T))
        self.most = TAIL_GROWTH * np.max(values, axis=1)

    def reaches(self, r: float) -> bool:
        sums = self.sizes @ np.cosh(np.arange(self.sizes.shape[1]) * math.acosh(r))
        return bool(np.all(sums <= self.most))
