"""Chebyshev series at many points, in blocks that stay in the cache and with few passes over the numbers.

A series in w is evaluated by baby and giant steps, as sum_j q_j(w) v^j with v = T_m(w), where one matrix product gives
all q_j, of degrees below m, from the powers of w. Powers of few numbers only are mixed, so that little is cancelled.

A series that is even but for its linear term, as ReLU's is on a symmetric range, is E(u) + a x with u = T_2(x), since
T_2k(x) = T_k(u): half the degree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK = 8192
"""Numbers that are evaluated together, 64 KB. Raised, fewer calls of numpy, whose operands leave the cache."""
SHORT = 8
"""Number of coefficients up to which Clenshaw's recurrence is as fast as baby and giant steps."""
FEW_BABIES, MANY_BABIES, MANY = 4, 8, 32
"""The degree m of v, a power of 2, for series of up to and of more than MANY coefficients. Raised, there are fewer
giant steps, and larger factors cancel."""
GIANTS = 8
"""Largest number of giant steps by powers of v. The coefficients of T_n in powers grow as (1 + sqrt(2))^n, and rounding
errors with them: below 2^-53 * 2.42^(7 + 7) = 3e-11 of the sum of the coefficients. A longer series is evaluated by
Clenshaw's recurrence. Raised, longer ones are fast and less exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A Chebyshev series; `factors`, (giants, m), gives sum_j v^j sum_i factors[j, i] w^i, or is None."""

    coefficients: tuple[float, ...]
    factors: Array | None

    @classmethod
    def of(cls, coefficients: Array) -> Series:
        """Return the series sum_i coefficients[i] T_i(w)."""
        kept = tuple(np.trim_zeros(coefficients, "b").tolist()) or (0.0,)
        babies = FEW_BABIES if len(kept) <= MANY else MANY_BABIES
        giants = -(-len(kept) // babies)
        if len(kept) <= SHORT or giants > GIANTS:
            return cls(kept, None)
        rest = np.zeros(giants * babies)
        rest[: len(kept)] = kept
        factors = np.zeros((giants, babies))
        # T_mj+i = 2 T_mj T_i - T_mj-i, from the highest index down.
        for j in range(giants - 1, 0, -1):
            start = j * babies
            factors[j, 0] = rest[start]
            factors[j, 1:] = 2 * rest[start + 1 : start + babies]
            rest[start - babies + 1 : start] -= rest[start + 1 : start + babies][::-1]
        factors[0] = rest[:babies]
        return cls(kept, _powers(giants).T @ factors @ _powers(babies))

    def evaluate(self, w: Array) -> Array | float:
        """Return the series at the points `w`, (count,)."""
        if self.factors is None:
            return _clenshaw(w, self.coefficients)
        babies = self.factors.shape[1]
        basis = np.empty((babies, len(w)))
        basis[0], basis[1] = 1.0, w
        for i in range(2, babies):
            np.multiply(basis[i // 2], basis[i - i // 2], out=basis[i])
        v = w
        for _ in range(babies.bit_length() - 1):
            v = v * v
            v *= 2.0
            v -= 1.0
        parts = self.factors @ basis
        result = parts[-1]
        for part in parts[-2::-1]:
            result *= v
            result += part
        return np.asarray(result)


def _powers(count: int) -> Array:
    """Return the matrix whose row i holds the coefficients of T_i in powers."""
    matrix = np.zeros((count, count))
    for i in range(count):
        matrix[i, : i + 1] = chebyshev.cheb2poly([0.0] * i + [1.0])
    return matrix


def _clenshaw(w: Array, coefficients: tuple[float, ...]) -> Array | float:
    """Return sum_k coefficients[k] T_k(w)."""
    if len(coefficients) == 1:
        return coefficients[0]
    twice = 2.0 * w
    newer, older = np.full_like(w, coefficients[-1]), np.zeros_like(w)
    for coefficient in coefficients[-2:0:-1]:
        # In place: the array of the value before the last one takes the next one.
        np.subtract(twice * newer, older, out=older)
        older += coefficient
        newer, older = older, newer
    result = w * newer
    result -= older
    result += coefficients[0]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class SplitSeries:
    """A Chebyshev series in x: `whole` in x itself or, if `halved`, in u = T_2(x), plus `slope` * x."""

    whole: Series
    halved: bool
    slope: float

    @classmethod
    def of(cls, coefficients: tuple[float, ...]) -> SplitSeries:
        """Return the series sum_i coefficients[i] T_i(x)."""
        series = np.asarray(coefficients, dtype=np.float64)
        if np.any(series[3::2]):
            return cls(Series.of(series), False, 0.0)
        return cls(Series.of(series[0::2]), True, float(series[1]) if len(series) > 1 else 0.0)

    def evaluate(self, x: Array) -> Array:
        """Return the series at `x`, in its shape."""
        flat = np.ascontiguousarray(x).reshape(-1)
        result = np.empty_like(flat)
        for start in range(0, len(flat), BLOCK):
            points, into = flat[start : start + BLOCK], result[start : start + BLOCK]
            if not self.halved:
                into[...] = self.whole.evaluate(points)
                continue
            u = points * points
            u *= 2.0
            u -= 1.0
            np.multiply(points, self.slope, out=into)
            into += self.whole.evaluate(u)
        return result.reshape(x.shape)
