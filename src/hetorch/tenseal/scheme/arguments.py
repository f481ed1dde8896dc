"""Plain arguments in the forms that TenSEAL takes through pybind11: numbers, counts, switches."""

from __future__ import annotations

import operator
from typing import Any

from hetorch.tenseal.scheme.errors import OperandTypeError


def is_scalar(value: object) -> bool:
    """Return True for Python's numbers, and for numpy's float64, which is one of them."""
    return isinstance(value, int | float)


def real_number(value: Any, what: str = "a number") -> float:
    """Return `value` as a float if Python can convert it and it is no text; OperandTypeError for anything else."""
    if not isinstance(value, str | bytes | bytearray):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
        except OverflowError:
            raise OperandTypeError(f"{what} is beyond the range of doubles") from None
    raise OperandTypeError(f"{what} must be a number, got {type(value).__name__}")


def whole_number(power: object) -> int:
    """Return a power, an axis or a count, an integer of 0 to 2^32 - 1; OperandTypeError for anything else."""
    try:
        value = operator.index(power)  # type: ignore[arg-type]  # the call tests whether it is an integer
    except TypeError:
        raise OperandTypeError(f"a whole number is expected, got {type(power).__name__}") from None
    if not 0 <= value < 1 << 32:
        seen = value if value.bit_length() <= 64 else f"one of {value.bit_length()} bits"
        raise OperandTypeError(f"a whole number of 0 to 2^32 - 1 is expected, got {seen}")
    return value


def switch_position(name: str, value: object) -> bool:
    """Return the truth value of `value`, None being False.

    OperandTypeError for a type that defines none (`__bool__`), such as a string or a list, as in pybind11.
    """
    if value is None:
        return False
    try:
        if hasattr(value, "__bool__"):
            return bool(value)
    except (TypeError, ValueError):
        pass
    raise OperandTypeError(f"{name} is True or False, got {type(value).__name__}")


def ring_degree_of(value: object) -> int:
    """Return `poly_modulus_degree` as an int; OperandTypeError for anything else, and below 0."""
    try:
        degree = operator.index(value)  # type: ignore[arg-type]  # the call tests whether it is an integer
    except TypeError:
        raise OperandTypeError(f"poly_modulus_degree must be an int, got {type(value).__name__}") from None
    if degree < 0:
        raise OperandTypeError(f"poly_modulus_degree must be an int above 0, got {degree}")
    return degree
