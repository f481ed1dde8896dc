"""The ranges of a trained model's activations, recorded anew on its training data and changed copies."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import nn

from hetorch.train.augment import Augment, augmented
from hetorch.train.objective import outputs_of
from hetorch.train.recorded_range import RecordedRange
from hetorch.train.training_data import Batches

MARGIN = 0.25
"""Share of its width by which a range is widened on each side. The extremes of n samples are passed by 2 of the next n
in each channel, so that there must be room. Raised, fewer unseen values are outside, and all have less precision: a
quarter takes 0.6 bits."""


def record_ranges(model: nn.Module, augment: Augment | None, *data: Batches) -> None:
    """Replace the recorded ranges by those of `data` in eval(), and of a copy that `augment` changed, with a margin.

    The mode of the model is kept.
    """
    parts = [part for part in model.modules() if isinstance(part, RecordedRange)]
    handles = []
    for part in parts:
        part.reset_range()
        handles.append(part.register_forward_pre_hook(_record))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in chain(*data):
                outputs_of(model, batch)
                if augment is not None:
                    outputs_of(model, augmented(augment, batch))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    for part in parts:
        room = MARGIN * (part.running_high - part.running_low)
        part.running_low -= room
        part.running_high += room


def _record(part: nn.Module, arguments: tuple[Any, ...]) -> None:
    assert isinstance(part, RecordedRange)
    part.record(arguments[0])
