"""The epochs of `hetorch.train.fine_tune`: exact activations, then polynomials; a plain loop, to be copied."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from hetorch.errors import TrainingError
from hetorch.progress import Progress
from hetorch.train.augment import Augment, augmented
from hetorch.train.convert import convert
from hetorch.train.fine_tuned import Epoch
from hetorch.train.objective import Objective, outputs_of
from hetorch.train.poly_acts import poly_acts
from hetorch.train.scores import Scores, score
from hetorch.train.training_data import Batches

WARM_UP = 0.1
"""Share of a phase's steps in which the learning rate rises. Raised, training starts more gently and has less time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The numbers of the loop, as hetorch.train.fine_tune describes them."""

    epochs: int
    exact_epochs: int
    learning_rate: float
    weight_decay: float
    clip: float
    patience: int


@dataclass(frozen=True, slots=True)
class Data:
    """The training data, the data that judge the epochs, if any, and the function that changes the inputs of both."""

    train: Batches
    judge: Batches | None
    augment: Augment | None


def run_epochs(
    model: nn.Module, data: Data, objective: Objective, settings: Settings, tell: Progress
) -> tuple[tuple[Epoch, ...], Epoch, dict[str, Any]]:
    """Train a prepared model, and return all epochs, the best one of the last stage, and its weights."""
    history: list[Epoch] = []
    best: tuple[Epoch, dict[str, Any]] | None = None
    steps = data.train.count()
    phases: tuple[tuple[Literal["exact", "polynomial"], int], ...] = (
        ("exact", settings.exact_epochs),
        ("polynomial", settings.epochs - settings.exact_epochs),
    )
    last = phases[settings.epochs > settings.exact_epochs][0]
    for stage, epochs in phases:
        if stage == "polynomial" and epochs:
            if not all(act.has_range for act in poly_acts(model).values()):
                _see(model, data)
            convert(model)
        optimiser, schedule = _optimiser(model, settings, epochs * steps)
        for _ in range(epochs):
            number = len(history) + 1
            tell(f"epoch {number} of {settings.epochs}, {stage} activations", (number - 1) / settings.epochs)
            where = f"epoch {number}, {stage} activations"
            losses, penalties = _one_epoch(model, data, objective, optimiser, schedule, settings, where)
            scores = Scores(losses, 0.0, None)
            if data.judge is not None:
                scores = score(model, data.judge, objective, data.augment)
            epoch = Epoch(number, stage, losses, penalties, scores.outside, scores.error, scores.accuracy)
            history.append(epoch)
            if stage == last and (best is None or epoch.judged < best[0].judged):
                best = epoch, copy.deepcopy(model.state_dict())
            if best is not None and number - best[0].number >= settings.patience:
                break
    assert best is not None
    return tuple(history), *best


def _see(model: nn.Module, data: Data) -> None:
    """Run a model in train() on each batch once, without training, so that activations record ranges."""
    model.train()
    with torch.no_grad():
        for batch in data.train:
            outputs_of(model, batch if data.augment is None else augmented(data.augment, batch))


def _optimiser(
    model: nn.Module, settings: Settings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW and its learning rate over a phase: a linear rise, then the half of a cosine down to 0."""

    def share(step: int) -> float:
        decay = (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))) / 2
        return min(decay, (step + 1) / max(1.0, WARM_UP * steps))

    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, share)


def _one_epoch(
    model: nn.Module,
    data: Data,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    settings: Settings,
    where: str,
) -> tuple[float, float]:
    """Train on each batch once, and return the means of the whole loss and of the range penalty."""
    model.train()
    losses, penalties, batches = 0.0, 0.0, 0
    for batch in data.train:
        loss, outside = objective(model, batch if data.augment is None else augmented(data.augment, batch))
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
