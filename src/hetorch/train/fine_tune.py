"""`hetorch.train.fine_tune`: prepare, train and convert a model in one line; a plain loop, to be copied and changed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.errors import InputError, TrainingError
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.train.convert import convert
from hetorch.train.fine_tuned import Epoch, FineTuned
from hetorch.train.objective import Loss, Objective, outputs_of
from hetorch.train.poly_acts import poly_acts
from hetorch.train.prepare import copied, prepare
from hetorch.train.ranges import record_ranges
from hetorch.train.recorded_range import RecordedRange
from hetorch.train.scores import Scores, score
from hetorch.train.training_data import Batches, hold_back, read_batches

EXACT_SHARE = 0.3
"""Share of the epochs with exact activations, in which the network gets used to average pools. Raised, fewer epochs are
left for the polynomials."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """The numbers of the loop, as fine_tune has them."""

    epochs: int
    exact_epochs: int
    learning_rate: float
    weight_decay: float
    clip: float
    patience: int


def fine_tune(
    model: nn.Module,
    loader: object,
    *,
    validation: object | None = None,
    teacher: nn.Module | None = None,
    epochs: int = 10,
    exact_epochs: int | None = None,
    degree: int = 4,
    target: str | Callable[[Tensor], Tensor] | None = None,
    pool: Literal["average", "keep"] = "average",
    loss: Loss | None = None,
    distillation: float = 1.0,
    temperature: float = 2.0,
    range_weight: float = 0.01,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    clip: float = 1.0,
    batch_size: int = 64,
    patience: int = 5,
    seed: int = 0,
    progress: ProgressOption = None,
) -> FineTuned:
    """Train a model until its activations are polynomials and its results are those it had.

    Some epochs train exact activations and average pools (hetorch.train.prepare), then the activations become
    polynomials (hetorch.train.convert) and the other epochs train these. Each phase has AdamW with a warm-up and a
    cosine decay. The same seed gives the same weights, on the same versions and numbers of threads of torch.

    Args:
        model: the trained model, which is not changed; or one that hetorch.train.prepare made, of which a copy trains.
        loader: the training data: a DataLoader of batches (x, y), a Dataset of such samples, or a tuple (x, y) of
            arrays or tensors. Labels are classes 0, 1, ... unless there is a `loss`.
        validation: data in one of these forms that choose the best epoch. By default a tenth of a Dataset or of arrays
            is held back for it, and the epochs of a DataLoader are judged by their training loss.
        teacher: the model whose outputs are imitated; by default `model`.
        epochs: number of epochs in all.
        exact_epochs: epochs before the conversion, by default three in ten.
        degree: as for hetorch.train.prepare.
        target: as for hetorch.train.prepare.
        pool: as for hetorch.train.prepare.
        loss: a function of outputs and labels; by default cross-entropy.
        distillation: weight of the distance from the teacher's outputs; 0 for none.
        temperature: by which scores are divided before their distance is taken; raised, small scores count more.
        range_weight: weight of hetorch.train.penalty. Raised, fewer values leave their ranges on unseen data.
        learning_rate: the highest of AdamW, after the warm-up.
        weight_decay: that of AdamW.
        clip: the largest norm of the gradient, to which larger ones are scaled.
        batch_size: samples in a batch of a Dataset or of arrays.
        patience: epochs of polynomials after the best one until training ends early.
        seed: decides the order of a Dataset or of arrays, and dropout.
        progress: called with a stage and the fraction of all epochs that is done. By default a bar on the terminal, and
            a line in a notebook, for what takes more than a second; False for none.

    Returns:
        The converted model in eval(), with the weights of the best epoch and the ranges of all data with a margin, and
        the history of all epochs. Printed, it is a table.

    Raises:
        InputError: a wrong argument, or data that do not fit the model.
        UnsupportedModelError: as for hetorch.train.prepare.
        TrainingError: the loss became NaN or infinite.

    Long because of its arguments' descriptions.
    """
    original = as_module(model)
    settings = _Settings(
        epochs, _exact_epochs(epochs, exact_epochs), learning_rate, weight_decay, clip, patience
    )
    _check(settings, range_weight=range_weight, distillation=distillation, temperature=temperature)
    devices = range(torch.cuda.device_count())
    with reporting(progress, "fine_tune") as tell, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        if validation is None:
            loader, validation = hold_back(loader, generator)
        train = read_batches(loader, original, "loader", batch_size, generator)
        judge = None if validation is None else read_batches(validation, original, "validation", batch_size)
        prepared = _prepared(original, train, degree, target, pool)
        objective = Objective(
            loss=loss or functional.cross_entropy,
            teacher=_teacher(teacher, original) if distillation else None,
            distillation=distillation,
            temperature=temperature,
            classes=loss is None,
            range_weight=range_weight,
        )
        history, best, weights = _train(prepared, train, judge, objective, settings, tell)
        prepared.load_state_dict(weights)
        record_ranges(prepared, train, *([] if judge is None else [judge]))
    return FineTuned(prepared.eval(), history, best, original)


def _train(
    model: nn.Module,
    train: Batches,
    judge: Batches | None,
    objective: Objective,
    settings: _Settings,
    tell: Progress,
) -> tuple[tuple[Epoch, ...], Epoch, dict[str, Any]]:
    """Return all epochs, the best one of polynomials, and its weights."""
    history: list[Epoch] = []
    best: tuple[Epoch, dict[str, Any]] | None = None
    steps = train.count()
    phases: tuple[tuple[Literal["exact", "polynomial"], int], ...] = (
        ("exact", settings.exact_epochs),
        ("polynomial", settings.epochs - settings.exact_epochs),
    )
    for stage, epochs in phases:
        if stage == "polynomial":
            if not all(act.has_range for act in poly_acts(model).values()):
                _see(model, train)
            convert(model)
        optimiser = torch.optim.AdamW(
            model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.learning_rate, total_steps=max(1, epochs * steps), pct_start=0.1
        )
        for _ in range(epochs):
            number = len(history) + 1
            tell(f"epoch {number} of {settings.epochs}, {stage} activations", (number - 1) / settings.epochs)
            losses, penalties = _one_epoch(
                model, train, objective, optimiser, schedule, settings, f"epoch {number}, {stage} activations"
            )
            scores = Scores(losses, 0.0, None) if judge is None else score(model, judge, objective)
            epoch = Epoch(number, stage, losses, penalties, scores.outside, scores.loss, scores.accuracy)
            history.append(epoch)
            if stage == "polynomial" and (best is None or epoch.judged < best[0].judged):
                best = epoch, copy.deepcopy(model.state_dict())
            if best is not None and number - best[0].number >= settings.patience:
                break
    assert best is not None
    return tuple(history), *best


def _see(model: nn.Module, train: Batches) -> None:
    """Run a model in train() on each batch once, without training, so that activations record ranges."""
    model.train()
    with torch.no_grad():
        for batch in train:
            outputs_of(model, batch)


def _one_epoch(
    model: nn.Module,
    train: Batches,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    settings: _Settings,
    where: str,
) -> tuple[float, float]:
    """Train on each batch once, and return the means of the whole loss and of the range penalty."""
    model.train()
    losses, penalties, batches = 0.0, 0.0, 0
    for batch in train:
        loss, outside = objective(model, batch)
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"the loss is {loss.item()} in {where}, batch {batches + 1}; use a smaller learning_rate (it is "
                f"{settings.learning_rate:g}), more exact_epochs (they are {settings.exact_epochs}), a larger "
                "range_weight, or a batch normalisation before each activation"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimiser.step()
        schedule.step()
        losses, penalties, batches = losses + loss.item(), penalties + outside.item(), batches + 1
    return losses / batches, penalties / batches


def _prepared(
    model: nn.Module, train: Batches, degree: int, target: Any, pool: Literal["average", "keep"]
) -> nn.Module:
    """Return a model in float32 or more with PolyActs: a copy if it has them already, else a prepared one."""
    if any(isinstance(part, RecordedRange) for part in model.modules()):
        poly_acts(model)
        return copied(model)
    inputs = next(iter(train)).inputs
    return prepare(model, inputs if len(inputs) > 1 else inputs[0], degree=degree, target=target, pool=pool)


def _teacher(teacher: nn.Module | None, original: nn.Module) -> nn.Module:
    if teacher is None:
        return copied(original).eval().requires_grad_(False)
    if not isinstance(teacher, nn.Module):
        raise InputError(
            f"teacher must be an nn.Module, got {type(teacher).__name__}; distillation=0 takes none"
        )
    return copied(teacher).eval().requires_grad_(False)


def _exact_epochs(epochs: object, exact: object) -> int:
    if not isinstance(epochs, int) or epochs < 1:
        raise InputError(f"epochs must be a whole number of 1 or more, got {epochs!r}")
    if exact is None:
        return math.floor(EXACT_SHARE * epochs)
    if not isinstance(exact, int) or not 0 <= exact < epochs:
        raise InputError(f"exact_epochs must be 0..{epochs - 1}, fewer than the epochs, got {exact!r}")
    return exact


def _check(settings: _Settings, **weights: float) -> None:
    for name in ("learning_rate", "clip", "patience"):
        if not getattr(settings, name) > 0:
            raise InputError(f"{name} must be positive, got {getattr(settings, name)!r}")
    if not weights["temperature"] > 0:
        raise InputError(f"temperature must be positive, got {weights['temperature']!r}")
    for name, value in {**weights, "weight_decay": settings.weight_decay}.items():
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be 0 or more, got {value!r}")
