"""One activation as affine maps, products and polynomials, in the form that suits its degree and precision.

A line where the function is one · signs for functions with kinks that are wanted to a precision · degrees 1, 2 and (of
functions that are a line plus an even function) 4 with coefficients for each channel · Chebyshev series otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
from hetorch.compiler.activations.piecewise import has_kinks, write_piecewise
from hetorch.compiler.activations.replacement import Form, Replacement
from hetorch.ir.tensor_program import Activation, TensorOp

Array = NDArray[np.float64]

MEASURED_SAMPLES = 256
"""Largest number of calibration samples on which the error of a replacement is measured."""
MEASURED_POINTS = 129
"""Number of points, evenly over the range of each element, at which it is measured as well."""


def replace_activation(
    op: Activation, source: int, written: int, domain: Domain, degree: int, precision: float | None
) -> tuple[list[TensorOp], Fit]:
    """Return operations that stand in for an activation, and what they are.

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
    form = write_exact_line(out, domain) or _write(out, domain, degree, precision)
    low, high = domain.whole
    error = _largest_error(out, domain)
    return out.operations, Fit(
        op.name,
        op.function,
        form.degree,
        out.depth(),
        form.method,
        low,
        high,
        error,
        domain.escapes,
        form.reach,
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


def _largest_error(out: Replacement, domain: Domain) -> float:
    """Return the largest difference from the function, by running the operations on the data and over the range."""
    share = np.linspace(0.0, 1.0, MEASURED_POINTS)[:, None]
    x = np.concatenate([domain.data[:MEASURED_SAMPLES], domain.low + share * (domain.high - domain.low)])
    return float(np.max(np.abs(out.run(x) - out.op.apply(x))))
