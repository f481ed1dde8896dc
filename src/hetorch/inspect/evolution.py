"""A search for the largest value of a function of many numbers in [0, 1], without derivatives.

The method is the separable CMA-ES of Ros and Hansen, "A Simple Modification in CMA-ES Achieving Linear Time and Space
Complexity" (2008): a normal distribution with a variance for each number, moved towards the best of its samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIRST_STEP = 0.2
"""Standard deviation of the first samples, of the width of the box. Raised, the search starts less near its best
start."""


@dataclass(slots=True, eq=False)
class Evolution:
    """The state of the search: the distribution of the next samples.

    mean       their centre, (size,)
    generator  the source of their random numbers
    step       their common deviation, and `variance` (size,) that of each number relative to it
    """

    mean: Array
    generator: np.random.Generator
    step: float = FIRST_STEP
    variance: Array = field(init=False)
    _path: Array = field(init=False)
    _variance_path: Array = field(init=False)

    def __post_init__(self) -> None:
        self.variance = np.ones_like(self.mean)
        self._path = np.zeros_like(self.mean)
        self._variance_path = np.zeros_like(self.mean)

    def samples(self, count: int) -> Array:
        """Return samples in the box, (count, size)."""
        drawn = self.generator.standard_normal((count, self.mean.size))
        return np.asarray(np.clip(self.mean + self.step * np.sqrt(self.variance) * drawn, 0.0, 1.0))

    def learn(self, samples: Array, scores: Array) -> None:
        """Move the distribution towards the samples of the highest scores; the constants are those of the paper."""
        size, half = self.mean.size, len(samples) // 2
        weights = math.log(half + 0.5) - np.log(np.arange(1, half + 1))
        weights /= weights.sum()
        effective = 1.0 / float(np.sum(weights**2))
        step_rate = (effective + 2) / (size + effective + 3)
        damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (size + 1)) - 1) + step_rate
        path_rate = 4 / (size + 4)
        whole = 2 / (effective * (size + math.sqrt(2)) ** 2)
        whole += (1 - 1 / effective) * min(1.0, (2 * effective - 1) / ((size + 2) ** 2 + effective))
        rate = min(0.9, whole * (size + 2) / 3)
        expected = math.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size**2))

        best = samples[np.argsort(-scores, kind="stable")[:half]]
        moves = (best - self.mean) / self.step
        move = weights @ moves
        self._path *= 1 - step_rate
        self._path += math.sqrt(step_rate * (2 - step_rate) * effective) * move / np.sqrt(self.variance)
        self._variance_path *= 1 - path_rate
        self._variance_path += math.sqrt(path_rate * (2 - path_rate) * effective) * move
        spread = self._variance_path**2 / effective + (1 - 1 / effective) * (weights @ moves**2)
        self.variance = np.maximum((1 - rate) * self.variance + rate * spread, 1e-12)
        self.mean = self.mean + self.step * move
        length = float(np.linalg.norm(self._path))
        self.step = min(self.step * math.exp(step_rate / damping * (length / expected - 1)), 1.0)


def maximise(
    score: Callable[[Array], Array],
    starts: Array,
    evaluations: int,
    seed: int,
    told: Callable[[int], None],
) -> Array:
    """Return the best sample, (size,), that about that many evaluations find.

    Args:
        score: from samples (count, size) to the value of each, (count,); -infinity for samples that do not count.
        starts: the first samples, (count, size); the search goes on from the best of them.
        evaluations: the number of samples that are scored.
        seed: the seed of the random numbers.
        told: called with the number of samples that were scored so far.
    """
    scores = score(starts)
    best: Array = starts[int(np.argmax(scores))]
    highest = float(np.max(scores))
    state = Evolution(best.copy(), np.random.default_rng(seed))
    count, done = 2 * (4 + int(3 * math.log(starts.shape[1]))), len(starts)
    while done < evaluations:
        samples = state.samples(count)
        scores = score(samples)
        if scores.max() > highest:
            best, highest = samples[int(np.argmax(scores))], float(scores.max())
        state.learn(samples, scores)
        done += count
        told(done)
    return best
