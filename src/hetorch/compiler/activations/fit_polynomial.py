"""Polynomials that stand for functions: weighted least squares on the observed distribution, and what bounds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

RANGE_MARGIN = 0.2
"""The calibrated range is widened by this share on both sides: inputs that calibration did not see."""
UNIFORM_WEIGHT = 0.1
"""Share of the least-squares weight that lies evenly on the range, so that the tails stay bounded."""
GROUP_UNIFORM_WEIGHT = 0.02
"""The same for fits of low degree to one channel, which have little freedom to swing."""
JOINT_RIDGE = 0.1
"""Weight of each channel's own fit beside that of what the next layer makes of all of them."""
GRID = 512
SAMPLES = 8192
"""Points of the evenly weighted grid, and most calibration values used in one fit."""
NEGLIGIBLE = 1e-9
"""A coefficient below this share of the largest one is dropped: far below any encryption noise."""
TAIL_GROWTH = 8.0
"""How many times its largest value in the range a polynomial may reach beside the range, before it counts as gone: the
outputs have that much room before they wrap around the last modulus and take all slots of their ciphertext along."""
MOST_REACH = 64.0
"""Half ranges from the centre, as far as anybody looks."""
TAIL_LEAST = 1.1
"""So far, in half ranges from the centre, the growth must hold; fits that break it get more even weight, and if that is
not enough a wider range."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What became of one activation.

    `low`..`high` is the range of all its elements, `error` the largest difference from the function on the calibration
    values and evenly over the range. `escapes` is the share of values of one half of the calibration inputs that lie
    outside the range found from the other half: an estimate for inputs to come. Up to `reach` half ranges from the
    centre the polynomial stays below TAIL_GROWTH times its largest value in the range, whatever the input does.
    """

    name: str
    function: str
    degree: int
    depth: int
    method: str
    low: float
    high: float
    error: float
    escapes: float
    reach: float


def fit(function: Callable[[Array], Array], data: Array, degree: int, even: float = UNIFORM_WEIGHT) -> Array:
    """Chebyshev coefficients on [-1, 1] by least squares: the distribution of `data`, mixed with the share `even` of
    even weight."""
    flat = data.reshape(-1)
    # Every n-th value: deterministic, and calibration batches have no order.
    points = flat[:: max(1, -(-flat.size // SAMPLES))]
    grid = np.linspace(-1.0, 1.0, GRID)
    x = np.concatenate([points, grid])
    weights = np.concatenate(
        [
            np.full(points.size, math.sqrt((1 - even) / points.size)),
            np.full(GRID, math.sqrt(even / GRID)),
        ]
    )
    matrix = chebyshev.chebvander(x, degree) * weights[:, None]
    solution = np.linalg.lstsq(matrix, function(x) * weights, rcond=None)[0]
    kept = np.flatnonzero(np.abs(solution) > NEGLIGIBLE * max(float(np.max(np.abs(solution))), 1e-300))
    return np.asarray(solution[: (int(kept[-1]) if kept.size else 0) + 1])


def bounded_fit(function: Callable[[Array], Array], data: Array, degree: int) -> tuple[Array, float]:
    """A fit whose tail holds up to TAIL_LEAST, with as little even weight as that takes, and how many times wider than
    that of `data` the range [-1, 1] of its coefficients is: 1.0, or TAIL_LEAST where no weight will do (degrees from 31
    on grow too fast beside a kink), so that the fit itself goes that far, if the function does."""
    even = UNIFORM_WEIGHT
    while even <= 1:
        found = fit(function, data, degree, even)
        if reach_of(found) >= TAIL_LEAST:
            return found, 1.0
        even = min(1.0, even * 2) if even < 1 else math.inf
    with np.errstate(all="ignore"):
        defined = bool(np.all(np.isfinite(function(np.linspace(-TAIL_LEAST, TAIL_LEAST, GRID)))))
    stretch = TAIL_LEAST if defined else 1.0
    return fit(lambda t: function(t * stretch), data / stretch, degree), stretch


def reach_of(coefficients: Sequence[float] | Array) -> float:
    """The largest r up to MOST_REACH such that |p(t)| <= TAIL_GROWTH * max over [-1, 1] of |p| for all |t| <= r.

    For |t| = r >= 1, |T_k(t)| = cosh(k arcosh r), so |p(t)| <= sum |c_k| cosh(k arcosh r), which grows with r.
    """
    sizes = np.abs(np.asarray(coefficients, dtype=np.float64))
    most = TAIL_GROWTH * float(np.max(np.abs(chebyshev.chebval(np.linspace(-1, 1, GRID), coefficients))))
    orders = np.arange(len(sizes))

    def bound(r: float) -> float:
        return float(np.sum(sizes * np.cosh(orders * math.acosh(r))))

    if bound(1.0) > most:
        return 1.0
    low, high = 1.0, MOST_REACH
    if bound(high) <= most:
        return high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if bound(middle) <= most else (low, middle)
    return low


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """Normal equations of one fit a column: gram (columns, n, n) @ coefficients = right (columns, n)."""

    gram: Array
    right: Array

    def solution(self) -> Array:
        """Coefficients, (columns, n)."""
        return np.asarray(np.linalg.solve(self.gram, self.right[..., None])[..., 0])


def normal_equations(
    function: Callable[[Array, Indices], Array], data: Array, powers: Sequence[int], even: float
) -> Normal:
    """For each column the least squares of t^powers for t = `data` (samples, columns) in [-1, 1], mixed with the share
    `even` of even weight. `function` takes t and the column numbers, of one shape."""
    step = max(1, -(-len(data) // SAMPLES))
    points = data[::step]
    columns = points.shape[1]
    grid = np.linspace(-1.0, 1.0, 128)
    number = np.broadcast_to(np.arange(columns), points.shape)
    orders = np.asarray(powers, dtype=np.float64)
    even_basis = grid[:, None] ** orders
    even_values = function(
        np.broadcast_to(grid[:, None], (len(grid), columns)),
        np.broadcast_to(np.arange(columns), (len(grid), columns)),
    )
    gram = even_basis.T @ even_basis * (even / len(grid))
    right = (even_basis.T @ even_values * (even / len(grid))).T
    by_column = (points[:, :, None] ** orders).transpose(1, 2, 0)
    share = (1 - even) / len(points)
    return Normal(
        gram + by_column @ by_column.transpose(0, 2, 1) * share,
        right + (by_column @ function(points, number).T[:, :, None])[:, :, 0] * share,
    )


def fit_jointly(alone: Normal, data: Array, powers: Sequence[int], weight: Array, target: Array) -> Array:
    """Coefficients (columns, n) with which `weight` (outputs, columns) times the polynomials is nearest to `target`
    (samples, outputs): errors of different columns may cancel. The fits of the columns alone, with the share
    JOINT_RIDGE, keep each of them near its function."""
    samples, columns = data.shape
    size = columns * len(powers)
    basis = (data[:, :, None] ** np.asarray(powers, dtype=np.float64)).reshape(samples, size)
    mixing = weight.T @ weight
    count = len(powers)
    gram = (basis.T @ basis) / samples * np.repeat(np.repeat(mixing, count, axis=0), count, axis=1)
    right = (basis * np.repeat(target @ weight, count, axis=1)).mean(axis=0)
    for column, own in enumerate(np.diag(mixing)):
        block = slice(column * count, (column + 1) * count)
        gram[block, block] += JOINT_RIDGE * max(own, 1e-12) * alone.gram[column]
        right[block] += JOINT_RIDGE * max(own, 1e-12) * alone.right[column]
    return np.asarray(np.linalg.solve(gram, right)).reshape(columns, count)
