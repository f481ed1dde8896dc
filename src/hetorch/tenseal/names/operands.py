"""The plain operands of an operator: lists, numpy and torch arrays, plain tensors; numbers are told apart before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.scheme.errors import OperandTypeError


def plain_array(value: Any, dtype: str = "float") -> NDArray[Any]:
    """Return a tensor-like as an array of `dtype`, "float" or "int"; OperandTypeError for anything else."""
    if isinstance(value, PlainTensor):
        return np.asarray(value.array, dtype=np.float64 if dtype == "float" else np.int64)
    try:
        return PlainTensor(value, dtype=dtype).array
    except OperandTypeError:
        raise OperandTypeError(f"can't operate with object of type {type(value)}") from None


def vector_operand(value: Any, dtype: str = "float") -> NDArray[Any]:
    """Return a one-dimensional operand; InputError for another shape."""
    array = plain_array(value, dtype)
    if array.ndim != 1:
        raise InputError(f"can only operate with a vector, got shape {list(array.shape)}")
    return array


def matrix_operand(value: Any) -> NDArray[np.float64]:
    """Return a two-dimensional operand; InputError for another shape."""
    array = plain_array(value)
    if array.ndim != 2:
        raise InputError(f"can only operate with a matrix, got shape {list(array.shape)}")
    return array
