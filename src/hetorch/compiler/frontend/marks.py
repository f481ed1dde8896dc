"""What a user may say about modules before compiling: marks on the module itself."""

from __future__ import annotations

from typing import TypeVar

import torch

from hetorch.compiler.options import MOST_DEGREE
from hetorch.errors import InputError
from hetorch.ir.tensor_program import Wish

ELEMENTWISE_MARK = "hetorch_elementwise"
WISH_MARK = "hetorch_wish"
NOTE_MARK = "hetorch_note"
"""A sentence for the user of the plan, on a module that was made of something else."""

Marked = TypeVar("Marked")


def elementwise(module: Marked) -> Marked:
    """Mark a class of modules, or one module, as a function of one number that is applied to every element.

    Its forward takes one tensor and returns one of the same shape, and whatever it does inside (comparisons,
    look-ups) is replaced by a polynomial over the range that calibration finds. As a decorator or as a call; returns
    its argument. InputError if it is no nn.Module.
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
    """Fix how the functions in `module` (and in what it holds) are approximated; returns it.

    `degree` (1..63) is that of the polynomials. `precision` is the largest error relative to the largest absolute value
    in the range: functions with kinks (ReLU, MaxPool, Hardtanh) then become compositions of minimax polynomials of the
    sign, smooth ones a polynomial of the degree that it takes. Both None leave the choice to the compiler again.
    InputError for other values.
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
