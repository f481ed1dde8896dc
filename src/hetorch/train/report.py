"""`hetorch.train.report`: a model trained for encryption beside the one it was, on data that neither has seen."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hetorch.compiler.api import compile as compile_model
from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.compiler.frontend.sources.calibration_inputs import MOST_SAMPLES
from hetorch.errors import InfeasibleError, InputError, UnsupportedModelError
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.train.fine_tuned import FineTuned
from hetorch.train.objective import outputs_of
from hetorch.train.poly_act import PolyAct
from hetorch.train.poly_acts import REPLACES, poly_acts
from hetorch.train.scores import right_classes
from hetorch.train.training_data import Batches, read_batches, read_first
from hetorch.train.training_report import ActivationRow, Network, TrainingReport

BATCH = 256
"""Number of samples of a Dataset or of arrays that the models are run on at a time."""


def report(
    model: nn.Module | FineTuned,
    loader: object,
    *,
    original: nn.Module | None = None,
    compile_original: bool = True,
    progress: ProgressOption = None,
    **options: Any,
) -> TrainingReport:
    """Compare a model that was trained for encryption with the one it was, on unseen data. Printed, it is a table.

    Args:
        model: a result of hetorch.train.fine_tune, or a model that hetorch.train.prepare made, converted or not.
        loader: data (x, y), in the forms that hetorch.train.fine_tune takes. The models are compiled with the first
            samples of it as calibration inputs.
        original: the model before it was prepared; that of a result of fine_tune is known.
        compile_original: False to leave out the levels, time and keys of the original, whose compilation may take long.
        progress: called with the name of each step and the fraction of all steps that is done. By default a bar on the
            terminal, and a line in a notebook, for what takes more than a second; False for none.
        **options: those of hetorch.compile, for both models.

    Returns:
        For each activation its range and the share of values outside it; accuracy in clear of the original, with exact
        activations and with polynomials; levels, predicted server time and bytes of keys before and after.

    Raises:
        InputError: a wrong argument, or data that do not fit the model.
    """
    trained = as_module(model.model if isinstance(model, FineTuned) else model)
    known = model.original if isinstance(model, FineTuned) and original is None else original
    before = None if known is None else as_module(known)
    acts = poly_acts(trained)
    data = read_batches(loader, trained, "loader", BATCH)
    is_converted = all(act.stage == "polynomial" for act in acts.values())
    with reporting(progress, "report") as tell:
        tell("run the models in clear", 0.0)
        after, outside, count = _run(trained, data)
        exact, _, _ = _run(_exact(trained), data) if is_converted else (after, outside, count)
        reference, _, _ = _run(before, data) if before is not None else (None, outside, count)
        columns = read_first(data, MOST_SAMPLES)
        inputs = columns if len(columns) > 1 else columns[0]
        costs = (
            _cost(trained, inputs, "compile the trained model", 0.3, tell, options) if is_converted else {}
        )
        if before is not None and compile_original:
            first = _cost(before, inputs, "compile the original model", 0.5, tell, options)
        else:
            first = {}
    return TrainingReport(
        name=type(trained).__name__,
        samples=count,
        activations=tuple(_row(path, acts[path], outside[path]) for path in acts),
        original=None if reference is None else Network(accuracy=reference.accuracy, **first),
        exact=Network(accuracy=exact.accuracy),
        polynomial=Network(accuracy=after.accuracy, **costs) if is_converted else None,
        difference=None if reference is None else after.difference(reference),
    )


class _Results:
    """The outputs of a model on all data, and the share of right classes."""

    def __init__(self, outputs: Tensor, accuracy: float | None) -> None:
        self.outputs, self.accuracy = outputs, accuracy

    def difference(self, reference: _Results) -> float:
        """Return the root mean square difference from other outputs, relative to their range."""
        span = float(reference.outputs.max() - reference.outputs.min()) or 1.0
        return float((self.outputs - reference.outputs).square().mean().sqrt()) / span


def _run(model: nn.Module, data: Batches) -> tuple[_Results, Mapping[str, float], int]:
    """Run a model in eval() on data; return its results, the share outside of each activation, and the samples."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    acts = {path: part for path, part in model.named_modules() if isinstance(part, PolyAct)}
    outside = dict.fromkeys(acts, 0.0)
    parts, right, count = [], 0, 0
    is_classifier = True
    try:
        with torch.no_grad():
            for batch in data:
                outputs = outputs_of(model, batch)
                correct = right_classes(outputs, batch.labels)
                is_classifier = is_classifier and correct is not None
                right, count = right + (correct or 0), count + len(batch)
                parts.append(outputs.double().cpu())
                for path, act in acts.items():
                    outside[path] += len(batch) * act.outside()
    finally:
        for part, training in modes.items():
            part.training = training
    shares = {path: total / count for path, total in outside.items()}
    return _Results(torch.cat(parts), right / count if is_classifier else None), shares, count


def _exact(model: nn.Module) -> nn.Module:
    """Return a copy with the trained weights and the exact activations."""
    exact = copy.deepcopy(model)
    for act in poly_acts(exact).values():
        act.stage = "exact"
    return exact


def _cost(
    model: nn.Module, inputs: object, stage: str, begun: float, tell: Progress, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what compiling tells: levels, seconds, key_bytes, or the problem."""
    length = 0.2 if begun < 0.5 else 0.5
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = compile_model(
                model, inputs, progress=lambda _, share: tell(stage, begun + length * share), **options
            )
    except (InfeasibleError, UnsupportedModelError) as error:
        return {"problem": str(error)}
    return {
        "levels": plan.parameters.max_level,
        "seconds": plan.report.predicted_seconds,
        "key_bytes": plan.public().evaluation_key_bytes,
        "batch_size": plan.batch_size,
    }


def _row(path: str, act: PolyAct, outside: float) -> ActivationRow:
    if not act.has_range:
        raise InputError(
            f"the activation {path} has recorded no range: train the model, or run it on batches in train(), before "
            "the report"
        )
    return ActivationRow(
        path=path,
        before=getattr(act, REPLACES, "-"),
        degree=act.degree,
        channels=act.channels or 1,
        low=float(act.running_low.min()),
        high=float(act.running_high.max()),
        outside=outside,
    )
