"""One activation as affine maps, products and polynomials, in the form that suits its degree and precision.

The polynomial itself where the function is one · a line where it is a line · signs for functions with kinks that are
wanted to a precision · degrees 1, 2 and (of functions that are a line plus an even function) 4 with coefficients for
each channel · Chebyshev series otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """The facts about a replacement that need the values on the calibration inputs; `fit` finds the others.

    `domain`: where the activation is approximated, without its data. `on_data`: the largest error on these.
    `histogram`: as in Fit.
    """

    out: Replacement
    form: Form
    domain: Domain
    on_data: float
    histogram: tuple[float, ...]

    @classmethod
    def of(cls, out: Replacement, form: Form, domain: Domain, result: Array) -> Draft:
        """Return the draft of a replacement; `result` are its values on those of the domain."""
        on_data = float(np.max(np.abs(result - out.op.apply(domain.data))))
        bare = replace(domain, data=domain.data[:0], reader=None, importance=None)
        return cls(out, form, bare, on_data, histogram(domain))

    def fit(self) -> Fit:
        """Return all facts about the replacement."""
        low, high = self.domain.whole
        points = points_on_range(self.out, self.domain)
        return Fit(
            self.out.op.name,
            self.out.op.function,
            self.form.degree,
            self.out.depth(),
            self.form.method,
            low,
            high,
            max(self.on_data, points.error),
            self.domain.escapes,
            self.form.reach,
            *channel_ranges(self.domain),
            points.curves(self.domain),
            self.histogram,
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
