"""`hetorch.evaluate`: a plan on a test set, against its model and against labels, without encryption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.inspect.batches import check_runnable
from hetorch.inspect.evaluation import Evaluation, HeadScores
from hetorch.inspect.judged_outputs import Judged, judged_outputs, labels_for
from hetorch.inspect.labelled_data import read_labelled_data
from hetorch.inspect.simulate import check_seed, simulate_samples, warn_without_result
from hetorch.ir.cleartext_network.steps import SeriesStep
from hetorch.plan import Plan
from hetorch.plan.heads import row, split
from hetorch.plan.inputs import beyond_range
from hetorch.progress import Progress, ProgressOption, reporting

Array = NDArray[np.float64]

MODEL = "running the model in clear"
"""The stage that Progress is told while the model runs."""
CAPTURED = 32
"""Samples with which the model is read, and which it is run on at a time."""


def evaluate(
    plan: Plan,
    x: object,
    y: object | None = None,
    model: object | None = None,
    *,
    seed: int = 0,
    progress: ProgressOption = None,
) -> Evaluation:
    """Compare what the plan computes with its model and with labels, on a test set; nothing is encrypted.

    Printed, the result is a table. Warns with InputRangeWarning as hetorch.simulate does. A sample without a result has
    a wrong class, and no part in errors.

    Long because of its arguments' descriptions.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: a batch of samples of the plan's input_shape, or a table, as for hetorch.Client.predict; or a Dataset or
            DataLoader of samples or of pairs (sample, label), which is read once.
        y: the labels. Whole numbers (batch,) for an output of several numbers are classes, compared with the index of
            the largest one, and so are rows of zeros and one 1 (one-hot); 0 and 1, in the shape of an output that ends
            in a sigmoid, are compared with outputs above 1/2; other numbers in the shape of the output are targets of a
            regression. For a plan of several outputs a mapping from names to the labels of each, as {"logits": y}; with
            one name, accuracy and agreement of the whole are those of this output. For a classifier of scikit-learn or
            ONNX they are what its predict returns.
        model: the model that was compiled, in any form that hetorch.compile takes; without it only the compiled network
            is judged.
        seed: the seed of the modelled noise, 0 or more.
        progress: as for hetorch.simulate.

    Returns:
        Accuracy (or R² and root mean square error), agreement with the model, the worst error, and the share of samples
        outside the calibrated ranges; of several outputs these figures for each.

    Raises:
        InputError: `plan` is no plan; `x` or `y` has the wrong shape; `model` takes other inputs than the plan.
        PlanUseError: the plan is without its weights.
        UnsupportedModelError: `model` cannot be read.
    """
    check_runnable(plan)
    check_seed(seed)
    _check_labels(y)
    x, y = read_labelled_data(x, y, model)
    public = plan.public()
    samples, _ = public.samples(x, fewest=1)
    outputs = judged_outputs(plan.interface, plan.output_shape)
    known = labels_for(plan.interface, outputs, y, len(samples))
    with reporting(progress, "evaluate") as report:
        computed = _computed(plan, model, samples, seed, report)
    warn_without_result(computed.noisy)
    public.warn_of_results(computed.noisy)
    has_ranges = any(isinstance(step, SeriesStep) for step in plan.network().steps)
    span = plan.report.output_range or 1.0
    whole, *each = (computed.scores(judged, span) for judged in (known.whole, *known.each))
    return Evaluation(
        name=plan.name,
        samples=len(samples),
        clear=whole.clear,
        compiled=whole.compiled,
        noisy=whole.noisy,
        outside_inputs=float(np.mean(beyond_range(samples, plan.input_range) > 0)),
        without_result=int(np.count_nonzero(np.isnan(computed.noisy).any(axis=1))),
        outside_activations=float(np.mean(computed.beyond)) if has_ranges else None,
        output_range=plan.report.output_range,
        heads=tuple(each) if len(each) > 1 else (),
    )


def _check_labels(y: object | None) -> None:
    if hasattr(y, "state_dict") or hasattr(y, "get_params"):
        raise InputError(
            f"y is the labels, got {type(y).__name__}; the model comes after them, or by its name: "
            "hetorch.evaluate(plan, x, y, model=model)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Computed:
    """The outputs of the test set, (samples, values) each.

    clear      those of the model; None without one
    compiled   those of the plan without noise
    noisy      those of the plan with modelled noise
    beyond     True for each sample that has a value outside the range of an activation
    """

    clear: Array | None
    compiled: Array
    noisy: Array
    beyond: NDArray[np.bool_]

    def scores(self, judged: Judged, span: float) -> HeadScores:
        """Return the scores of an output, with errors relative to `span`."""
        reference = self.compiled if self.clear is None else self.clear
        return HeadScores(
            name=judged.name,
            clear=None if self.clear is None else judged.score(self.clear, None, span),
            compiled=judged.score(self.compiled, self.clear, span),
            noisy=judged.score(self.noisy, reference, span),
        )


def _computed(plan: Plan, model: object | None, samples: Array, seed: int, report: Progress) -> _Computed:
    beyond = np.zeros(len(samples), dtype=bool)
    clear = None if model is None else _outputs_in_clear(plan, model, samples, report)
    compiled = simulate_samples(plan, samples, None, report, beyond).reshape(len(samples), -1)
    noisy = simulate_samples(plan, samples, seed, report).reshape(len(samples), -1)
    return _Computed(clear, compiled, noisy, beyond)


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
