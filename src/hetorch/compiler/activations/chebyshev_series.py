"""Activations as Chebyshev series of any degree, with one set of coefficients for all channels."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.activations.channel_polynomials import is_line_plus_even
from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.fit_polynomial import GRID, fit_bounded_series, on_unit_range
from hetorch.compiler.activations.polynomial_growth import MOST_REACH, reach_of
from hetorch.compiler.activations.replacement import Form, Replacement
from hetorch.compiler.options import MOST_DEGREE
from hetorch.errors import InfeasibleError
from hetorch.ir.activations import HOMOGENEOUS
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]

SERIES_DEGREES = (3, 7, 15, 31, 63, MOST_DEGREE)
"""Degrees of series that are tried: the largest of each depth from 2 to 7."""

MOST_SHIFT = 0.1
"""Largest distance of a range's middle from 0, in half widths, up to which a function that is a line plus an even one
gets a range around 0. Its series then has no odd terms but one, and takes two thirds of the time. Raised, more series
have this form, on wider ranges."""


def write_series(out: Replacement, domain: Domain, degree: int) -> Form:
    """Write the least-squares series of at most `degree`; ceil(log2(degree + 1)) levels.

    Functions that are a line plus an even function get series without odd terms but one, on ranges around 0.

    Functions with f(h x) = h f(x) give each channel a range of its own, by affine maps before and after the series. All
    others have one range for all channels.
    """
    op = out.op
    if op.definition is None and op.function in HOMOGENEOUS:
        centre: Array = np.zeros(len(domain.low))
        rise: Array = np.maximum(np.abs(domain.low), np.abs(domain.high))
        coefficients, stretch = fit_bounded_series(
            op.apply,
            domain.data / rise,
            degree,
            line_plus_even=is_line_plus_even(op),
            weight=None if domain.importance is None else domain.importance * rise**2,
            known=domain.known[0],
        )
        half = rise * stretch
    else:
        coefficients, stretch, middle, width = _fit_whole(op, domain, degree)
        centre, half = np.full(len(domain.low), middle), np.full(len(domain.low), width * stretch)
        rise = np.ones(len(domain.low))
    used = len(coefficients) - 1
    form = Form(used, "least squares, Chebyshev", min(reach_of(coefficients) * stretch, MOST_REACH))
    if used <= 1:
        slope = rise * (float(coefficients[1]) if used == 1 else 0.0) / half
        out.scale(out.source, slope, rise * float(coefficients[0]) - slope * centre)
        return form
    scaled = out.scale(out.source, 1.0 / half, -centre / half)
    series = out.series(scaled, coefficients, f"{op.function} ~ degree {used}")
    if np.any(rise != 1.0):
        out.scale(series, rise)
    return form


def degree_for_precision(op: Activation, domain: Domain, precision: float) -> int:
    """Return the least of SERIES_DEGREES with which the largest error on the whole range is at most `precision`,
    relative to the function's largest absolute value there; InfeasibleError if there is none."""
    low, high = domain.whole
    grid = np.linspace(low, high, GRID)
    truth = op.apply(grid)
    size = float(np.max(np.abs(truth)))
    for degree in SERIES_DEGREES:
        # The middle is not that of the range where the function is a line plus an even one.
        coefficients, stretch, middle, width = _fit_whole(op, domain, degree)
        polynomial = chebyshev.chebval((grid - middle) / (width * stretch), coefficients)
        if np.max(np.abs(polynomial - truth)) <= precision * size:
            return degree
    raise InfeasibleError(
        f"{op.function} in {op.name} cannot be had to {precision:.2g} on {low:.3g}..{high:.3g} with degree "
        f"{MOST_DEGREE}; ask for less precision (a larger activation_precision=), or make the range smaller "
        "(normalise before it)"
    )


def _fit_whole(op: Activation, domain: Domain, degree: int) -> tuple[Array, float, float, float]:
    """Return coefficients and stretch as fit_bounded_series does, for the range of all channels, and its middle and
    half width."""
    low, high = domain.whole
    middle, width = (low + high) / 2, (high - low) / 2
    symmetric = is_line_plus_even(op) and abs(middle) <= MOST_SHIFT * width
    if symmetric:
        middle, width = 0.0, max(-low, high)
    function = on_unit_range(op.apply, middle, width)
    coefficients, stretch = fit_bounded_series(
        function,
        (domain.data - middle) / width,
        degree,
        line_plus_even=symmetric,
        weight=domain.importance,
        known=domain.known[1],
    )
    return coefficients, stretch, middle, width
