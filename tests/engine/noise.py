"""How large the errors of CKKS may be: the model that the tests measure against, in values of slots.

Canonical embedding: if the coefficients of an error polynomial are independent with variance v, its value at a root of
unity is the sum of N terms of modulus 1, so a slot has variance N v (real and imaginary part N v / 2 each). A function
below returns sqrt(N v): the standard deviation of a slot's modulus, for a message of scale 1.

Tails: most errors are sums of products of two polynomials (noise times secret key, digit times noise), whose
slots are products of two nearly Gaussian complex numbers X Y. With E|XY|^2 = 1, P(|XY| > t) = 2t K_1(2t) ~
sqrt(pi t) exp(-2t), which for t = 16 is 9e-14; a Gaussian alone is far below. LIMIT = 16 therefore fails by
chance once in 10^9 for 2^13 slots. The root mean square over all slots concentrates; MEAN_LIMIT = 1.5 leaves
room for keys with a large norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.params import ParameterSet

SIGMA = 3.19
LIMIT = 16.0
MEAN_LIMIT = 1.5
ROUNDING = 1 / 12  # variance of rounding to the nearest integer
TERNARY = 2 / 3  # variance of a coefficient of the secret key


def _slot(n: int, variance: float) -> float:
    return math.sqrt(n * variance)


def encoding(p: ParameterSet) -> float:
    """Rounding of each coefficient."""
    return _slot(p.ring_degree, ROUNDING)


def fresh(p: ParameterSet) -> float:
    """Secret-key encryption: one error polynomial, and the encoding."""
    return _slot(p.ring_degree, SIGMA**2 + ROUNDING)


def fresh_public(p: ParameterSet) -> float:
    """e u + e_0 + e_1 s, u and s ternary, and the encoding."""
    return _slot(p.ring_degree, SIGMA**2 * (1 + 2 * p.ring_degree * TERNARY) + ROUNDING)


def division(p: ParameterSet) -> float:
    """Rescale and mod-down: both halves are rounded, and the second one's rounding is multiplied by s."""
    return _slot(p.ring_degree, ROUNDING * (1 + p.ring_degree * TERNARY))


def switching_before_division(p: ParameterSet, level: int) -> float:
    """sum_d digit_d e_d / P, the digits uniform in [-Q_d/2, Q_d/2)."""
    chain = p.modulus_chain[: level + 1]
    size = p.digit_size
    digits = [math.prod(chain[i : i + size]) for i in range(0, level + 1, size)]
    special = math.prod(p.special_primes)
    total = sum((d / special) ** 2 for d in digits)
    return _slot(p.ring_degree, p.ring_degree * SIGMA**2 * total / 12)


def switching(p: ParameterSet, level: int) -> float:
    """A whole key switch at `level`."""
    return math.hypot(switching_before_division(p, level), division(p))


def product(bound_a: float, error_a: float, bound_b: float, error_b: float) -> float:
    """(a + e_a)(b + e_b) - ab for |a|, |b| below the bounds; the term e_a e_b is added in full."""
    return math.hypot(bound_a * error_b, bound_b * error_a) + LIMIT * error_a * error_b


def assert_error(seen: NDArray[Any], expected: NDArray[Any], deviation: float | NDArray[np.float64]) -> None:
    """Every slot within LIMIT deviations (one for all, or each its own), their root mean square within MEAN_LIMIT.

    The transform between slots and coefficients is done in doubles: its error is below 16 log2(N) 2^-53 of the largest
    value, 2^-45 for every N here.
    """
    floor = 2.0**-45 * max(1.0, float(np.max(np.abs(expected))))
    error = np.abs(np.asarray(seen) - np.asarray(expected))
    worst = float(np.max(error / (LIMIT * deviation + floor)))
    mean = float(np.sqrt(np.mean((error / (MEAN_LIMIT * deviation + floor)) ** 2)))
    summary = f"largest error {error.max():.3g}, model's deviation {np.max(deviation):.3g}"
    assert worst <= 1, f"the worst slot is {worst:.3g} times its limit: {summary}"
    assert mean <= 1, f"the root mean square is {mean:.3g} times its limit: {summary}"
