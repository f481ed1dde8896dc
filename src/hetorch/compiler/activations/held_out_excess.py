"""By how much errors on inputs to come exceed those on the calibration inputs, for which layers are compensated.

Inputs to come are seldom quite like those of calibration. So the calibration inputs are parted along the direction in
which they differ most, and each half is once that of the calibration and once that of the inputs to come.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.compensate_layers import FEWEST_SAMPLES
from hetorch.compiler.activations.evaluate_degrees import Task, evaluate_degrees
from hetorch.ir.interpreter import run_tensor_program

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

DEGREE = 15
"""Degree of all polynomials with which the excess is measured. Raised, the measurement takes longer."""
MOST_EXCESS = 0.5
"""Largest excess, and that of inputs too few to be parted. Raised, more inputs keep their argmax where calibration
inputs are few or differ much, and networks take more levels. Chosen on training inputs that did not calibrate: of
those of three networks 99.5 to 99.7 % keep their argmax, where 99.5 % is asked; with 0.25 it is 99.2 to 99.5 %."""


def held_out_excess(task: Task) -> float:
    """Return the share by which errors on unseen inputs exceed those on the calibration inputs of the task.

    It is the larger one of both halves. As each is fitted to half the inputs, and the other is unlike it, the excess
    is rather too large than too small.
    """
    if len(task.inputs) < 2 * FEWEST_SAMPLES:
        return MOST_EXCESS
    first, second = halves(task.inputs)
    return min(max(_ratio(task, first, second) - 1, _ratio(task, second, first) - 1, 0.0), MOST_EXCESS)


def halves(inputs: Array) -> tuple[Indices, Indices]:
    """Return the numbers of the inputs in the lower and in the upper half of their first principal component."""
    flat = inputs.reshape(len(inputs), -1)
    flat = flat - flat.mean(axis=0)
    component = np.linalg.eigh(flat @ flat.T)[1][:, -1]
    order = np.argsort(component, kind="stable")
    middle = len(order) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def _ratio(task: Task, seen: Indices, unseen: Indices) -> float:
    """Return the root mean square error on `unseen` relative to that on `seen`, of a network that only saw these."""
    half = replace(
        task,
        inputs=task.inputs[seen],
        reference=task.reference[seen],
        values=[value[seen] for value in task.values],
        beside=None,
    )
    network = evaluate_degrees(half, (DEGREE,) * len(task.activations)).network
    if network is None:
        return 1 + MOST_EXCESS
    with np.errstate(all="ignore"):
        outputs = run_tensor_program(network.program, task.inputs).reshape(len(task.inputs), -1)
        errors = np.mean((outputs - task.reference.reshape(outputs.shape)) ** 2, axis=1)
        ratio = float(np.sqrt(np.mean(errors[unseen]) / np.mean(errors[seen])))
    return min(ratio, 1 + MOST_EXCESS) if np.isfinite(ratio) else 1 + MOST_EXCESS
