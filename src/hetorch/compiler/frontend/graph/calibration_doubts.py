"""Signs that the calibration inputs are not what the user means, each as a sentence for a warning."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.graph.several_outputs import Outputs, find_outputs
from hetorch.quantities import count_text

FEWEST_SAMPLES = 8
"""Number of calibration samples below which ranges of activations are doubted. Raised, more users are warned."""


def calibration_doubts(inputs: NDArray[np.float64], *, has_approximations: bool) -> tuple[str, ...]:
    """Return sentences on calibration inputs (batch, ...) that say little about the inputs to come.

    `has_approximations` is True for a model whose activations are approximated over ranges.
    """
    if inputs.size > 1 and bool((inputs == inputs.flat[0]).all()):
        return (
            f"all numbers of the calibration inputs are {inputs.flat[0]:g}, so ranges and errors hold for this input "
            "only: compile with typical inputs",
        )
    if has_approximations and len(inputs) < FEWEST_SAMPLES:
        return (
            f"activations are approximated on the ranges that {count_text(len(inputs), 'calibration sample')} "
            f"of shape {inputs.shape[1:]} took; other inputs leave them, and their results are wrong: compile with a "
            "hundred typical samples or more",
        )
    return ()


def axis_doubts(
    model: torch.nn.Module, inputs: torch.Tensor, tensors: tuple[torch.Tensor, ...], *, listed: bool
) -> tuple[str, ...]:
    """Return a sentence on calibration inputs (batch, ...) whose batch axis may be another one.

    Args:
        model: the model, which accepts the inputs.
        inputs: the inputs as the model accepts them.
        tensors: its outputs on them.
        listed: True if they were a list of tensors or arrays.
    """
    shape = tuple(inputs.shape)
    if listed and inputs.ndim > 2:
        rows = _outputs(model, inputs.flatten(0, 1))
        independent = len(rows) == len(tensors) and all(
            part.ndim > 1
            and row.shape == part.flatten(0, 1).shape
            and torch.allclose(row, part.flatten(0, 1), 1e-4)
            for row, part in zip(rows, tensors, strict=True)
        )
        if independent:
            return (
                f"the list of {len(inputs)} was read as {count_text(len(inputs), 'sample')} of shape {shape[1:]}; the "
                f"model also takes its entries as batches of samples of shape {shape[2:]}: if they are, give "
                "torch.cat(list)",
            )
    elif len(inputs) == 1 and inputs.ndim > 2 and _outputs(model, inputs[None]):
        return (
            f"the first axis of the calibration inputs {shape} was read as the batch, so the plan takes samples of "
            f"shape {shape[1:]}; the model also takes samples of shape {shape}: if they are one such sample, give "
            "x[None], or better a hundred of them",
        )
    return ()


def _outputs(model: torch.nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the outputs of the model on inputs that it may not accept; none then."""
    with contextlib.suppress(Exception):  # The user's code may raise anything.
        result = model(inputs)
        outputs: Outputs = find_outputs(result, len(inputs), "")
        return outputs.pick(result)
    return ()
