"""The result of `hetorch.train.fine_tune`: the model, and how each epoch did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from hetorch.preformatted import preformatted


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of training.

    number    from 1
    stage     "exact" for exact activations, "polynomial" for polynomials
    loss      mean of the whole loss over the epoch's batches
    penalty   mean of the range penalty over them
    outside   share of the activations' values that were outside the range of the training data, on the validation data
    judged    mean of the loss without the penalty over the validation data and their changed copy: the distance from
              the teacher, 1 for constant outputs, unless there is a loss of the labels; without such data it is `loss`
    accuracy  share of right classes on the validation data; None if there are none, or the data have no classes
    """

    number: int
    stage: Literal["exact", "polynomial"]
    loss: float
    penalty: float
    outside: float
    judged: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class FineTuned:
    """A model that was trained for encryption, in eval(): hetorch.compile takes its polynomials as they are.

    model     the converted model, with the weights of the best epoch
    history   all epochs
    best      the epoch of polynomials with the lowest `judged`
    original  the model that was to be trained
    """

    model: nn.Module
    history: tuple[Epoch, ...]
    best: Epoch
    original: nn.Module

    def __repr__(self) -> str:
        """Return the table of epochs as text."""
        lines = [
            f"{'epoch':>5}  {'stage':<10}  {'loss':>8}  {'penalty':>8}  {'outside':>8}  {'judged':>8}  accuracy"
        ]
        for epoch in self.history:
            accuracy = "-" if epoch.accuracy is None else f"{epoch.accuracy:.2%}"
            lines.append(
                f"{epoch.number:>5}  {epoch.stage:<10}  {epoch.loss:>8.4f}  {epoch.penalty:>8.1e}  "
                f"{epoch.outside:>8.1e}  {epoch.judged:>8.4f}  {accuracy:>8}"
                + "  best"
                * (epoch == self.best)
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return preformatted(repr(self))
