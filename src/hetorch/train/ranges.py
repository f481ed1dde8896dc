"""The ranges of a trained model's activations, recorded anew on its training data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hetorch.train.objective import outputs_of
from hetorch.train.recorded_range import RecordedRange
from hetorch.train.training_data import Batches


def record_ranges(model: nn.Module, data: Batches) -> None:
    """Replace the recorded ranges by those of `data` as they are in eval(). The mode of the model is kept."""
    parts = [part for part in model.modules() if isinstance(part, RecordedRange)]
    handles = []
    for part in parts:
        part.reset_range()
        handles.append(part.register_forward_pre_hook(_record))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in data:
                outputs_of(model, batch)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()


def _record(part: nn.Module, arguments: tuple[Any, ...]) -> None:
    assert isinstance(part, RecordedRange)
    part.record(arguments[0])
