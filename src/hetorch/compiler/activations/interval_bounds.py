"""Interval arithmetic, element by element: bounds of every value that hold for every input within the input's bounds.

The bounds are safe and wide: an affine map takes centre c and radius r to W c + b and |W| r, which ignores that its
inputs depend on one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import Activation, Add, Affine, Bootstrap, Chebyshev, Multiply, TensorOp

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Bounds of the elements of one value: low <= value <= high, float64 (size,) each."""

    low: Array
    high: Array


def bounds_after(op: TensorOp, known: list[Interval]) -> Interval:
    """Return the interval of an operation's result, given those of all values before it.

    That of an activation is only sampled on a grid; approximated networks, whose bounds must be safe, have none.
    """
    match op:
        case Affine():
            before = known[op.input]
            centre, radius = (before.high + before.low) / 2, (before.high - before.low) / 2
            middle = np.asarray(op.matrix @ centre) + op.bias
            sizes = sparse.csr_array(
                (np.abs(op.matrix.data), op.matrix.indices, op.matrix.indptr), shape=op.matrix.shape
            )
            reach = np.asarray(sizes @ radius)
            return Interval(middle - reach, middle + reach)
        case Add():
            a, b = known[op.a], known[op.b]
            return Interval(a.low + b.low, a.high + b.high)
        case Multiply():
            a, b = known[op.a], known[op.b]
            corners = np.stack([a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high])
            if op.a == op.b:
                lowest = np.where((a.low <= 0) & (a.high >= 0), 0.0, np.min(corners, axis=0))
                return Interval(lowest, np.max(corners, axis=0))
            return Interval(np.min(corners, axis=0), np.max(corners, axis=0))
        case Chebyshev():
            return _polynomial(op, known[op.input])
        case Activation():
            before = known[op.input]
            share = np.linspace(0.0, 1.0, 65)[:, None]
            values = op.apply(before.low + share * (before.high - before.low))
            return Interval(np.min(values, axis=0), np.max(values, axis=0))
        case Bootstrap():
            raise AssertionError("bootstraps are placed after activations are approximated")


def _polynomial(op: Chebyshev, before: Interval) -> Interval:
    """Return the interval of a series, whose extremes lie at the ends or where its derivative is zero."""
    roots = (
        chebyshev.chebroots(chebyshev.chebder(op.coefficients)) if len(op.coefficients) > 2 else np.zeros(0)
    )
    real = np.real(roots[np.abs(np.imag(roots)) < 1e-9])[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.stack(
            [np.asarray(chebyshev.chebval(x, op.coefficients)) for x in (before.low, before.high)]
        )
        extremes = np.asarray(chebyshev.chebval(real, op.coefficients))
    reached = (before.low < real) & (real < before.high)
    lowest = np.where(reached, extremes, np.inf).min(axis=0, initial=np.inf)
    highest = np.where(reached, extremes, -np.inf).max(axis=0, initial=-np.inf)
    return Interval(np.minimum(ends.min(axis=0), lowest), np.maximum(ends.max(axis=0), highest))
