"""Powers and polynomials of anything that multiplies, with the depth that TenSEAL's have and fewer products."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from hetorch.errors import InputError
from hetorch.tenseal.errors import OperandTypeError
from hetorch.tenseal.operands import real_number


class Ring(Protocol):
    """What a polynomial needs of its variable."""

    def add(self, other: Any) -> Self: ...

    def mul(self, other: Any) -> Self: ...

    def square(self) -> Self: ...


R = TypeVar("R", bound=Ring)


def whole_number(power: object) -> int:
    """A whole number of 0 to 2^32 - 1 (a power, an axis, a count); TypeError for anything else."""
    try:
        value = operator.index(power)  # type: ignore[arg-type]  # that it may not be one is the point
    except TypeError:
        raise OperandTypeError(f"a whole number is expected, got {type(power).__name__}") from None
    if not 0 <= value < 1 << 32:
        seen = value if value.bit_length() <= 64 else f"one of {value.bit_length()} bits"
        raise OperandTypeError(f"a whole number of 0 to 2^32 - 1 is expected, got {seen}")
    return value


def raised(x: R, power: int) -> R:
    """x^power for power >= 1, in ceil(log2(power)) levels and one product more for each further bit."""
    highest = 1 << (power.bit_length() - 1)
    if power == highest:
        return x if power == 1 else raised(x, power // 2).square()
    squares = _squares(x, power.bit_length())
    rest: R | None = None
    for k in range(power.bit_length()):
        if power >> k & 1:
            rest = squares[k] if rest is None else squares[k].mul(rest)
    assert rest is not None
    return rest


def coefficients_of(coefficients: object) -> list[float]:
    """At least one finite number, without zeros at the end (so [] for the zero polynomial); TypeError, ValueError."""
    if isinstance(coefficients, str | bytes) or not isinstance(coefficients, Iterable):
        raise OperandTypeError(f"coefficients must be a list of numbers, got {type(coefficients).__name__}")
    values = [real_number(value, "a coefficient") for value in coefficients]
    if not values:
        raise InputError("the coefficients vector need to have at least one element")
    if not np.all(np.isfinite(values)):
        raise InputError("coefficients must be finite")
    while values and values[-1] == 0:
        values.pop()
    return values


def evaluate(x: R, coefficients: Sequence[float]) -> R:
    """sum_i coefficients[i] x^i for a degree of at least 1, the last coefficient not 0.

    Split at the highest power of two: x^(2^k) q(x) + r(x). The term of x^i takes as many levels as its product by the
    bits of i, coefficient first, so the result's level is that of TenSEAL's sum of terms.
    """
    return _split(_squares(x, (len(coefficients) - 1).bit_length()), list(coefficients))


def _squares(x: R, count: int) -> list[R]:
    squares = [x]
    while len(squares) < count:
        squares.append(squares[-1].square())
    return squares


def _split(squares: list[R], coefficients: list[float]) -> R:
    degree = len(coefficients) - 1
    k = degree.bit_length() - 1
    power = squares[k]
    quotient, remainder = coefficients[1 << k :], coefficients[: 1 << k]
    if len(quotient) == 1:
        high = power if quotient[0] == 1 else power.mul(quotient[0])
    else:
        high = power.mul(_split(squares, quotient))
    while len(remainder) > 1 and remainder[-1] == 0:
        remainder.pop()
    if len(remainder) > 1:
        return high.add(_split(squares, remainder))
    return high if remainder[0] == 0 else high.add(remainder[0])
