"""`hetorch.evaluate`: a plan on a test set, against its model and against labels, without encryption."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.inspect.batches import check_runnable
from hetorch.inspect.evaluation import Classify, Evaluation, score
from hetorch.inspect.simulate import check_seed, simulate_samples
from hetorch.ir.cleartext_network.steps import SeriesStep
from hetorch.plan import Plan
from hetorch.plan.heads import row, split
from hetorch.plan.inputs import beyond_range, to_array
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.quantities import count_text

Array = NDArray[np.float64]

MODEL = "running the model in clear"
"""The stage that Progress is told while the model runs."""
CAPTURED = 32
"""Samples with which the model is read, and which it is run on at a time."""


def evaluate(
    plan: Plan,
    x: object,
    y: object | None = None,
    *,
    model: object | None = None,
    seed: int = 0,
    progress: ProgressOption = None,
) -> Evaluation:
    """Compare what the plan computes with its model and with labels, on a test set; nothing is encrypted.

    Printed, the result is a table. Warns with InputRangeWarning if `x` leaves the calibrated range, as the client does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: a batch of samples of the plan's input_shape, or a table, as for hetorch.Client.predict.
        y: the labels, for a plan of one output. Whole numbers (batch,) for a plan with several numbers are classes,
            compared with the index of the largest one; other numbers, in the shape of the output, are targets of a
            regression. For a plan of several outputs a mapping from the name of one that is a row of numbers to its
            classes, as {"logits": y}; accuracy and agreement are then those of this output. For a
            classifier of scikit-learn or ONNX they are what its predict returns.
        model: the model that was compiled, in any form that hetorch.compile takes; without it only the compiled network
            is judged.
        seed: the seed of the modelled noise, 0 or more.
        progress: as for hetorch.simulate.

    Returns:
        Accuracy (or R² and root mean square error), agreement with the model, the worst error, and the share of samples
        outside the calibrated ranges.

    Raises:
        InputError: `plan` is no plan; `x` or `y` has the wrong shape; `model` takes other inputs than the plan.
        PlanUseError: the plan is without its weights.
        UnsupportedModelError: `model` cannot be read.
    """
    check_runnable(plan)
    check_seed(seed)
    samples, _ = plan.public().samples(x, fewest=1)
    labels, classify = _labels_and_classes(plan, y, len(samples))
    beyond = np.zeros(len(samples), dtype=bool)
    with reporting(progress, "evaluate") as report:
        clear = None if model is None else _outputs_in_clear(plan, model, samples, report)
        compiled = simulate_samples(plan, samples, None, report, beyond).reshape(len(samples), -1)
        noisy = simulate_samples(plan, samples, seed, report).reshape(len(samples), -1)
    span = plan.report.output_range or 1.0
    has_ranges = any(isinstance(step, SeriesStep) for step in plan.network().steps)
    return Evaluation(
        name=plan.name,
        samples=len(samples),
        clear=None if clear is None else score(clear, labels, None, span, classify),
        compiled=score(compiled, labels, clear, span, classify),
        noisy=score(noisy, labels, compiled if clear is None else clear, span, classify),
        outside_inputs=float(np.mean(beyond_range(samples, plan.input_range) > 0)),
        outside_activations=float(np.mean(beyond)) if has_ranges else None,
        output_range=plan.report.output_range,
    )


def _labels_and_classes(
    plan: Plan, y: object | None, count: int
) -> tuple[NDArray[np.generic] | None, Classify | None]:
    """Return the labels of `count` samples, and the function from outputs to classes; None where there are none."""
    if isinstance(y, Mapping):
        classify, labels = _head_with_classes(plan, y, count)
        return labels, classify
    if y is None:
        return None, _classifier(plan)
    known = _labels(plan, y, count, plan.output_layout.size)
    is_regression = known.ndim > 1 and not plan.interface.classes
    return known, None if is_regression else _classifier(plan)


def _classifier(plan: Plan) -> Classify | None:
    """Return the function from outputs (samples, outputs) to classes: that of a classifier, or the argmax of each of
    the outputs that is a row of numbers; None if there is none."""
    heads = plan.interface.heads
    if plan.interface.classes:
        return plan.interface.labels
    rows, begin = [], 0
    for shape in [head.shape for head in heads] or [(plan.output_layout.size,)]:
        end = begin + math.prod(shape)
        if len(shape) == 1 and end - begin > 1:
            rows.append(slice(begin, end))
        begin = end
    if len(rows) == 1:
        return lambda outputs: outputs[:, rows[0]].argmax(axis=1)
    return (lambda outputs: np.stack([outputs[:, r].argmax(axis=1) for r in rows], axis=1)) if rows else None


def _head_with_classes(
    plan: Plan, y: Mapping[object, object], count: int
) -> tuple[Classify, NDArray[np.generic]]:
    """Return the function from outputs to the classes of the one output that `y` names, and its labels (count,)."""
    begin = 0
    for head in plan.interface.heads:
        part = slice(begin, begin + head.size)
        begin += head.size
        if list(y) != [head.name]:
            continue
        labels = to_array(y[head.name]).reshape(-1)
        whole = (labels == np.rint(labels)) & (labels >= 0) & (labels < head.size)
        if len(head.shape) != 1 or head.size < 2 or len(labels) != count or not whole.all():
            raise InputError(
                f"the labels of {head.name} must be one of the classes 0..{head.size - 1} for each of the "
                f"{count_text(count, 'sample')}, and the output a row of numbers; it has shape {head.shape}"
            )
        return (lambda outputs, part=part: outputs[:, part].argmax(axis=1)), labels
    names = ", ".join(head.name for head in plan.interface.heads) or "one without a name"
    raise InputError(f"the labels name {', '.join(map(str, y))}; name one of the plan's outputs ({names})")


def _labels(plan: Plan, y: object, count: int, outputs: int) -> NDArray[np.generic]:
    """Return classes as _classifier's function does, or targets (count, outputs)."""
    if len(plan.interface.heads) > 1:
        raise InputError(
            "the plan has several outputs: give the classes of one of them by its name, as in "
            f"{{{plan.interface.heads[0].name!r}: y}}"
        )
    if plan.interface.classes:
        given = np.asarray(y)
        if given.shape[:1] != (count,):
            raise InputError(
                f"the labels have shape {given.shape}; give one label for each of the {count_text(count, 'sample')}"
            )
        # A column of a file is (count, 1); with the labels of one classifier, (count,), it would be compared crosswise.
        crosswise = given.shape == (count, 1) and [one.exclusive for one in plan.interface.classes] == [True]
        return given[:, 0] if crosswise else given
    labels = to_array(y)
    if labels.ndim == 0 or len(labels) != count:
        raise InputError(
            f"the labels have shape {labels.shape}; give one label for each of the {count_text(count, 'sample')}"
        )
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


def _outputs_in_clear(plan: Plan, model: object, samples: Array, report: Progress) -> Array:
    """Return the outputs of the model, as far as the plan computes them: a final softmax or argmax is the client's."""
    from hetorch.optional_packages import explain_missing

    with explain_missing("hetorch.evaluate with a model"):
        from hetorch.compiler.frontend.capture import capture
        from hetorch.ir.interpreter import run_tensor_program
    heads = plan.interface.heads
    names = [head.name for head in heads] or None
    captured = capture(model, samples[:CAPTURED], names, prepared=True)
    program = captured.program
    if program.output_shape != plan.output_layout.shape:
        raise InputError(
            f"the model has outputs of shape {program.output_shape}, the plan of shape {plan.output_layout.shape}: "
            "was the plan compiled from another model?"
        )
    parts = []
    for start in range(0, len(samples), CAPTURED):
        report(MODEL, start / len(samples))
        parts.append(run_tensor_program(program, samples[start : start + CAPTURED]))
    results = np.concatenate(parts).reshape(len(samples), -1)
    return row(heads, split(captured.interface.heads, results)) if heads else results
