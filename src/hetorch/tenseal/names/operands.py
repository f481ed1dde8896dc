"""The plain operands of an operator: lists, numpy and torch arrays, plain tensors; numbers are told apart before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.scheme.errors import refusal


def plain_array(value: Any, dtype: str = "float") -> NDArray[Any]:
    """Return a tensor-like as an array of `dtype`, "float" or "int"; TypeError for anything else."""
    if isinstance(value, PlainTensor):
        return np.asarray(value.array, dtype=np.float64 if dtype == "float" else np.int64)
    try:
        return PlainTensor(value, dtype=dtype).array
    except TypeError:
        raise refusal(TypeError, f"can't operate with object of type {type(value)}") from None


def vector_operand(value: Any, dtype: str = "float") -> NDArray[Any]:
    """Return a one-dimensional operand; ValueError for another shape."""
    array = plain_array(value, dtype)
    if array.ndim != 1:
        raise refusal(ValueError, "can only operate with a vector", f"got shape {list(array.shape)}")
    return array


def matrix_operand(value: Any) -> NDArray[np.float64]:
    """Return a two-dimensional operand; ValueError for another shape."""
    array = plain_array(value)
    if array.ndim != 2:
        raise refusal(ValueError, "can only operate with a matrix", f"got shape {list(array.shape)}")
    return array
