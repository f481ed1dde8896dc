"""Stability of an approximated network on inputs beside those of calibration.

Polynomials grow fast beyond their ranges, and one that leaves its range makes the next one leave it further. A number
that outgrows the modulus spoils its whole ciphertext, with all samples in it. So the approximated network also runs on
shifted inputs, which lie further from and nearer to their mean than the calibration inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.domains import RANGE_MARGIN
from hetorch.compiler.activations.polynomial_growth import TAIL_GROWTH
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import TensorProgram

Array = NDArray[np.float64]

SHIFTED_SAMPLES = 128
"""Number of calibration samples that are shifted, each in both directions; more find more networks that explode."""


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Outputs on the shifted `inputs` (n, *shape) of at most `largest` in absolute value."""

    inputs: Array
    largest: float

    def holds(self, program: TensorProgram) -> bool:
        """Return True if all outputs of `program` on the shifted inputs are finite and small enough."""
        with np.errstate(all="ignore"):
            outputs = run_tensor_program(program, self.inputs)
        return bool(np.all(np.isfinite(outputs)) and np.max(np.abs(outputs)) <= self.largest)


def shifted_inputs(inputs: Array) -> Array:
    """Return some of the inputs (batch, *shape), moved by RANGE_MARGIN of their distance from the mean of all: away
    from it, then towards it."""
    mean = inputs.mean(axis=0)
    some = inputs[:: max(1, -(-len(inputs) // SHIFTED_SAMPLES))] - mean
    return np.concatenate([mean + (1 + RANGE_MARGIN) * some, mean + (1 - RANGE_MARGIN) * some])


def stability_of(shifted: Array, model_outputs: Array, reference: Array) -> Stability:
    """Return the stability that a network must have: outputs of at most TAIL_GROWTH times the model's largest one.

    Args:
        shifted: the shifted inputs.
        model_outputs: the model's outputs on these; those that are not finite do not count.
        reference: the model's outputs on the calibration inputs.
    """
    finite = model_outputs[np.isfinite(model_outputs)]
    largest = max(float(np.max(np.abs(reference))), float(np.max(np.abs(finite), initial=0.0)))
    return Stability(shifted, TAIL_GROWTH * largest)
