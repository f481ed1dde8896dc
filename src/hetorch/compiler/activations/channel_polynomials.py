"""Activations as polynomials of degree 1, 2 or 4 with coefficients of their own for each channel.

Degree 2 takes one level: a u^2 + b u + c = sign(a) (alpha u + beta)^2 + gamma, with alpha and beta in the affine map
before the square, sign and gamma in the one after it. Degree 4 takes two levels, u^2 and u^4 with three affine maps
that are added; it has no u^3 and so suits functions that are a line plus an even function.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.fit_channels import fit_channels
from hetorch.compiler.activations.polynomial_growth import MOST_REACH, reach_of
from hetorch.compiler.activations.replacement import Form, Replacement
from hetorch.ir.activations import HALF_LINE
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]

STRAIGHT = 1e-9
"""Largest distance from a line, relative to the function's size on its range, at which a function counts as a line."""
LEAST_CURVATURE = 1.0 / 8
"""Least |a| of a parabola a u^2 + b u, as a share of |b|. The completed square is then at most 4 times the result, and
so is its noise; a smaller share fits better and amplifies more noise."""


def write_exact_line(out: Replacement, domain: Domain) -> Form | None:
    """Write the activation as one affine map if it is a line on the range of every channel, and return None if not."""
    share = np.linspace(0.0, 1.0, 33)[:, None]
    x = domain.low + share * (domain.high - domain.low)
    y = out.op.apply(x)
    slope = (y[-1] - y[0]) / (domain.high - domain.low)
    line = y[0] + slope * (x - domain.low)
    if not np.max(np.abs(y - line)) <= STRAIGHT * max(float(np.max(np.abs(y))), 1e-300):
        return None
    out.scale(out.source, slope, y[0] - slope * domain.low)
    return Form(1, "exact line", MOST_REACH)


def write_lines(out: Replacement, domain: Domain) -> Form:
    """Write the least-squares line of each channel: one affine map."""
    centre, half, coefficients = fit_channels(out.op, domain, (0, 1))
    slope = coefficients[:, 1] / half
    out.scale(out.source, slope, coefficients[:, 0] - slope * centre)
    return Form(1, "least squares", MOST_REACH)


def write_parabolas(out: Replacement, domain: Domain) -> Form:
    """Write the least-squares parabola of each channel by completing the square: one level."""
    centre, half, coefficients = fit_channels(out.op, domain, (0, 1, 2))
    c, b, a = coefficients.T
    floor = np.maximum(LEAST_CURVATURE * np.abs(b), 1e-6 * float(np.max(np.abs(coefficients))))
    sign = np.where(a < 0, -1.0, 1.0)
    raised = sign * np.maximum(np.abs(a), floor)
    # The floor's addition to a u^2 is taken off c again, on average; u^2 counts as 1/2.
    c = c - (raised - a) / 2
    alpha = np.sqrt(np.abs(raised))
    beta = alpha * b / (2 * raised)
    scaled = out.scale(out.source, alpha / half, beta - alpha * centre / half)
    square = out.multiply(scaled, scaled, f"{out.op.function} ~ degree 2")
    out.scale(square, sign, c - b * b / (4 * raised))
    return Form(2, "least squares, each channel its own", _least_reach(np.stack([c, b, raised], axis=1)))


def write_quartics(out: Replacement, domain: Domain) -> Form:
    """Write the least-squares c + b u + a u^2 + d u^4 of each channel: two levels."""
    _, half, coefficients = fit_channels(out.op, domain, (0, 1, 2, 4), centred=True)
    label = f"{out.op.function} ~ degree 4"
    u = out.scale(out.source, 1.0 / half)
    square = out.multiply(u, u, label)
    fourth = out.multiply(square, square, label)
    line = out.scale(u, coefficients[:, 1], coefficients[:, 0])
    total = out.add(line, out.scale(square, coefficients[:, 2]))
    out.add(total, out.scale(fourth, coefficients[:, 3]))
    with_cubic = np.insert(coefficients, 3, 0.0, axis=1)
    return Form(4, "least squares, each channel its own", _least_reach(with_cubic))


def is_line_plus_even(op: Activation) -> bool:
    """Return True if the function is a line plus an even function, as write_quartics needs it."""
    if op.definition is not None:
        return False
    if op.function == "softplus" and op.parameters and op.parameters[0] <= 0:
        return False
    return op.function == "leaky_relu" or op.function in HALF_LINE


def _least_reach(coefficients: Array) -> float:
    """Return the least reach of the polynomials with these coefficients of 1, u, u^2, ..., one a row."""
    rows = np.unique(coefficients, axis=0)
    return reach_of(np.array([_padded(chebyshev.poly2cheb(row), rows.shape[1]) for row in rows]))


def _padded(coefficients: Array, count: int) -> Array:
    """Return `count` coefficients: trailing zeros, which numpy drops, included."""
    return np.pad(coefficients, (0, count - len(coefficients)))
