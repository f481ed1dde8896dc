"""A network whose inner activations leave the ranges of their polynomials on inputs within the calibrated range."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import hetorch

Array = NDArray[np.float64]
WIDTH, REACH = 8, 0.9


@functools.cache
def network() -> nn.Module:
    """Return two layers with BatchNorm and SiLU, normalised on calibration_inputs."""
    torch.manual_seed(0)
    layers = [nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.SiLU()]
    layers += [nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.SiLU()]
    module = nn.Sequential(*layers, nn.Linear(WIDTH, 2))
    rows = torch.from_numpy(calibration_inputs()).float()
    with torch.no_grad():
        for _ in range(60):
            module(rows)
    return module.eval()


def calibration_inputs(seed: int = 0, count: int = 256) -> Array:
    """Return rows in -1..1, in which about a third of the numbers are large."""
    random = np.random.default_rng(seed)
    rows = random.uniform(-1, 1, (count, WIDTH))
    return np.where(random.random(rows.shape) < 0.3, rows, 0.2 * rows)


@functools.cache
def far_plan() -> hetorch.Plan:
    """Return the network's plan, on a ring of degree 2^14."""
    return hetorch.compile(network(), calibration_inputs(), activation_degree=5, name="far", progress=False)


WRONG = 133
"""The one of the corners whose result is furthest from the model's."""


def corners() -> Array:
    """Return the rows whose numbers are all large, within the calibrated range: (2^WIDTH, WIDTH)."""
    signs = np.array(np.meshgrid(*[[-REACH, REACH]] * WIDTH))
    return signs.reshape(WIDTH, -1).T.astype(np.float64)


def in_clear(rows: Array) -> Array:
    """Return what the network says of rows: (batch, 2)."""
    with torch.no_grad():
        outputs: Array = network()(torch.from_numpy(rows).float()).double().numpy()
    return outputs
