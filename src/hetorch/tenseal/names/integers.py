"""Arguments of BFV's vectors and tensors: contexts of the scheme, and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.scheme.arguments import sequence_of
from hetorch.tenseal.scheme.errors import incompatible, refusal


def bfv_state(context: object) -> BfvContext:
    """Return the state of a BFV context; TypeError or ValueError for anything else."""
    if not isinstance(context, Context):
        raise refusal(TypeError, "context must be a tenseal.Context")
    if not isinstance(context.data, BfvContext):
        raise refusal(ValueError, "unsupported scheme", "a context of SCHEME_TYPE.BFV is needed")
    return context.data


def integer_array(tensor: Any) -> NDArray[np.int64]:
    """Return a tensor-like or a plain tensor as an array of integers."""
    plain = tensor if isinstance(tensor, PlainTensor) else PlainTensor(tensor, dtype="int")
    return np.asarray(plain.array, dtype=np.int64)


def integer_coefficients(coefficients: Any) -> list[int]:
    """Return a polynomial's coefficients without zeros at the end: [] for the zero polynomial.

    ValueError if there are none; TypeError unless they are integers of 64 bits.
    """
    values = [integer(value, "polyval") for value in sequence_of(coefficients, "polyval")]
    if not values:
        raise refusal(ValueError, "the coefficients vector need to have at least one element")
    while values and values[-1] == 0:
        values.pop()
    return values


def integer(value: Any, function: str) -> int:
    """Return an int of 64 bits; TypeError, which names `function`, for anything else."""
    if not isinstance(value, int | np.integer):
        raise incompatible(function, f"BFV computes with integers, got {type(value).__name__}")
    number = int(value)
    if number.bit_length() > 63:
        raise incompatible(function, f"an integer of {number.bit_length()} bits does not fit in 64")
    return number
