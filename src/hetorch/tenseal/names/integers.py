"""Arguments of BFV's vectors and tensors: contexts of the scheme, and integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.names.polynomial import coefficients_of
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
    """Return a polynomial's coefficients without zeros at the end; TypeError unless they are integers."""
    values = coefficients_of(coefficients)
    if any(value != int(value) or abs(value) >= 2**63 for value in values):
        raise incompatible("polyval", "a list of int is expected")
    return [int(value) for value in values]


def integer(value: Any, function: str) -> int:
    """Return an int of 64 bits; TypeError, which names `function`, for anything else."""
    if not isinstance(value, int):
        raise incompatible(function, f"BFV computes with integers, got {type(value).__name__}")
    if value.bit_length() > 63:
        raise incompatible(function, f"an integer of {value.bit_length()} bits does not fit in 64")
    return int(value)
