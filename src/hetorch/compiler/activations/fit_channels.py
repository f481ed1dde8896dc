"""Polynomials of low degree, one for each channel, by least squares: alone, or together with the layer that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.fit_polynomial import SAMPLES, Function, on_unit_range
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]

EVEN_WEIGHT = 0.02
"""Share of the least-squares weight that lies evenly on the range: less than for series, because polynomials of low
degree have little freedom to swing where no values lie."""
GRID = 128
"""Number of points that carry the even weight."""
JOINT_RIDGE = 0.1
"""Weight of each channel's own fit in a joint fit. A larger value keeps each polynomial nearer to its function and lets
the errors of different channels cancel less."""
MOST_JOINT = 2048
"""Largest number of coefficients that are fitted jointly; solving for more takes too long."""
JOINT_SAMPLES = 10
"""Least number of outputs of the following layer, over all samples, for each coefficient of a joint fit."""


@dataclass(frozen=True, slots=True, eq=False)
class NormalEquations:
    """gram (columns, n, n) @ coefficients = right (columns, n): one least-squares problem for each column."""

    gram: Array
    right: Array

    def solution(self) -> Array:
        """Return the coefficients, (columns, n)."""
        return np.asarray(np.linalg.solve(self.gram, self.right[..., None])[..., 0])


def fit_channels(
    op: Activation, domain: Domain, powers: tuple[int, ...], *, centred: bool = False
) -> tuple[Array, Array, Array]:
    """Fit sum_k c_k t^powers[k] with t = (x - centre) / half to the activation, for each channel.

    The fit is a joint one if a single affine map reads the result, each element is a channel, and there are enough
    samples.

    Args:
        op: the activation.
        domain: its ranges and values.
        powers: exponents of t.
        centred: put all centres at 0.

    Returns:
        centre (size,), half (size,) and coefficients (size, len(powers)) of each element.
    """
    starts = np.flatnonzero(np.r_[True, domain.channel[1:] != domain.channel[:-1]])
    low, high = domain.low[starts], domain.high[starts]
    centre = np.zeros(len(starts)) if centred else (low + high) / 2
    half = np.maximum(np.abs(low), np.abs(high)) if centred else (high - low) / 2
    per_channel = domain.data.shape[1] // len(starts)
    # (batch, channels, per_channel) -> (batch * per_channel, channels)
    values = np.moveaxis(domain.data.reshape(len(domain.data), len(starts), per_channel), 1, 2).reshape(
        -1, len(starts)
    )
    scaled = (values - centre) / half
    alone = normal_equations(on_unit_range(op.apply, centre, half), scaled, powers, EVEN_WEIGHT)
    size = len(starts) * len(powers)
    reader = domain.reader
    if (
        reader is not None
        and len(starts) == len(domain.channel)
        and size <= MOST_JOINT
        and reader.target.size >= JOINT_SAMPLES * size
    ):
        coefficients = fit_jointly(alone, scaled, powers, reader.matrix, reader.target)
    else:
        coefficients = alone.solution()
    return centre[domain.channel], half[domain.channel], coefficients[domain.channel]


def normal_equations(function: Function, data: Array, powers: Sequence[int], even: float) -> NormalEquations:
    """Return the least-squares problems of the powers of t in each column.

    Args:
        function: maps t (n, columns) to values (n, columns).
        data: t in [-1, 1], (samples, columns); their distribution is the weight.
        powers: exponents of t.
        even: share of the weight that lies evenly on [-1, 1] instead.
    """
    points = data[:: max(1, -(-len(data) // SAMPLES))]
    # The layout of an array decides the order of sums, and so the last bits of the weights.
    values = function(np.ascontiguousarray(points))
    grid = np.linspace(-1.0, 1.0, GRID)
    even_basis = _powers_of(grid, powers).T
    even_values = function(np.broadcast_to(grid[:, None], (len(grid), points.shape[1])))
    gram = even_basis.T @ even_basis * (even / len(grid))
    right = (even_basis.T @ even_values * (even / len(grid))).T
    by_column = _powers_of(points.T, powers).transpose(1, 0, 2)
    share = (1 - even) / len(points)
    return NormalEquations(
        gram + by_column @ by_column.transpose(0, 2, 1) * share,
        right + (by_column @ values.T[:, :, None])[:, :, 0] * share,
    )


def _powers_of(t: Array, powers: Sequence[int]) -> Array:
    """Return t to each of the powers, (len(powers), *t.shape), by products: numpy's own power is slow."""
    raised = [np.ones_like(t)]
    while len(raised) <= max(powers):
        raised.append(raised[-1] * t)
    return np.stack([raised[power] for power in powers])


def fit_jointly(
    alone: NormalEquations, data: Array, powers: Sequence[int], weight: Array, target: Array
) -> Array:
    """Return coefficients (columns, n) that bring the following layer nearest to its values in the model.

    The errors of different columns may cancel. The problems of the columns alone, with the share JOINT_RIDGE, keep each
    polynomial near its function.

    Args:
        alone: the problems of the columns alone.
        data: t in [-1, 1], (samples, columns).
        powers: exponents of t.
        weight: matrix of the following layer, (outputs, columns).
        target: results of that matrix in the model, (samples, outputs).
    """
    samples, columns = data.shape
    count = len(powers)
    basis = np.moveaxis(_powers_of(data, powers), 0, 2).reshape(samples, columns * count)
    mixing = weight.T @ weight
    gram = (basis.T @ basis) / samples * np.repeat(np.repeat(mixing, count, axis=0), count, axis=1)
    right = (basis * np.repeat(target @ weight, count, axis=1)).mean(axis=0)
    for column, own in enumerate(np.diag(mixing)):
        block = slice(column * count, (column + 1) * count)
        gram[block, block] += JOINT_RIDGE * max(own, 1e-12) * alone.gram[column]
        right[block] += JOINT_RIDGE * max(own, 1e-12) * alone.right[column]
    return np.asarray(np.linalg.solve(gram, right)).reshape(columns, count)
