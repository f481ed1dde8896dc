"""Polynomials as squares and rests, and as quotients and remainders, element by element.

A polynomial is an array (degree + 1, size): row k has the coefficients of the power k, one for each element.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def value_of(rows: Array, x: Array) -> Array:
    """Return the polynomials with coefficients `rows` (degree + 1, size) at x (samples, size)."""
    total: Array = np.zeros_like(x) + rows[-1]
    for row in rows[-2::-1]:
        total = total * x + row
    return total


def root_of_quartic(monic: Array) -> tuple[Array, Array, Array, Array]:
    """Return b, c, r and t with v^4 + ... = (v^2 + b v + c)^2 + r v + t, from the coefficients of 1, v, v^2, ...."""
    b = monic[3] / 2
    c = (monic[2] - b * b) / 2
    return b, c, monic[1] - 2 * b * c, monic[0] - c * c


def root_of_octic(monic: Array) -> tuple[Array, Array]:
    """Return a monic quartic and a cubic with v^8 + ... = quartic^2 + cubic, as coefficients of 1, v, v^2, ...."""
    g3 = monic[7] / 2
    g2 = (monic[6] - g3 * g3) / 2
    g1 = (monic[5] - 2 * g3 * g2) / 2
    g0 = (monic[4] - 2 * g3 * g1 - g2 * g2) / 2
    rest = (g0 * g0, 2 * g0 * g1, g1 * g1 + 2 * g0 * g2, 2 * (g0 * g3 + g1 * g2))
    return np.stack([g0, g1, g2, g3, np.ones_like(g0)]), monic[:4] - np.stack(rest)


def divided(rows: Array, monic: Array) -> tuple[Array, Array]:
    """Return the quotient and the remainder of polynomials by a monic one; a row for each power."""
    rest, order = rows.copy(), len(monic) - 1
    quotient = np.zeros((len(rows) - order, rows.shape[1]))
    for power in range(len(rows) - 1, order - 1, -1):
        quotient[power - order] = rest[power]
        rest[power - order : power + 1] -= rest[power] * monic
    return quotient, np.asarray(rest[:order])
