"""Hermite polynomials that are orthonormal under the normal distribution, and expansions in them.

h_0 = 1, h_1 = z and h_(k+1) = (z h_k - sqrt(k) h_(k-1)) / sqrt(k + 1) (Abramowitz and Stegun, 22.7.14, normalised).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

POINTS = 1025
"""Number of points at which a target is read for an expansion. Raised, kinks are met better, in the sixth digit."""


def hermite_values(z: Tensor, degree: int) -> Tensor:
    """Return h_0(z), ..., h_degree(z) in a new last axis."""
    values = [torch.ones_like(z), z]
    for k in range(1, degree):
        values.append((z * values[k] - math.sqrt(k) * values[k - 1]) / math.sqrt(k + 1))
    return torch.stack(values[: degree + 1], dim=-1)


def powers_of_hermite(degree: int, bound: float) -> Tensor:
    """Return the coefficients of t^0, ..., t^degree in h_k(bound t), row k for h_k, in float64."""
    rows = torch.zeros(degree + 1, degree + 1, dtype=torch.float64)
    rows[0, 0] = 1.0
    if degree:
        rows[1, 1] = bound
    for k in range(1, degree):
        rows[k + 1, 1:] = bound * rows[k, :-1]
        rows[k + 1] = (rows[k + 1] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1)
    return rows


def expand(function: Callable[[Tensor], Tensor], degree: int, bound: float) -> Tensor:
    """Return the coefficients of h_0, ..., h_degree nearest to a function of z, (channels, degree + 1), in float64.

    Args:
        function: maps z, (POINTS, 1) in float64, to (POINTS, channels).
        degree: the degree of the expansion.
        bound: the distance is the mean square over the normal distribution on -bound..bound.
    """
    z = torch.linspace(-bound, bound, POINTS, dtype=torch.float64)
    root = torch.exp(-(z**2) / 4)[:, None]
    basis = hermite_values(z, degree) * root
    solution: Tensor = torch.linalg.lstsq(basis, function(z[:, None]) * root).solution
    return solution.T
