"""Pass: activations become polynomials over the ranges that the calibration inputs reach.

Assumes: a tensor program whose affine runs are fused, so that the layer after an activation is one matrix.
Ensures: a program without activations. Unless the user fixed degrees, its outputs on the calibration inputs are as near
to the model's as the options ask. No calibration input leaves the range of a polynomial.

If the outputs explode on inputs beside those of calibration (`stable_off_calibration`), all fits are made anew on
ranges that hold the values that the model itself has on these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.compare_outputs import Shapes, compare_outputs
from hetorch.compiler.activations.evaluate_degrees import Task
from hetorch.compiler.activations.search_degrees import Goal, search_degrees
from hetorch.compiler.activations.stable_off_calibration import shifted_inputs, stability_of
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InfeasibleError
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import TensorProgram, Wish

Array = NDArray[np.float64]


def approximate_activations(
    program: TensorProgram, inputs: Array, reference: Array, options: CompileOptions, heads: Shapes = ()
) -> Approximated:
    """Replace every activation by a polynomial.

    Args:
        program: the network.
        inputs: calibration inputs, (batch, *shape).
        reference: the model's outputs on them.
        options: the activation_... options decide.
        heads: the shapes of the model's outputs, if the program returns a row of several.

    Raises:
        InfeasibleError: no degree brings the outputs as near to the reference as the options ask, a precision is out of
            reach, or a function is not defined on its range.
    """
    with np.errstate(all="ignore"):
        values = trace_tensor_program(program, inputs)
    task = Task(
        program=program,
        inputs=inputs,
        reference=reference,
        values=values,
        wish=Wish(options.activation_degree, options.activation_precision),
        only_bounds=options.activation_ranges == "interval",
        heads=heads,
    )
    if not task.activations:
        error, agreement = compare_outputs(values[program.output], reference, heads)
        return Approximated(program, error, agreement, (), ())
    # A single sample may always differ: with few samples it would be a large share.
    goal = Goal(options.activation_tolerance, min(options.activation_agreement, 1 - 1 / len(inputs)))
    calibrated = search_degrees(task, goal)

    shifted = shifted_inputs(inputs)
    with np.errstate(all="ignore"):
        beside = trace_tensor_program(program, shifted)
    stability = stability_of(shifted, beside[program.output], reference)
    if stability.holds(calibrated.program):
        return calibrated
    try:
        wide = search_degrees(replace(task, beside=beside), replace(goal, stability=stability))
    except InfeasibleError:
        return replace(calibrated, stable_off_calibration=False)
    # Wider ranges cost precision; a fixed degree may lose no more than the tolerance, or than it lost before.
    precise = wide.error <= max(goal.tolerance, calibrated.error)
    if precise and stability.holds(wide.program):
        return wide
    return replace(calibrated, stable_off_calibration=False)
