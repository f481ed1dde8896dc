"""The products of ciphertexts that take as long as a Chebyshev series, by the schedule that engines follow."""

from __future__ import annotations

import functools
import math

from hetorch.engine.polynomial import chebyshev_schedule, polynomial_depth

TERM = 0.2
"""Time of a product by a coefficient and its sum, relative to a product of two ciphertexts. Measured at N = 2^15 and 20
primes: 63 dense 249 ms, 62 without odd terms 172, 31 173, 30 119, 15 103, 14 66, 7 69, 6 39."""


@functools.lru_cache(maxsize=1024)
def series_products(coefficients: tuple[float, ...]) -> float:
    """Return the products that take as long as the series. Only its degree and its zeros count."""
    return _products(tuple(c != 0 for c in coefficients))


@functools.lru_cache(maxsize=256)
def _products(there: tuple[bool, ...]) -> float:
    if len(there) < 2:
        return 0.0
    depth = polynomial_depth(len(there) - 1)
    # Irrational numbers, so that no sums of theirs cancel.
    numbers = [math.sqrt(i + 2) if is_there else 0.0 for i, is_there in enumerate(there)]
    schedule = chebyshev_schedule(
        numbers, level=depth, input_scale=1.0, output_scale=1.0, modulus_chain=[1.0] * (depth + 1)
    )
    return len(schedule.multiplications()) + TERM * sum(there)
