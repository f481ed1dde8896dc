"""Arguments of BFV's vectors and tensors: contexts of the scheme, and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.names.polynomial import coefficients_of
from hetorch.tenseal.scheme.errors import OperandTypeError


def bfv_state(context: object) -> BfvContext:
    """Return the state of a BFV context; OperandTypeError or InputError for anything else."""
    if not isinstance(context, Context):
        raise OperandTypeError("context must be a tenseal.Context")
    if not isinstance(context.data, BfvContext):
        raise InputError("a BFV vector or tensor needs a context of SCHEME_TYPE.BFV")
    return context.data


def integer_array(tensor: Any) -> NDArray[np.int64]:
    """Return a tensor-like or a plain tensor as an array of integers."""
    plain = tensor if isinstance(tensor, PlainTensor) else PlainTensor(tensor, dtype="int")
    return np.asarray(plain.array, dtype=np.int64)


def integer_coefficients(coefficients: Any) -> list[int]:
    """Return a polynomial's coefficients without zeros at the end; OperandTypeError unless they are integers."""
    values = coefficients_of(coefficients)
    if any(value != int(value) for value in values):
        raise OperandTypeError("coefficients must be a list of int")
    return [int(value) for value in values]


def integer(value: Any) -> int:
    """Return an int; OperandTypeError for anything else."""
    if not isinstance(value, int):
        raise OperandTypeError(f"BFV computes with integers, got {type(value).__name__}")
    return int(value)
