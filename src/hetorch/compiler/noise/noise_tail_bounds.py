"""Bounds of noise that hold where it is not Gaussian: Chernoff bounds of sums of Laplace variables.

In a slot, a rounding error is multiplied by the secret key's value, and the error of an evaluation key by a digit's
value. Both are products of two complex Gaussians, whose real part follows Laplace's distribution, with tails of
exp(-sqrt(2) t) where a Gaussian has exp(-t^2 / 2). (Tests saw errors beyond a six-sigma Gaussian bound.) Sums over
slots come near the Gaussian again, the sooner the more slots have equal weight.

Chernoff's bound covers both: a sum of independent Laplace variables of variances w_i has the cumulant generating
function -sum_i log(1 - w_i l^2 / 2). It is at most -n log(1 - (V / n) l^2 / 2) with V = sum w_i and n = V / max w_i:
-log(1 - x) is convex, so the sum is largest where the variances are as unequal as they may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXCEEDED = 1e-8
"""Probability that a number lies beyond its bound: the bound is 6.2 standard deviations of a Gaussian, and 16 of one
Laplace variable. Raised, bounds are lower and are exceeded more often."""
MOST_TERMS = 1e4
"""Largest number of equal terms that a sum is taken to have. Raised, bounds of sums of more terms come still nearer to
the Gaussian bound."""
CANDIDATES = 4
"""Number of rows, those with the largest variances, whose bounds are computed. Raised, predictions take longer."""
_STEPS = np.concatenate([np.geomspace(0.01, 0.9, 40), np.linspace(0.91, 0.999, 12)])
"""Values of l at which Chernoff's bound is tried, as shares of the largest one."""


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Independent sums of noise terms, one per row: the `variance` of each sum, and that of its `largest` term."""

    variance: Array
    largest: Array


def bound(noises: Sequence[Noise]) -> float:
    """Return a bound that the sum of `noises` exceeds in each row with a probability of at most EXCEEDED.

    The rows of all `noises` are added one by one; those of a Noise with a single row are added to every row.
    """
    count = max((len(noise.variance) for noise in noises), default=0)
    if count == 0:
        return 0.0
    variances = np.array([np.broadcast_to(noise.variance, count) for noise in noises])
    largest = np.array([np.broadcast_to(noise.largest, count) for noise in noises])
    rows = np.argsort(-variances.sum(axis=0), kind="stable")[:CANDIDATES]
    return max(_row(variances[:, row], largest[:, row]) for row in rows)


def _row(variance: Array, largest: Array) -> float:
    present = variance > 0
    if not present.any():
        return 0.0
    v = variance[present]
    # The floor keeps the quotient finite; it is far beyond MOST_TERMS there.
    terms = np.clip(v / np.maximum(largest[present], 1e-300 * np.maximum(v, 1.0)), 1.0, MOST_TERMS)
    # l is below 1 / sqrt(w / 2) for the largest term w: there the logarithm's argument is 0.
    half_terms = v / terms / 2
    most = 1 / math.sqrt(float(half_terms.max()))
    generating = -(terms[:, None] * np.log1p(-np.outer(half_terms, (_STEPS * most) ** 2))).sum(axis=0)
    return float(np.min((generating + math.log(2 / EXCEEDED)) / (_STEPS * most)))
