"""Marks that a user sets on a module before compiling it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.options import MOST_DEGREE
from hetorch.errors import InputError
from hetorch.ir.tensor_program import Wish

ELEMENTWISE_MARK = "hetorch_elementwise"
WISH_MARK = "hetorch_wish"
NOTE_MARK = "hetorch_note"
"""Attribute of a module that was read from another form of model: a sentence for the user of the plan."""
INTERFACE_MARK = "hetorch_interface"
"""Attribute of a module that was read from an estimator or an ONNX file: a plan's Interface, the client's part."""
CHECK_MARK = "hetorch_check"
"""Attribute of a module that was read from an estimator: a function of the estimator's own inputs and those of the
module, which raises if the module computes something else than the estimator."""
RANGE_MARK = "hetorch_range"
"""Method of an activation that recorded its range in training: returns a ChannelRange, or None if there is none yet."""
POLYNOMIAL_MARK = "hetorch_polynomial"
"""Method of an activation that is a polynomial: returns a ChannelPolynomial, or None if it is something else now."""

Marked = TypeVar("Marked")
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelRange:
    """The least and the largest input of each channel, (channels,), which `axis` of a batch counts.

    With the axis None there is one range for the whole tensor.
    """

    low: Array
    high: Array
    axis: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ChannelPolynomial:
    """One polynomial for each channel, which `axis` of a batch counts; None has one for the whole tensor.

    It is sum_k coefficients[:, k] t^k with t = (x - centre) / half; centre and half are (channels,), and coefficients
    (channels, degree + 1).
    """

    centre: Array
    half: Array
    coefficients: Array
    axis: int | None

    @property
    def degree(self) -> int:
        return int(self.coefficients.shape[1]) - 1


def elementwise(module: Marked) -> Marked:
    """Mark a class of modules, or one module, as a function of one number that is applied to every element.

    Its forward takes one tensor and returns one of the same shape. Whatever it computes inside (comparisons, look-ups)
    is replaced by a polynomial over the calibrated range. Use it as a decorator or as a call.

    Returns:
        Its argument.

    Raises:
        InputError: the argument is no nn.Module or class of them.
    """
    if not (
        isinstance(module, torch.nn.Module)
        or (isinstance(module, type) and issubclass(module, torch.nn.Module))
    ):
        raise InputError(f"elementwise marks an nn.Module or a class of them, got {type(module).__name__}")
    setattr(module, ELEMENTWISE_MARK, True)
    return module


def approximate(
    module: torch.nn.Module, *, degree: int | None = None, precision: float | None = None
) -> torch.nn.Module:
    """Fix how the functions in a module are approximated.

    At most one of `degree` and `precision` may be given; with neither, the choice is the compiler's again.

    Args:
        module: the module; the modules inside it are included unless they have a mark of their own.
        degree: the degree of the polynomials, 1..127.
        precision: the largest error, relative to the largest absolute value in the range, from 2^-20 to 1. Functions
            with kinks (ReLU, MaxPool, Hardtanh) become compositions of minimax polynomials of the sign; smooth
            functions become one polynomial of the degree that the precision needs.

    Returns:
        The module.

    Raises:
        InputError: `module` is no nn.Module, or a value is out of range.
    """
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"approximate takes an nn.Module, got {type(module).__name__}")
    if degree is not None and not 1 <= degree <= MOST_DEGREE:
        raise InputError(f"degree must be 1..{MOST_DEGREE}, got {degree}")
    if precision is not None and not 2.0**-20 <= precision < 1:
        raise InputError(f"precision must be from 2^-20 to 1 (a share of the range), got {precision}")
    if degree is not None and precision is not None:
        raise InputError("give either degree or precision: the one follows from the other")
    setattr(module, WISH_MARK, Wish(degree, precision))
    return module
