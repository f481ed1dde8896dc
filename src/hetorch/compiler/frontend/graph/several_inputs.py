"""Models of several input tensors. The client encrypts one row that holds all of them, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

import torch

from hetorch.errors import InputError
from hetorch.quantities import count_text


class Joined(torch.nn.Module):
    """A module of one input (batch, elements), which holds the inputs of `model`, each flattened, in order."""

    def __init__(self, model: torch.nn.Module, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.model = model
        self.shapes = tuple(shapes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the model's result on the parts of `x`."""
        parts, begin = [], 0
        for shape in self.shapes:
            end = begin + math.prod(shape)
            parts.append(x[:, begin:end].reshape(x.shape[0], *shape))
            begin = end
        result: torch.Tensor = self.model(*parts)
        return result


def are_several(inputs: object) -> TypeGuard[Sequence[object]]:
    """Return True for a tuple: it has one tensor or array for each input of a model."""
    return isinstance(inputs, tuple)


def join(model: torch.nn.Module, inputs: Sequence[object]) -> tuple[torch.nn.Module, torch.Tensor, str]:
    """Return the model as a module of one input, its calibration inputs as one tensor, and a note for the user that
    says where each input lies.

    Raises:
        InputError: an input is no tensor or array (batch, ...), is one whole number for each sample, or the batches of
            the inputs differ.
    """
    tensors = []
    for number, data in enumerate(inputs):
        try:
            tensors.append(torch.as_tensor(data).detach().cpu())
        except Exception as error:
            raise InputError(f"input {number} of the model is no tensor or array: {error}") from None
    for number, tensor in enumerate(tensors):
        if tensor.ndim == 1 and not tensor.is_floating_point() and tensors[0].shape[:1] == tensor.shape:
            raise InputError(
                f"input {number} of the model is one whole number for each sample, such as the length of a sequence: a "
                "plan has one length, and the server may not learn another. Pad all sequences to one length and fix it "
                "in a module around the model; or give a mask in place of lengths, (batch, steps), 1 at the last step "
                "of each sequence: (y * mask[:, :, None]).sum(1) is the last output"
            )
    if not tensors or any(tensor.ndim < 2 or len(tensor) != len(tensors[0]) for tensor in tensors):
        seen = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise InputError(
            "several inputs must be (batch, ...) each, of two axes or more and with the same batch; got "
            f"{seen or 'none'}"
        )
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    flat = torch.cat([tensor.reshape(len(tensor), -1).to(torch.float64) for tensor in tensors], dim=1)
    ends = [sum(math.prod(shape) for shape in shapes[: number + 1]) for number in range(len(shapes))]
    places = ", ".join(
        f"{end - math.prod(shape)}..{end - 1} of shape {shape}"
        for shape, end in zip(shapes, ends, strict=True)
    )
    return (
        Joined(model, shapes),
        flat,
        f"the {count_text(len(shapes), 'input')} are one row of {count_text(ends[-1], 'number')}, flattened: {places}",
    )
