"""How a model does on data: loss, accuracy, and the share of values outside their ranges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hetorch.train.objective import Objective, outputs_of
from hetorch.train.poly_acts import poly_acts
from hetorch.train.training_data import Batches


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean loss of the labels, share of activations' values outside the recorded ranges, and accuracy, if known."""

    loss: float
    outside: float
    accuracy: float | None


def score(model: nn.Module, data: Batches, objective: Objective) -> Scores:
    """Run a model in eval() on data. Its mode is kept."""
    training = model.training
    model.eval()
    loss, outside, count = 0.0, 0.0, 0
    right: int | None = 0
    acts = list(poly_acts(model).values())
    with torch.no_grad():
        for batch in data:
            outputs = outputs_of(model, batch)
            loss += len(batch) * objective.labels_loss(outputs, batch.labels).item()
            outside += len(batch) * sum(act.outside() for act in acts) / len(acts)
            correct = right_classes(outputs, batch.labels)
            right = None if correct is None or right is None else right + correct
            count += len(batch)
    model.train(training)
    return Scores(loss / count, outside / count, None if right is None else right / count)


def right_classes(outputs: Tensor, labels: Tensor) -> int | None:
    """Return the number of labels (batch,) that are the class of the largest output; None if they are no classes."""
    if labels.is_floating_point() or outputs.dim() != 2 or labels.dim() != 1 or outputs.shape[1] < 2:
        return None
    return int((outputs.argmax(1) == labels).sum())
