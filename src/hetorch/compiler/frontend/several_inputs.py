"""Models that take several tensors: the client encrypts one row with all of them, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import torch

from hetorch.errors import InputError


class Joined(torch.nn.Module):
    """`model(a, b, ...)` as a function of one tensor (batch, all elements): the inputs, each flattened, in order."""

    def __init__(self, model: torch.nn.Module, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.model = model
        self.shapes = tuple(shapes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The model's result on the parts of `x`."""
        parts, begin = [], 0
        for shape in self.shapes:
            end = begin + math.prod(shape)
            parts.append(x[:, begin:end].reshape(x.shape[0], *shape))
            begin = end
        result: torch.Tensor = self.model(*parts)
        return result


def are_several(inputs: object) -> TypeGuard[Sequence[object]]:
    """Whether these are inputs of a model, one each: a tuple, or a list of tensors and not of numbers."""
    return isinstance(inputs, tuple) or (
        isinstance(inputs, list) and any(isinstance(given, torch.Tensor | np.ndarray) for given in inputs)
    )


def join(model: torch.nn.Module, inputs: Sequence[object]) -> tuple[torch.nn.Module, torch.Tensor, str]:
    """The model and its calibration inputs as one tensor, and a note that says where each part lies. InputError unless
    all are tensors or arrays (batch, ...) with one batch."""
    tensors = []
    for number, given in enumerate(inputs):
        try:
            tensors.append(torch.as_tensor(given).detach().cpu())
        except Exception as error:
            raise InputError(f"input {number} of the model is no tensor or array: {error}") from None
    if not tensors or any(tensor.ndim < 2 or len(tensor) != len(tensors[0]) for tensor in tensors):
        seen = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise InputError(
            f"several inputs must be (batch, ...) each, with the same batch; got {seen or 'none'}"
        )
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    flat = torch.cat([tensor.reshape(len(tensor), -1).to(torch.float64) for tensor in tensors], dim=1)
    ends = [sum(math.prod(shape) for shape in shapes[: number + 1]) for number in range(len(shapes))]
    told = ", ".join(
        f"{end - math.prod(shape)}..{end - 1} of shape {shape}"
        for shape, end in zip(shapes, ends, strict=True)
    )
    return (
        Joined(model, shapes),
        flat,
        f"the {len(shapes)} inputs are one row of {ends[-1]} numbers, flattened: {told}",
    )
