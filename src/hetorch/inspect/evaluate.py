"""`hetorch.evaluate`: a plan on a test set, against its model and against labels, without encryption."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.errors import InputError
from hetorch.inspect.batches import check_runnable
from hetorch.inspect.evaluation import Evaluation, score
from hetorch.inspect.simulate import simulate_samples
from hetorch.ir.cleartext_network.steps import SeriesStep
from hetorch.plan import Plan
from hetorch.plan.inputs import beyond_range, to_array

Array = NDArray[np.float64]

CAPTURED = 32
"""Samples with which the model is read, and which it is run on at a time."""


def evaluate(
    plan: Plan, x: ArrayLike, y: ArrayLike | None = None, *, model: object | None = None, seed: int = 0
) -> Evaluation:
    """Compare what the plan computes with its model and with labels, on a test set; nothing is encrypted.

    Printed, the result is a table. Warns with InputRangeWarning if `x` leaves the calibrated range, as the client does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: a batch of samples of the plan's input_shape.
        y: the labels. Whole numbers (batch,) for a plan with several outputs are classes, compared with the index of
            the largest output; other numbers, in the shape of the outputs, are targets of a regression.
        model: the model that was compiled, in any form that hetorch.compile takes; without it only the compiled network
            is judged.
        seed: the seed of the modelled noise, 0 or more.

    Returns:
        Accuracy (or R² and root mean square error), agreement with the model, the worst error, and the share of samples
        outside the calibrated ranges.

    Raises:
        InputError: `plan` is no plan; `x` or `y` has the wrong shape; `model` takes other inputs than the plan.
        PlanUseError: the plan is without its weights.
        UnsupportedModelError: `model` cannot be read.
    """
    check_runnable(plan)
    samples, _ = plan.public().samples(x, fewest=1)
    outputs = plan.output_layout.size
    labels = None if y is None else _labels(y, len(samples), outputs)
    beyond = np.zeros(len(samples), dtype=bool)
    compiled = simulate_samples(plan, samples, None, beyond).reshape(len(samples), -1)
    noisy = simulate_samples(plan, samples, seed).reshape(len(samples), -1)
    clear = None if model is None else _outputs_in_clear(plan, model, samples)
    span = plan.report.output_range or 1.0
    has_ranges = any(isinstance(step, SeriesStep) for step in plan.network().steps)
    return Evaluation(
        name=plan.name,
        samples=len(samples),
        clear=None if clear is None else score(clear, labels, None, span),
        compiled=score(compiled, labels, clear, span),
        noisy=score(noisy, labels, compiled if clear is None else clear, span),
        outside_inputs=float(np.mean(beyond_range(samples, plan.input_range) > 0)),
        outside_activations=float(np.mean(beyond)) if has_ranges else None,
        output_range=plan.report.output_range,
    )


def _labels(y: ArrayLike, count: int, outputs: int) -> Array:
    """Return classes (count,), or targets (count, outputs)."""
    labels = to_array(y)
    if labels.ndim == 0 or len(labels) != count:
        raise InputError(f"the labels have shape {labels.shape}; {count} samples need as many labels")
    flat = labels.reshape(count, -1)
    if flat.shape[1] == 1 and outputs > 1:
        if not np.all((flat == np.rint(flat)) & (flat >= 0) & (flat < outputs)):
            wrong = flat[~((flat == np.rint(flat)) & (flat >= 0) & (flat < outputs))][0]
            raise InputError(
                f"the labels hold {wrong:g}; a plan with {outputs} outputs needs classes 0..{outputs - 1}, or "
                f"{outputs} numbers for each sample"
            )
        return flat[:, 0]
    if flat.shape[1] != outputs:
        raise InputError(
            f"the labels have shape {labels.shape}; the plan has {outputs} outputs for each sample"
        )
    if not np.all(np.isfinite(flat)):
        raise InputError("the labels hold NaN or infinity; give finite numbers")
    return flat


def _outputs_in_clear(plan: Plan, model: object, samples: Array) -> Array:
    """Return the outputs of the model, as far as the plan computes them: a final softmax or argmax is the client's."""
    from hetorch.optional_packages import explain_missing

    with explain_missing("hetorch.evaluate with a model"):
        from hetorch.compiler.frontend.capture import capture
        from hetorch.ir.interpreter import run_tensor_program
    program = capture(model, samples[:CAPTURED]).program
    if program.output_shape != plan.output_layout.shape:
        raise InputError(
            f"the model has outputs of shape {program.output_shape}, the plan of shape {plan.output_layout.shape}: "
            "was the plan compiled from another model?"
        )
    starts = range(0, len(samples), CAPTURED)
    parts = [run_tensor_program(program, samples[start : start + CAPTURED]) for start in starts]
    return np.concatenate(parts).reshape(len(samples), -1)
