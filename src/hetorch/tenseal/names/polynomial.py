"""Powers and polynomials of vectors and tensors, of the same depth as TenSEAL's and with fewer products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from hetorch.tenseal.scheme.arguments import real_number, sequence_of
from hetorch.tenseal.scheme.errors import refusal


class Ring(Protocol):
    """A type whose values a polynomial can be evaluated at."""

    def add(self, other: Any) -> Self: ...

    def mul(self, other: Any) -> Self: ...

    def square(self) -> Self: ...


R = TypeVar("R", bound=Ring)


def raised(x: R, power: int) -> R:
    """Return x^power for power >= 1, in ceil(log2(power)) levels, with one product for each set bit after the first."""
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
    """Return the coefficients as floats, without zeros at the end: [] for the zero polynomial.

    ValueError if there are none or one is not finite; TypeError for anything but a list of numbers.
    """
    values = [real_number(value, "polyval") for value in sequence_of(coefficients, "polyval")]
    if not values:
        raise refusal(ValueError, "the coefficients vector need to have at least one element")
    if not np.all(np.isfinite(values)):
        raise refusal(ValueError, "value must be finite", "a coefficient is not")
    while values and values[-1] == 0:
        values.pop()
    return values


def evaluate(x: R, coefficients: Sequence[float]) -> R:
    """Return sum_i coefficients[i] x^i, for a degree of at least 1 with a last coefficient that is not 0.

    The polynomial is split at the highest power of two: x^(2^k) q(x) + r(x). The term of x^i takes as many levels as
    the product of its coefficient and of the powers of two in i, so the result has the level of TenSEAL's sum of terms.
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


def evaluate_by_terms(x: R, constant: R, coefficients: Sequence[float]) -> R:
    """Return the same value by TenSEAL's own steps, for a context whose automatic steps are not all on.

    Scales and levels that do not meet are then an error, at the step where TenSEAL has it.

    Args:
        x: the variable.
        constant: a fresh encryption of coefficients[0].
        coefficients: at least two, the last one not 0.
    """
    squares = _squares(x, (len(coefficients) - 1).bit_length())
    total = constant
    for degree, coefficient in enumerate(coefficients):
        if degree and coefficient:
            total = total.add(_term(squares, degree, coefficient))
    return total


def _term(squares: list[R], degree: int, coefficient: float) -> R:
    k = degree.bit_length() - 1
    power, rest = squares[k], degree - (1 << k)
    if rest:
        return power.mul(_term(squares, rest, coefficient))
    return power if coefficient == 1 else power.mul(coefficient)
