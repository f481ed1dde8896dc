"""What stands on the other side of an operator: numbers, lists, numpy and torch arrays, plain tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.tenseal.errors import OperandTypeError
from hetorch.tenseal.plain import PlainTensor


def real_number(value: Any, what: str = "a number") -> float:
    """Whatever Python can take for a real number, as pybind11 does for TenSEAL; OperandTypeError for anything else."""
    if not isinstance(value, str | bytes | bytearray):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
        except OverflowError:
            raise OperandTypeError(f"{what} is beyond the range of doubles") from None
    raise OperandTypeError(f"{what} must be a number, got {type(value).__name__}")


def switch_position(name: str, value: object) -> bool:
    """True, False or what has a truth value of its own, as pybind11 has it: not a string or a list; None is False."""
    if value is None:
        return False
    try:
        if hasattr(value, "__bool__"):
            return bool(value)
    except (TypeError, ValueError):
        pass
    raise OperandTypeError(f"{name} is True or False, got {type(value).__name__}")


def is_scalar(value: object) -> bool:
    """Python's numbers, and numpy's that are Python's (float64)."""
    return isinstance(value, int | float)


def plain_array(value: Any, dtype: str = "float") -> NDArray[Any]:
    """Any tensor-like as an array; TypeError if it is not one."""
    if isinstance(value, PlainTensor):
        return np.asarray(value.array, dtype=np.float64 if dtype == "float" else np.int64)
    try:
        return PlainTensor(value, dtype=dtype).array
    except OperandTypeError:
        raise OperandTypeError(f"can't operate with object of type {type(value)}") from None


def vector_operand(value: Any, dtype: str = "float") -> NDArray[Any]:
    """A one-dimensional operand; ValueError for another shape."""
    array = plain_array(value, dtype)
    if array.ndim != 1:
        raise InputError(f"can only operate with a vector, got shape {list(array.shape)}")
    return array


def matrix_operand(value: Any) -> NDArray[np.float64]:
    """A two-dimensional operand; ValueError for another shape."""
    array = plain_array(value)
    if array.ndim != 2:
        raise InputError(f"can only operate with a matrix, got shape {list(array.shape)}")
    return array
