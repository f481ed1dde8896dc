"""What training minimises: the loss of the labels, the distance from a teacher, and the range penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.graph.user_code import described, first_line
from hetorch.errors import InputError
from hetorch.train.penalty import penalty
from hetorch.train.training_data import Batch

Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of the outputs (batch, ...) and the labels (batch, ...), whose mean over the batch it returns."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The terms of the loss: loss + distillation * distance from the teacher + range_weight * penalty.

    loss          of the labels
    teacher       in eval(); None for no distillation
    distillation  weight of the distance from the teacher's outputs
    temperature   by which outputs are divided before the softmax of that distance
    classes       True if the outputs are scores of classes: the distance is then the Kullback-Leibler divergence of
                  their softmax, times the square of the temperature; else it is the mean square of the difference
    range_weight  weight of the range penalty
    """

    loss: Loss
    teacher: nn.Module | None
    distillation: float
    temperature: float
    classes: bool
    range_weight: float

    def labels_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of the labels.

        Raises:
            InputError: outputs and labels do not go together.
        """
        try:
            value = self.loss(outputs, labels)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise InputError(
                f"the loss does not take outputs {tuple(outputs.shape)} and labels {tuple(labels.shape)} of "
                f"{labels.dtype}: {first_line(error)}; cross-entropy, the default, takes classes 0, 1, ...; "
                "loss=torch.nn.functional.mse_loss is one for a regression"
            ) from error
        if not isinstance(value, Tensor) or value.dim():
            raise InputError(f"loss must return one number as a tensor, got {described(value)}")
        return value

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run a model in train() on a batch, and return its whole loss and the range penalty in it."""
        outputs = outputs_of(model, batch)
        total = self.labels_loss(outputs, batch.labels)
        if self.teacher is not None and self.distillation:
            with torch.no_grad():
                wanted = outputs_of(self.teacher, batch)
            total = total + self.distillation * self._distance(outputs, wanted)
        outside = penalty(model)
        return total + self.range_weight * outside, outside

    def _distance(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        if not self.classes:
            return functional.mse_loss(outputs, wanted)
        ours, theirs = (functional.log_softmax(scores / self.temperature, 1) for scores in (outputs, wanted))
        divergence = functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")
        return self.temperature**2 * divergence


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
