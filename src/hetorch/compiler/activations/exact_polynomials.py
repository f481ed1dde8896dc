"""Polynomials that stay what they are, with coefficients of their own for each element: degree 2 takes one level,
degrees 3 and 4 two, degrees 5 to 8 three.

With u = (x - centre) / half in [-1, 1], v = alpha u, y = v^2 and the sign s of the leading coefficient, the forms are

degree 2   s (v + b)^2 + c
degree 4   t (y (y + b v + c) + line)
degree 8   s ((f^2 + c v + d)^2 + cubic), f = y + a v + b

where t alpha^4, and without t alpha^degree, is the leading coefficient: alpha goes into the map before, and t, signs
and constants into the map after (passes.fuse_affine). Degree 4 has |t| = 1 unless alpha would be so small that v and y
would lose their bits to noise.

A square grows without bound where the leading coefficient vanishes beside the next ones. Beyond MOST_GROWTH the square
of degree 2 leaves out the linear term, or becomes a product where that term dominates; degree 8 becomes a sum of
products. Where t would be below LEAST_FACTOR, degrees 4 and 8 are sums of products with another map of the source for
the leading coefficient, which runs the layer before twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.polynomial_growth import LEAST_REACH, MOST_REACH, reach_of
from hetorch.compiler.activations.polynomial_parts import divided, root_of_octic, root_of_quartic, value_of
from hetorch.compiler.activations.replacement import Form, Replacement
from hetorch.compiler.options import MOST_OWN_DEGREE
from hetorch.ir.tensor_program import SIDE, Activation

Array = NDArray[np.float64]

METHOD = "exact"
"""Method of the fit of a polynomial that stays what it is."""
MOST_GROWTH = 16.0
"""Largest value of a square, in multiples of the largest value of the polynomial. The noise of a product is in
proportion to its value: a scale of log2(MOST_GROWTH) bits more makes up for it. Raised, more polynomials take the
cheaper form, and scales have more bits."""
MOST_NOISE = 8.0
"""Largest derivative of a polynomial of degree 4 with respect to v and to y, in multiples of its largest value: the
noise of both is multiplied by it. Raised, fewer polynomials have large values behind them, and scales have more bits.
"""
LEAST_FACTOR = 2.0**-10
"""Least |t|, beside the largest value of all elements. A polynomial is computed in multiples of t, so that the rounding
of the map after it is divided by t. Lowered, more polynomials run the layer before them once, and noise is larger."""
ROUNDING = 2.0**-46
"""Share of the largest coefficient of all elements below which one counts as zero: the rounding of float64."""
SAMPLES = 16
"""Largest number of calibration values of an element on which the growth of squares is measured. Raised, it is seen
better and takes longer."""
SMALL = 0.25
"""Size below which a polynomial is multiplied by a power of two while it is written: products of products have the
scale of their primes (passes.assign_scales). Raised, more of them need a map behind them, which most networks have."""
SHIFT = (-0.5, 0.125)
"""Coefficients of 1 and u in the parabola whose square divides degrees 5 to 8. With -1/2 it is about T_4 / 8, by which
remainders stay small; the second is not zero, because a constant alone would take a level."""


def write_polynomial(out: Replacement, domain: Domain) -> Form:
    """Write the polynomial of each element, of `out.op.exact_degree` at most, as it is.

    Polynomials that all elements have in common become a Chebyshev series where that takes no more levels.
    """
    centre, half = (domain.low + domain.high) / 2, (domain.high - domain.low) / 2
    series = _common_series(out.op, domain)
    if series is not None and (series.degree > MOST_OWN_DEGREE or series.degree in (3, 5, 6, 7)):
        return series.write(out)
    rows = _powers(out.op, centre, half)
    degree = rows.shape[1] - 1
    if degree < 2:
        slope = rows[:, 1] / half if degree else np.zeros(len(half))
        out.scale(out.source, slope, rows[:, 0] - slope * centre)
        return Form(1, METHOD, MOST_REACH)
    data = domain.data[:: -(-len(domain.data) // SAMPLES)]
    writer = _Writer(out, rows.T, centre, half, (data - centre) / half)
    if degree == 2:
        writer.parabola()
    elif degree == 8 and writer.has_small_squares():
        writer.square_of_quartic()
    else:
        writer.products()
    distinct = rows[np.r_[True, np.any(np.diff(rows, axis=0) != 0, axis=1)]]
    return Form(degree, METHOD, reach_of(distinct @ _series_of_powers(degree)))


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """A Chebyshev series of (x - centre) / half, the same for all elements."""

    coefficients: Array
    centre: float
    half: float

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    def write(self, out: Replacement) -> Form:
        scaled = out.scale(out.source, 1.0 / self.half, -self.centre / self.half)
        out.series(scaled, self.coefficients, _label(out, self.degree))
        return Form(self.degree, METHOD, reach_of(self.coefficients))


def _common_series(op: Activation, domain: Domain) -> _Series | None:
    """Return the series on the range of all elements; None if they have not the same polynomial.

    The range is wider where the series would leave LEAST_REACH.
    """
    low, high = domain.whole
    centre, half = (low + high) / 2, (high - low) / 2
    for stretch in (1.0, LEAST_REACH):
        values, coefficients = _interpolated(op, np.full(len(domain.low), centre), half * stretch)
        if np.any(np.abs(values - values[:, :1]) > ROUNDING * np.max(np.abs(values))):
            return None
        series = _Series(coefficients[0], centre, half * stretch)
        if series.degree < 2 or reach_of(series.coefficients) >= LEAST_REACH:
            break
    return series


def _interpolated(op: Activation, centre: Array, half: Array | float) -> tuple[Array, Array]:
    """Return the values at Chebyshev's points, (points, size), and the coefficients of the series of each element,
    (size, degree + 1), without trailing zeros."""
    assert op.exact_degree is not None
    points = chebyshev.chebpts1(op.exact_degree + 1)
    values = op.apply(centre + half * points[:, None])
    # The points are as many as the coefficients, so the system is square, and its condition is at most sqrt(2).
    coefficients = np.linalg.solve(chebyshev.chebvander(points, op.exact_degree), values).T
    return values, _without_rounding(np.asarray(coefficients, dtype=np.float64))


def _without_rounding(rows: Array) -> Array:
    """Return the coefficients with zeros in place of rounding, and without the columns at the end that are zero."""
    kept = np.where(np.abs(rows) > ROUNDING * np.max(np.abs(rows), initial=0.0), rows, 0.0)
    used = np.flatnonzero(np.any(kept != 0, axis=0))
    return kept[:, : (int(used[-1]) if used.size else 0) + 1]


def _powers(op: Activation, centre: Array, half: Array) -> Array:
    """Return the coefficients of 1, u, u^2, ... of each element, (size, degree + 1)."""
    _, series = _interpolated(op, centre, half)
    powers = series @ np.linalg.inv(_series_of_powers(series.shape[1] - 1))
    return _without_rounding(np.asarray(powers, dtype=np.float64))


def _series_of_powers(degree: int) -> Array:
    """Return the Chebyshev coefficients of 1, u, u^2, ..., a row for each."""
    rows = np.zeros((degree + 1, degree + 1))
    for power, unit in enumerate(np.eye(degree + 1)):
        rows[power, : power + 1] = chebyshev.poly2cheb(unit[: power + 1])
    return rows


def _label(out: Replacement, degree: int) -> str:
    return f"{out.op.function} of degree {degree}"


class _Writer:
    """Writes polynomials with the coefficients `rows` (degree + 1, size) of the powers of u = (x - centre) / half.

    `u` are calibration values (samples, size), on which growth is measured.
    """

    def __init__(self, out: Replacement, rows: Array, centre: Array, half: Array, u: Array) -> None:
        self.out, self.centre, self.half, self.u = out, centre, half, u
        self.label = _label(out, len(rows) - 1)
        self.sign = np.where(rows[-1] < 0, -1.0, 1.0)
        size = float(np.max(np.abs(value_of(rows, u)))) or float(np.max(np.abs(rows)))
        # Powers of two are exact. Degree 2 has one product, whose scale may follow calibration.
        self.unit = 2.0 ** math.floor(math.log2(size)) if size < SMALL and len(rows) > 3 else 1.0
        self.rows, self.size = rows / self.unit, size / self.unit
        rows = self.rows
        least = ROUNDING * float(np.max(np.abs(rows)))
        self.alpha = np.maximum(np.abs(rows[-1]), least) ** (1 / (len(rows) - 1))
        # Coefficients of the powers of v = alpha u, times the sign.
        self.monic = self.sign * rows / self.alpha ** np.arange(len(rows))[:, None]

    def parabola(self) -> None:
        """Write degree 2. Elements whose square would be too large keep the linear term beside the square."""
        c, b = self.monic[0], self.monic[1]
        too_large = self._grows((self.alpha * self.u + b / 2) ** 2)
        if not np.any(too_large):
            v = self._affine_of_source(self.alpha, b / 2)
            self.out.scale(self._square(v), self.sign, self.sign * (c - b * b / 4))
            return
        shift = np.where(too_large, 0.0, b / 2)
        if np.any(np.abs(b - 2 * shift) > MOST_GROWTH * self.size):
            # The line would multiply the noise of v, which is small beside u: (r2 u + r1) u + r0 instead.
            u = self._affine_of_source(np.ones(len(self.half)))
            other = self._affine_of_source(self.rows[2], self.rows[1])
            self.out.scale(self.out.multiply(u, other, self.label), 1.0, self.rows[0])
            return
        v = self._affine_of_source(self.alpha, shift)
        slope = b - 2 * shift
        total = self._plus_line(self._square(v), v, slope, c - shift * shift - slope * shift)
        self._signed(total)

    def has_small_squares(self) -> bool:
        """Return True if the squares of degree 8 keep within MOST_GROWTH."""
        v = self.alpha * self.u
        quartic, _ = root_of_octic(self.monic)
        b, c, _, _ = root_of_quartic(quartic)
        whole, square = np.abs(value_of(quartic, v)), (v * v + b * v + c) ** 2
        # The noise of the inner square is multiplied by the derivative of the outer one.
        return not np.any(self._grows(whole**2) | self._grows(2 * np.max(whole) * square))

    def square_of_quartic(self) -> None:
        """Write degree 8."""
        quartic, cubic = root_of_octic(self.monic)
        v = self._affine_of_source(self.alpha)
        y = self._square(v)
        square = self._square(self._quartic(v, y, quartic))
        self._signed(self.out.add(square, self._low(v, y, cubic)))

    def products(self) -> None:
        """Write degrees 3 to 8 as sums of products: of v^2 up to degree 4, else of the square of a parabola too."""
        alpha, factor, rows = self._lifted()
        v = self._affine_of_source(alpha)
        y = self._square(v)
        if len(rows) <= 5:
            self._scaled_back(self._low(v, y, rows), factor * self.unit)
            return
        square = np.zeros((5, 1))
        constant, slope = SHIFT
        square[:, 0] = np.convolve((constant, slope, 1.0), (constant, slope, 1.0))
        quotient, rest = divided(rows, square)
        divisor = self._square(self._plus_line(y, v, np.asarray(slope), np.asarray(constant)))
        product = self.out.multiply(divisor, self._low(v, y, quotient), self.label)
        self._scaled_back(self.out.add(product, self._low(v, y, rest)), factor * self.unit)

    def _lifted(self) -> tuple[Array, Array, Array]:
        """Return alpha, t and the coefficients of the powers of v = alpha u in 1 / t of the polynomials. The leading
        ones are 1, in degrees 4 and 8 and if no t is too small; alpha and t are 1 otherwise."""
        degree, ones = len(self.rows) - 1, np.ones(len(self.half))
        alpha = self._least_alpha() if degree == 4 else ones
        factor = self.sign * (self.alpha / alpha) ** degree
        if degree not in (4, 8) or np.min(np.abs(factor)) < LEAST_FACTOR:
            return ones, ones, self.rows
        rows = self.rows / (factor * alpha ** np.arange(len(self.rows))[:, None])
        rows[-1] = 1.0  # Without rounding, so that it needs no product.
        return alpha, factor, rows

    def _least_alpha(self) -> Array:
        """Return the least alpha of degree 4 that has |t| <= 1 and derivatives of at most MOST_NOISE."""
        by_v = value_of(np.arange(1, 5)[:, None] * self.rows[1:], self.u)
        by_y = value_of(np.array([1, 1, 2])[:, None] * self.rows[2:], self.u)
        of_v, of_y = (np.max(np.abs(part), axis=0) / (MOST_NOISE * self.size) for part in (by_v, by_y))
        return np.asarray(np.maximum(self.alpha, np.maximum(of_v, np.sqrt(of_y))))

    def _quartic(self, v: int, y: int, monic: Array) -> int:
        """Write a monic polynomial of degree 4 of v, with y = v^2."""
        b, c, slope, constant = root_of_quartic(monic)
        return self._plus_line(self._square(self._plus_line(y, v, b, c)), v, slope, constant)

    def _low(self, u: int, y: int, rows: Array) -> int:
        """Write a polynomial of degree 4 at most of u, with y = u^2.

        A leading coefficient of degree 4 other than 1 multiplies another map of the source, where it takes no level.
        """
        line = self._line(u, rows[1], rows[0])
        if len(rows) < 3:
            return line
        factor = self._line(u, rows[3] if len(rows) > 3 else np.zeros(1), rows[2])
        if len(rows) > 4:
            fourth = y
            if np.any(rows[4] != 1.0):
                fourth = self.out.multiply(u, self._affine_of_source(rows[4]), self.label)
            factor = self.out.add(fourth, factor)
        return self.out.add(self.out.multiply(y, factor, self.label), line)

    def _affine_of_source(self, factor: Array, offset: Array | float = 0.0) -> int:
        """Write factor * u + offset."""
        return self.out.scale(self.out.source, factor / self.half, offset - factor * self.centre / self.half)

    def _square(self, value: int) -> int:
        return self.out.multiply(value, value, self.label)

    def _plus_line(self, value: int, of: int, slope: Array, constant: Array) -> int:
        return self.out.add(value, self._line(of, slope, constant))

    def _line(self, value: int, slope: Array, constant: Array) -> int:
        """Write slope * value + constant."""
        return self.out.scale(value, slope, constant, SIDE)

    def _signed(self, total: int) -> None:
        self._scaled_back(total, self.sign * self.unit)

    def _scaled_back(self, total: int, factor: Array | float) -> None:
        if np.any(factor != 1.0):
            self.out.scale(total, factor)

    def _grows(self, squares: Array) -> NDArray[np.bool_]:
        """Return the elements of whose squares (samples, size) one is too large."""
        return np.asarray(np.max(squares, axis=0) > MOST_GROWTH * self.size)
