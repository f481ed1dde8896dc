"""The two models of the demonstration, a logistic one and a small network, and how a hospital trains them.

Weights are float64 arrays by the names of torch's state_dict, so that the fixed-point step is all that encrypted
averaging differs by from that in clear. They are trained in numpy: a hospital's process loads no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hetorch.demo.federated.records import FEATURES, Records

LOGISTIC, NETWORK = "logistic model", "small network"
MODELS = (LOGISTIC, NETWORK)
HIDDEN = 16
"""Neurons of the small network, with the hyperbolic tangent."""
BATCH = 16
RATES = {LOGISTIC: 0.05, NETWORK: 0.1}
"""Learning rates of gradient descent."""
DECAY = 1e-2
"""Weight decay: the hospitals have few records."""
EPOCHS = 2
"""Passes over a hospital's records in one round. More of them let the hospitals drift apart between two means."""

FloatArray = NDArray[np.float64]
Weights = Mapping[str, FloatArray]


def initial_weights(model: str) -> Weights:
    """Return the weights with which each hospital begins."""
    # numpy's generator, and not hetorch's: they are no secret, and the same everywhere.
    numbers = np.random.default_rng(0)

    def layer(inputs: int, outputs: int) -> tuple[FloatArray, FloatArray]:
        bound = inputs**-0.5
        return numbers.uniform(-bound, bound, (outputs, inputs)), np.zeros(outputs)

    sizes = (FEATURES, 1) if model == LOGISTIC else (FEATURES, HIDDEN, 1)
    weights = {}
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weights[f"{2 * index}.weight"], weights[f"{2 * index}.bias"] = layer(inputs, outputs)
    return weights


def logits(weights: Weights, features: FloatArray) -> FloatArray:
    """Return the logits (n,) of features (n, FEATURES)."""
    values = features @ weights["0.weight"].T + weights["0.bias"]
    if "2.weight" in weights:
        values = np.tanh(values) @ weights["2.weight"].T + weights["2.bias"]
    return values[:, 0]


def gradient(weights: Weights, records: Records) -> Weights:
    """Return the gradient of the mean cross-entropy of the records."""
    x = records.features
    slope = (1 / (1 + np.exp(-logits(weights, x))) - records.labels)[:, None] / len(records)
    if "2.weight" not in weights:
        return {"0.weight": slope.T @ x, "0.bias": slope.sum(axis=0)}
    hidden = np.tanh(x @ weights["0.weight"].T + weights["0.bias"])
    inner = slope @ weights["2.weight"] * (1 - hidden**2)
    return {
        "0.weight": inner.T @ x,
        "0.bias": inner.sum(axis=0),
        "2.weight": slope.T @ hidden,
        "2.bias": slope.sum(axis=0),
    }


def train(model: str, weights: Weights, records: Records, seed: list[int]) -> Weights:
    """Return the weights after EPOCHS of gradient descent from `weights`, in an order drawn from `seed`."""
    order = np.random.default_rng(seed)
    rate = RATES[model]
    current = dict(weights)
    for _ in range(EPOCHS):
        shuffled = order.permutation(len(records))
        for begin in range(0, len(records), BATCH):
            chosen = shuffled[begin : begin + BATCH]
            slope = gradient(current, Records(records.features[chosen], records.labels[chosen]))
            current = {name: value - rate * (slope[name] + DECAY * value) for name, value in current.items()}
    return current


def plus(weights: Weights, change: Weights) -> Weights:
    """Return weights + change."""
    return {name: value + change[name] for name, value in weights.items()}


def minus(weights: Weights, others: Weights) -> Weights:
    """Return weights - others."""
    return {name: value - others[name] for name, value in weights.items()}


def accuracy(weights: Weights, records: Records) -> float:
    """Return the share of records that the model puts on the right side."""
    return float(np.mean((logits(weights, records.features) > 0) == (records.labels > 0.5)))
