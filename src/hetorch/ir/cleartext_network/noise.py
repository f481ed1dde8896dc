"""Gaussian noise, quickly: one pool of normal numbers, of which every addition takes windows at random places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POOL = 1 << 17
"""Normal numbers in the pool, 1 MB. Raised, a number is used again more rarely, and making the pool takes longer."""
WINDOW = 1 << 14
"""Numbers that are taken from one place of the pool. Raised, fewer calls of numpy, whose operands leave the cache."""
ALIKE = 1e-3
"""Relative difference up to which the deviations of all rows are taken as one. Raised, noise is drawn faster and less
like the model's."""


def normal_pool(seed: int) -> Array:
    """Return the pool of a seed."""
    generator = np.random.Generator(np.random.SFC64(seed))
    return generator.standard_normal(POOL + WINDOW)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Noise for some samples: windows of `pool`, whose places `generator` draws."""

    pool: Array
    generator: np.random.Generator

    def add(self, values: Array, deviation: float | Array) -> None:
        """Add noise to `values`, (numbers, samples), in place; `deviation` is a number, or one for each row."""
        scale: Array = np.asarray(deviation, dtype=np.float64)
        if scale.ndim and len(scale) and np.ptp(scale) <= ALIKE * np.max(scale):
            scale = np.full((), np.max(scale))
        if not scale.ndim:  # in one dimension, numpy's loops are longest
            flat = values.reshape(-1)
            for start, place in self._windows(len(flat), WINDOW):
                part = flat[start : start + WINDOW]
                part += self.pool[place : place + len(part)] * scale
            return
        rows = max(1, WINDOW // max(values.shape[1], 1))
        for start, place in self._windows(len(values), rows):
            lines = values[start : start + rows]
            drawn = self.pool[place : place + lines.size].reshape(lines.shape)
            lines += drawn * scale[start : start + rows, None]

    def add_at(self, x: Array, values: Array, deviations: Array) -> None:
        """Add noise to `values` in place, whose deviation depends on `x`, an array of the same shape.

        `deviations` are those at points evenly spaced over [-1, 1], both ends included; the nearest one is taken.
        """
        points, into = x.reshape(-1), values.reshape(-1)
        last = len(deviations) - 1
        for start, place in self._windows(len(into), WINDOW):
            at = points[start : start + WINDOW] * (last / 2)
            at += last / 2 + 0.5
            into[start : start + WINDOW] += (
                deviations.take(at.astype(np.intp), mode="clip") * self.pool[place : place + len(at)]
            )

    def _windows(self, count: int, step: int) -> zip[tuple[int, int]]:
        """Return the starts of parts of `step`, each with a place in the pool."""
        starts = range(0, count, step)
        return zip(starts, self.generator.integers(0, POOL, len(starts)).tolist(), strict=True)
