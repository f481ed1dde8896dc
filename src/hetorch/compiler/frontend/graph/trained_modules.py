"""Activations of hetorch.train, and others with the same marks: their ranges in training and their polynomials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.marks import POLYNOMIAL_MARK, RANGE_MARK, ChannelPolynomial, ChannelRange
from hetorch.compiler.frontend.operations.call import Shape
from hetorch.ir.tensor_program import ElementRange

Array = NDArray[np.float64]


def polynomial_of(module: torch.nn.Module | None) -> ChannelPolynomial | None:
    """Return the polynomials that a module is, or None if it is none."""
    method = getattr(module, POLYNOMIAL_MARK, None)
    polynomial = method() if callable(method) else None
    return polynomial if isinstance(polynomial, ChannelPolynomial) else None


def range_of(module: torch.nn.Module | None, shape: Shape) -> ElementRange | None:
    """Return the range in training of each element of a module's input of `shape`, or None if none was recorded."""
    method = getattr(module, RANGE_MARK, None)
    recorded = method() if callable(method) else None
    if not isinstance(recorded, ChannelRange):
        return None
    if recorded.axis is not None and shape[recorded.axis] != len(recorded.low):
        return None  # An activation inside the module, of another shape than its input.
    return ElementRange(*(of_elements(edge, shape, recorded.axis) for edge in (recorded.low, recorded.high)))


def definition_of(polynomial: ChannelPolynomial, shape: Shape) -> Callable[[Array], Array]:
    """Return the function of arrays whose last axis counts the elements of `shape`, by Horner's rule."""
    centre, half, *coefficients = (
        of_elements(values, shape, polynomial.axis)
        for values in (polynomial.centre, polynomial.half, *polynomial.coefficients.T)
    )

    def function(x: Array) -> Array:
        t = (x - centre) / half
        y = np.zeros_like(t) + coefficients[-1]
        for row in reversed(coefficients[:-1]):
            y = y * t + row
        return y

    return function


def of_elements(values: Array, shape: Shape, axis: int | None) -> Array:
    """Return the value of each element of a tensor of `shape`, of one value for each channel, (size,)."""
    if axis is not None:
        along = [1] * len(shape)
        along[axis] = -1
        values = values.reshape(along)
    return np.ascontiguousarray(np.broadcast_to(values, shape)).reshape(-1)
