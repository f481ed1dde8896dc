"""`hetorch.train.fine_tune`: prepare, train and convert a model in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.errors import InputError
from hetorch.progress import ProgressOption, reporting
from hetorch.signposts import explain_positional
from hetorch.train.augment import Augment, shift_of
from hetorch.train.epochs import Data, Settings, run_epochs
from hetorch.train.fine_tuned import FineTuned
from hetorch.train.objective import Loss, Objective, output_variance
from hetorch.train.poly_acts import poly_acts
from hetorch.train.prepare import DEGREE, Degree, copied, prepare
from hetorch.train.ranges import record_ranges
from hetorch.train.recorded_range import RecordedRange
from hetorch.train.training_data import Batches, read_with_validation

EXACT_SHARE = 0.2
"""Share of the epochs with exact activations, in which the network gets used to average pools. Raised, fewer epochs are
left for the polynomials."""


@explain_positional("samples and labels are one argument: hetorch.train.fine_tune(model, (x, y))")
def fine_tune(
    model: nn.Module,
    loader: object,
    *,
    validation: object | None = None,
    teacher: nn.Module | None = None,
    loss: Loss | Literal["cross_entropy"] | None = None,
    distillation: float = 1.0,
    augment: Augment | Literal["shift"] | None = "shift",
    epochs: int = 30,
    exact_epochs: int | None = None,
    degree: Degree = DEGREE,
    target: str | Callable[[Tensor], Tensor] | None = None,
    pool: Literal["average", "keep"] = "average",
    range_weight: float = 0.03,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-4,
    clip: float = 1.0,
    batch_size: int = 64,
    patience: int = 10,
    seed: int = 0,
    progress: ProgressOption = None,
) -> FineTuned:
    """Train a model until its activations are polynomials and its outputs are those it had.

    Some epochs train exact activations and average pools (hetorch.train.prepare), then the activations become
    polynomials (hetorch.train.convert) and the other epochs train these. Each phase has AdamW with a warm-up and a
    cosine decay. By default the model learns from the outputs that it had, on the training data and on changed copies
    of them, and needs no labels: labels would draw it away from these outputs on data unlike the training data. The
    same seed gives the same weights, on the same versions and numbers of threads of torch.

    Args:
        model: the trained model, which is not changed; or one that hetorch.train.prepare made, of which a copy trains.
        loader: the training data: a DataLoader of batches (x, y), a Dataset of such samples, or a tuple (x, y) of
            arrays or tensors; or any of these with x alone. Several inputs are ((x1, x2), y) or ((x1, x2),).
        validation: data in one of these forms that choose the best epoch. By default a tenth of a Dataset or of arrays
            is held back for it, and the epochs of a DataLoader are judged by their training loss.
        teacher: the model whose outputs are imitated; by default `model`.
        loss: a function of outputs and labels, or "cross_entropy" for classes 0, 1, ..., to be added to the distance
            from the teacher: for a model that is not trained yet, or a task that has changed.
        distillation: weight of the distance from the teacher's outputs, which is the mean square of the difference
            relative to their variance; 0 trains by the `loss` alone.
        augment: a function that changes the model's inputs, (batch, ...), at random by torch's generator, so that the
            model meets what may come; by default "shift", which stretches and shifts real-valued samples
            (hetorch.train.augment). None for none.
        epochs: number of epochs in all.
        exact_epochs: epochs before the conversion, by default two in ten.
        degree: as for hetorch.train.prepare; hetorch.train.search chooses one for each activation.
        target: as for hetorch.train.prepare.
        pool: as for hetorch.train.prepare.
        range_weight: weight of hetorch.train.penalty. Raised, fewer values leave their ranges on unseen data.
        learning_rate: the highest of AdamW, after the warm-up.
        weight_decay: that of AdamW.
        clip: the largest norm of the gradient, to which larger ones are scaled.
        batch_size: samples in a batch of a Dataset or of arrays.
        patience: epochs of polynomials after the best one until training ends early.
        seed: decides the order of a Dataset or of arrays, changed inputs, and dropout.
        progress: called with a stage and the fraction of all epochs that is done. By default a bar on the terminal, and
            a line in a notebook, for what takes more than a second, and elsewhere a line on stderr every minute; False
            for none.

    Returns:
        The converted model in eval(), with the weights of the best epoch and the ranges of all data and of a changed
        copy with a margin, and the history of all epochs. Printed, it is a table.

    Raises:
        InputError: a wrong argument, or data that do not fit the model.
        UnsupportedModelError: as for hetorch.train.prepare.
        TrainingError: the loss became NaN or infinite.

    Long because of its arguments' descriptions.
    """
    original = as_module(model)
    settings = Settings(
        epochs, _exact_epochs(epochs, exact_epochs), learning_rate, weight_decay, clip, patience
    )
    _check(settings, range_weight=range_weight, distillation=distillation)
    criterion = _loss(loss, distillation)
    devices = range(torch.cuda.device_count())
    with reporting(progress, "fine_tune", even_unseen=True) as tell, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        train, judge = read_with_validation(loader, validation, original, batch_size, generator)
        data = Data(train, judge, _augment(augment, train))
        prepared = _prepared(original, train, degree, target, pool)
        objective = _objective(_teacher(teacher, original), train, distillation, criterion, range_weight)
        history, best, weights = run_epochs(prepared, data, objective, settings, tell)
        prepared.load_state_dict(weights)
        record_ranges(prepared, data.augment, train, *([] if judge is None else [judge]))
    return FineTuned(prepared.eval(), history, best, original)


def _prepared(
    model: nn.Module, train: Batches, degree: Degree, target: Any, pool: Literal["average", "keep"]
) -> nn.Module:
    """Return a model in float32 or more with PolyActs: a copy if it has them already, else a prepared one."""
    if any(isinstance(part, RecordedRange) for part in model.modules()):
        poly_acts(model)
        return copied(model)
    inputs = next(iter(train)).inputs
    return prepare(model, inputs if len(inputs) > 1 else inputs[0], degree=degree, target=target, pool=pool)


def _teacher(teacher: nn.Module | None, original: nn.Module) -> nn.Module:
    if teacher is not None and not isinstance(teacher, nn.Module):
        raise InputError(
            f"teacher must be an nn.Module, got {type(teacher).__name__}; without it the model imitates its own outputs"
        )
    return copied(original if teacher is None else teacher).eval().requires_grad_(False)


def _objective(
    teacher: nn.Module, train: Batches, distillation: float, criterion: Loss | None, range_weight: float
) -> Objective:
    """Return what training minimises; the distance from the teacher is relative to the variance of its outputs."""
    variance = output_variance(teacher, train) if distillation else 1.0
    return Objective(teacher, variance, distillation, criterion, range_weight)


def _loss(loss: object, distillation: float) -> Loss | None:
    if loss is None:
        if not distillation:
            raise InputError("distillation=0 trains by labels alone: give a loss, such as 'cross_entropy'")
        return None
    if loss == "cross_entropy":
        return functional.cross_entropy
    if not callable(loss):
        raise InputError(
            f"loss must be a function of outputs and labels, 'cross_entropy' or None, got {loss!r}"
        )
    return loss


def _augment(augment: object, train: Batches) -> Augment | None:
    if augment == "shift":
        return shift_of(train)
    if augment is not None and not callable(augment):
        raise InputError(f"augment must be a function of the inputs, 'shift' or None, got {augment!r}")
    return augment


def _exact_epochs(epochs: object, exact: object) -> int:
    if not isinstance(epochs, int) or epochs < 1:
        raise InputError(f"epochs must be a whole number of 1 or more, got {epochs!r}")
    if exact is None:
        return math.floor(EXACT_SHARE * epochs)
    if not isinstance(exact, int) or not 0 <= exact < epochs:
        raise InputError(f"exact_epochs must be 0..{epochs - 1}, fewer than the epochs, got {exact!r}")
    return exact


def _check(settings: Settings, **weights: float) -> None:
    for name in ("learning_rate", "clip", "patience"):
        if not getattr(settings, name) > 0:
            raise InputError(f"{name} must be positive, got {getattr(settings, name)!r}")
    for name, value in {**weights, "weight_decay": settings.weight_decay}.items():
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be 0 or more, got {value!r}")
