"""One activation as affine maps, products and polynomials, in the form that suits its degree and precision.

The polynomial itself where the function is one · a line where it is a line · signs for functions with kinks that are
wanted to a precision · degrees 1, 2 and (of functions that are a line plus an even function) 4 with coefficients for
each channel · Chebyshev series otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.activation_curves import channel_ranges, histogram, points_on_range
from hetorch.compiler.activations.approximated import Fit
from hetorch.compiler.activations.channel_polynomials import (
    is_line_plus_even,
    write_exact_line,
    write_lines,
    write_parabolas,
    write_quartics,
)
from hetorch.compiler.activations.chebyshev_series import degree_for_precision, write_series
from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.exact_polynomials import write_polynomial
from hetorch.compiler.activations.piecewise import has_kinks, write_piecewise
from hetorch.compiler.activations.replacement import Form, Replacement
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]


def replace_activation(
    op: Activation, source: int, written: int, domain: Domain, degree: int, precision: float | None
) -> tuple[Replacement, Form]:
    """Return operations that stand in for an activation, and the polynomial that they compute.

    Args:
        op: the activation.
        source: number of the value that they read.
        written: number of operations before them in their program.
        domain: where the activation is approximated.
        degree: of the polynomial, unless `precision` decides.
        precision: largest error relative to the largest absolute value in the range; None for `degree`.

    Raises:
        InfeasibleError: the precision is out of reach.
    """
    out = Replacement(op, source, written)
    if op.exact_degree is not None:
        return out, write_polynomial(out, domain)
    return out, write_exact_line(out, domain) or _write(out, domain, degree, precision)


def fit_of(out: Replacement, form: Form, domain: Domain, result: Array) -> Fit:
    """Return the facts about a replacement; `result` are its values on those of the domain."""
    low, high = domain.whole
    on_data = np.max(np.abs(result - out.op.apply(domain.data)))
    points = points_on_range(out, domain)
    return Fit(
        out.op.name,
        out.op.function,
        form.degree,
        out.depth(),
        form.method,
        low,
        high,
        max(float(on_data), points.error),
        domain.escapes,
        form.reach,
        *channel_ranges(domain),
        points.curves(domain),
        histogram(domain),
    )


def _write(out: Replacement, domain: Domain, degree: int, precision: float | None) -> Form:
    if precision is not None and has_kinks(out.op):
        return write_piecewise(out, domain, precision)
    if precision is not None:
        degree = degree_for_precision(out.op, domain, precision)
    if degree == 1:
        return write_lines(out, domain)
    if degree == 2:
        return write_parabolas(out, domain)
    if degree == 4 and is_line_plus_even(out.op):
        return write_quartics(out, domain)
    return write_series(out, domain, degree)
