"""Chebyshev series at many points: by halves, in blocks that stay in the cache, with few passes over the numbers.

A series is E(u) + x O(u) with u = T_2(x) = 2 x^2 - 1, since T_2k(x) = T_k(u) and 2 x T_2k(x) = T_2k+1(x) + T_|2k-1|(x).
Each half has half the degree, and a series that is even but for a linear term (ReLU's) has one half only. A long half
is evaluated by baby and giant steps: as sum_j q_j(u) T_j(v) with v = T_m(u), where q_j has a degree below m and one
matrix product gives all q_j.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK = 8192
"""Numbers that are evaluated together, 64 KB. Raised, fewer calls of numpy, whose operands leave the cache."""
SHORT = 7
"""Number of coefficients of a half up to which Clenshaw's recurrence takes fewer passes than baby and giant steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """One half, sum_j T_j(T_m(u)) sum_i factors[j, i] T_i(u); `factors` has shape (giants, m)."""

    factors: Array

    @classmethod
    def of(cls, coefficients: Array) -> Half:
        """Return the half with these coefficients in the basis T_0(u), T_1(u), ..."""
        count = len(coefficients)
        babies = 1 if count <= SHORT else round(np.sqrt(count))
        giants = -(-count // babies)
        rest = np.zeros(giants * babies)
        rest[:count] = coefficients
        factors = np.zeros((giants, babies))
        # T_mj+i = 2 T_mj T_i - T_mj-i, from the highest index down.
        for j in range(giants - 1, 0, -1):
            start = j * babies
            factors[j, 0] = rest[start]
            factors[j, 1:] = 2 * rest[start + 1 : start + babies]
            rest[start - babies + 1 : start] -= rest[start + 1 : start + babies][::-1]
        factors[0] = rest[:babies]
        return cls(factors)

    def evaluate(self, u: Array) -> Array | float:
        """Return the half at the points `u`, (count,)."""
        babies = self.factors.shape[1]
        if babies == 1:
            return _clenshaw(u, [float(c) for c in self.factors[:, 0]])
        basis = np.empty((babies, len(u)))
        basis[0], basis[1] = 1.0, u
        twice = 2 * u
        for i in range(2, babies):
            np.multiply(twice, basis[i - 1], out=basis[i])
            basis[i] -= basis[i - 2]
        v = twice * basis[babies - 1]
        v -= basis[babies - 2]
        return _clenshaw(v, list(self.factors @ basis))


def _clenshaw(u: Array, coefficients: list[float] | list[Array]) -> Array | float:
    """Return sum_k coefficients[k] T_k(u); the coefficients are numbers, or arrays like `u`."""
    if len(coefficients) == 1:
        return coefficients[0]
    twice = 2 * u
    older: Array | float = 0.0
    newer: Array | float = coefficients[-1]
    spare = np.empty_like(u)
    for k in range(len(coefficients) - 2, 0, -1):
        result = np.multiply(twice, newer, out=spare)
        result -= older
        result += coefficients[k]
        spare = older if isinstance(older, np.ndarray) and older is not coefficients[-1] else np.empty_like(u)
        older, newer = newer, result
    result = np.multiply(u, newer, out=spare)
    result -= older
    result += coefficients[0]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class SplitSeries:
    """A Chebyshev series as E(u) + x O(u)."""

    even: Half
    odd: Half

    @classmethod
    def of(cls, coefficients: tuple[float, ...]) -> SplitSeries:
        """Return the series sum_i coefficients[i] T_i(x)."""
        series = np.asarray(coefficients, dtype=np.float64)
        even, odd = series[0::2], series[1::2].copy()
        factors = np.zeros(max(len(odd), 1))
        for k in range(len(odd) - 1, 0, -1):
            factors[k] = 2 * odd[k]
            odd[k - 1] -= odd[k]
        factors[: min(len(odd), 1)] = odd[:1]
        return cls(Half.of(_trimmed(even)), Half.of(_trimmed(factors)))

    def evaluate(self, x: Array) -> Array:
        """Return the series at `x`, in its shape."""
        flat = np.ascontiguousarray(x).reshape(-1)
        result = np.empty_like(flat)
        for start in range(0, len(flat), BLOCK):
            points = flat[start : start + BLOCK]
            u = points * points
            u *= 2
            u -= 1
            into = result[start : start + BLOCK]
            np.multiply(points, self.odd.evaluate(u), out=into)
            into += self.even.evaluate(u)
        return result.reshape(x.shape)


def _trimmed(coefficients: Array) -> Array:
    return np.trim_zeros(coefficients, "b") if coefficients.any() else coefficients[:1]
