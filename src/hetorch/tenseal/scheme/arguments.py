"""Plain arguments in the forms that TenSEAL takes through pybind11: numbers, counts, switches.

`function` is the name of TenSEAL's compiled function, which the TypeError for other arguments names.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from hetorch.tenseal.scheme.errors import incompatible


def is_scalar(value: object) -> bool:
    """Return True for Python's numbers, and for numpy's float64, which is one of them."""
    return isinstance(value, int | float)


def real_number(value: Any, function: str) -> float:
    """Return `value` as a float if Python can convert it and it is no text; TypeError for anything else."""
    if not isinstance(value, str | bytes | bytearray):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
        except OverflowError:
            raise incompatible(function, "the number is beyond the range of doubles") from None
    raise incompatible(function, f"a number is expected, got {type(value).__name__}")


def whole_number(value: object, function: str, bits: int = 32) -> int:
    """Return a power, an axis or a count, an integer of 0 to 2^bits - 1; TypeError for anything else.

    As in pybind11, types with `__int__` are taken, but for Python's float.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the call tests whether it is an integer
    except TypeError:
        if isinstance(value, float) or not hasattr(value, "__int__"):
            raise incompatible(function, f"a whole number is expected, got {type(value).__name__}") from None
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise incompatible(function, f"a whole number is expected, got {value!r}") from None
    if not 0 <= number < 1 << bits:
        seen = number if number.bit_length() <= 64 else f"one of {number.bit_length()} bits"
        raise incompatible(function, f"a whole number of 0 to 2^{bits} - 1 is expected, got {seen}")
    return number


def switch_position(value: object, function: str) -> bool:
    """Return the truth value of `value`, None being False.

    TypeError for a type that defines none (`__bool__`), such as a string or a list, as in pybind11.
    """
    if value is None:
        return False
    try:
        if hasattr(value, "__bool__"):
            return bool(value)
    except (TypeError, ValueError):
        pass
    raise incompatible(function, f"True or False is expected, got {type(value).__name__}")


def sequence_of(values: Any, function: str) -> list[Any]:
    """Return the items of a list, a tuple or an array; TypeError for other types, text and dicts among them."""
    if isinstance(values, str | bytes | dict | np.generic) or not hasattr(values, "__getitem__"):
        raise incompatible(function, f"a list is expected, got {type(values).__name__}")
    return [values[index] for index in range(len(values))]


def bit_sizes_of(values: object) -> list[int]:
    """Return `coeff_mod_bit_sizes` as a list of ints of 32 bits; TypeError for anything else."""
    items = sequence_of(values, "new")
    try:
        sizes = [operator.index(value) for value in items]
    except TypeError:
        raise incompatible("new", "coeff_mod_bit_sizes must be a list of int") from None
    if any(not -(1 << 31) <= size < 1 << 31 for size in sizes):
        raise incompatible("new", "coeff_mod_bit_sizes holds a number of more than 32 bits")
    return sizes
