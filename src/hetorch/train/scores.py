"""How a model does on data: its error, accuracy, and the share of values outside their ranges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hetorch.train.augment import Augment, augmented
from hetorch.train.objective import Objective, outputs_of
from hetorch.train.poly_acts import poly_acts
from hetorch.train.training_data import Batches

SEED = 0
"""Seed of the changed copy of the validation data, which is the same for all epochs."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean error on data and on their changed copy, share of activations' values outside the recorded ranges on the
    data, and accuracy on them, if known."""

    error: float
    outside: float
    accuracy: float | None


def score(model: nn.Module, data: Batches, objective: Objective, augment: Augment | None) -> Scores:
    """Run a model in eval() on data, and on a copy that `augment` changed. Its mode is kept."""
    training = model.training
    model.eval()
    error, outside, count = 0.0, 0.0, 0
    right: int | None = 0
    acts = list(poly_acts(model).values())
    with torch.no_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(SEED)
        for batch in data:
            outputs = outputs_of(model, batch)
            outside += len(batch) * sum(act.outside() for act in acts) / len(acts)
            correct = right_classes(outputs, batch.labels)
            right = None if correct is None or right is None else right + correct
            count += len(batch)
            found = objective.error(outputs, batch).item()
            if augment is not None:
                changed = augmented(augment, batch)
                found = (found + objective.error(outputs_of(model, changed), changed).item()) / 2
            error += len(batch) * found
    model.train(training)
    return Scores(error / count, outside / count, None if right is None else right / count)


def right_classes(outputs: Tensor, labels: Tensor | None) -> int | None:
    """Return the number of labels (batch,) that are the class of the largest output; None if there are no classes."""
    if labels is None or labels.is_floating_point():
        return None
    if outputs.dim() != 2 or labels.dim() != 1 or outputs.shape[1] < 2:
        return None
    return int((outputs.argmax(1) == labels).sum())
