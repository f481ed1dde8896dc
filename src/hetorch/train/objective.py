"""What training minimises: the distance from a teacher, the loss of the labels if asked, and the range penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.graph.user_code import described, first_line
from hetorch.errors import InputError
from hetorch.train.penalty import penalty
from hetorch.train.training_data import Batch, Batches

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of the outputs (batch, ...) and the labels (batch, ...), whose mean over the batch it returns."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The terms of the loss: distillation * distance + loss of the labels + range_weight * penalty.

    teacher       in eval(); its outputs are imitated
    variance      mean variance of its outputs, by which the mean square of the difference from them is divided: the
                  distance is 1 for outputs that are constant
    distillation  weight of that distance; 0 for none
    loss          of the labels; None for none
    range_weight  weight of the range penalty
    """

    teacher: nn.Module
    variance: float
    distillation: float
    loss: Loss | None
    range_weight: float

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run a model in train() on a batch, and return its whole loss and the range penalty in it."""
        error = self.error(outputs_of(model, batch), batch)
        outside = penalty(model)
        return error + self.range_weight * outside, outside

    def error(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a model's outputs without the range penalty.

        Raises:
            InputError: outputs, the teacher's outputs and labels do not go together.
        """
        total = outputs.new_zeros(())
        if self.distillation:
            total = total + self.distillation * self._distance(outputs, batch)
        if self.loss is not None:
            total = total + _labels_loss(self.loss, outputs, batch.labels)
        return total

    def _distance(self, outputs: Tensor, batch: Batch) -> Tensor:
        with torch.no_grad():
            wanted = outputs_of(self.teacher, batch)
        if outputs.shape != wanted.shape:
            raise InputError(
                f"the teacher returns {tuple(wanted.shape)} and the model {tuple(outputs.shape)}; give a teacher "
                "whose outputs can be imitated, or distillation=0 and a loss"
            )
        return functional.mse_loss(outputs, wanted) / self.variance


def output_variance(model: nn.Module, data: Batches) -> float:
    """Return the variance of a model's outputs on data, the mean over outputs; 1 if all are constant."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    with torch.no_grad():
        for batch in data:
            outputs = outputs_of(model, batch).double().cpu()
            count, total = count + len(outputs), total + outputs.sum(0)
            squares = squares + outputs.square().sum(0)
    return float((squares / count - (total / count).square()).clamp(min=0).mean()) or 1.0


def _labels_loss(loss: Loss, outputs: Tensor, labels: Tensor | None) -> Tensor:
    if labels is None:
        raise InputError("loss takes labels, but the data have none; leave loss out, or give data (x, y)")
    try:
        value = loss(outputs, labels)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"the loss does not take outputs {tuple(outputs.shape)} and labels {tuple(labels.shape)} of "
            f"{labels.dtype}: {first_line(error)}; cross-entropy takes classes 0, 1, ...; "
            "loss=torch.nn.functional.mse_loss is one for a regression"
        ) from error
    if not isinstance(value, Tensor) or value.dim():
        raise InputError(f"loss must return one number as a tensor, got {described(value)}")
    return value


def outputs_of(model: nn.Module, batch: Batch) -> Tensor:
    """Return the output of a model, a tensor or an object that has it as `logits`.

    Raises:
        InputError: it returns anything else, or does not take the batch.
    """
    try:
        result = model(*batch.inputs)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shapes = " and ".join(str(tuple(part.shape)) for part in batch.inputs)
        raise InputError(
            f"{type(model).__name__} does not take the batch {shapes}: {first_line(error)}"
        ) from error
    outputs = getattr(result, "logits", result)
    if not isinstance(outputs, Tensor):
        raise InputError(
            f"{type(model).__name__} returns {described(result)}; fine_tune trains models that return one tensor. For "
            "others add hetorch.train.penalty to the loss of your own loop"
        )
    return outputs
