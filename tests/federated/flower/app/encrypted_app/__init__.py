"""An app of Flower: the model has two arrays, and the training of a node adds numbers that a test knows."""

from __future__ import annotations

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]


def first_model() -> Arrays:
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(30, 50)), "b": rng.normal(size=7)}


def change_of(node: int, server_round: int) -> Arrays:
    """What the training of a node adds to the model in a round."""
    rng = np.random.default_rng([node, server_round])
    return {name: np.asarray(rng.uniform(-0.5, 0.5, array.shape)) for name, array in first_model().items()}


def samples_of(node: int) -> int:
    return 100 + 37 * node
