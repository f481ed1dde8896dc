"""The calibration inputs, and the model's own results on them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.graph.several_outputs import Outputs, find_outputs
from hetorch.compiler.frontend.graph.user_code import described, error_place, first_line
from hetorch.errors import InputError, UnsupportedModelError

_FIXED_BATCH = (
    "; it was exported for another batch size: export it with a batch of 1, or with "
    "dynamic_shapes=({0: torch.export.Dim.AUTO},)"
)


def calibration_array(data: object) -> NDArray[np.float64]:
    """Return the calibration inputs (batch, ...) as float64.

    Raises:
        InputError: `data` is no dense tensor or array of finite real numbers with a batch axis.
    """
    if isinstance(data, torch.Tensor):
        usable = data.layout is torch.strided and not (data.is_complex() or data.is_quantized or data.is_meta)
        array = data.detach().cpu().to(torch.float64).numpy() if usable else None
    elif isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        array = data.astype(np.float64)
    else:
        array = None
    if array is None:
        raise InputError(
            f"calibration_inputs must be a dense tensor or array of real numbers, got {described(data)}"
        )
    if array.ndim < 2 or array.size == 0:
        raise InputError(
            f"calibration_inputs must be (batch, ...) with at least one sample, got {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        raise InputError("calibration_inputs hold NaN or infinity; remove those samples")
    return array


@dataclass(frozen=True, slots=True)
class Run:
    """A model's run on the calibration inputs: the `inputs` as the model accepts them, its `outputs`, and their
    `tensors` (batch, ...)."""

    inputs: torch.Tensor
    outputs: Outputs
    tensors: tuple[torch.Tensor, ...]


def run_model(
    model: torch.nn.Module,
    data: object,
    inputs: NDArray[np.float64],
    name: str,
    wanted: Sequence[str] | None = None,
) -> Run:
    """Return the inputs as the model accepts them, and those of its outputs whose names are `wanted`.

    A model that does not accept a batch is run on one sample after the other. If `data`, from which `inputs` were
    made, has whole numbers, and the model does not accept real ones, it is run on whole numbers.

    Raises:
        InputError: the model accepts the inputs in none of these forms, or has no such output.
        UnsupportedModelError: it returns no tensor (batch, ...), or takes token ids.
    """
    weights = (*model.parameters(), *model.buffers())
    dtype = next((p.dtype for p in weights if p.is_floating_point()), torch.float32)
    tensor = torch.from_numpy(inputs).to(dtype)
    problem: Exception | None = None
    whole = "int" in str(getattr(data, "dtype", "")) or (
        any(isinstance(part, torch.nn.Embedding) for part in model.modules())
        and bool(np.array_equal(inputs, np.round(inputs)))
    )
    for candidate in (tensor, tensor.long()) if whole else (tensor,):
        try:
            result = model(candidate)
            outputs = find_outputs(result, len(inputs), name)
        except Exception as error:
            problem = problem or error
        else:
            outputs = outputs.chosen(wanted, name)
            return Run(candidate, outputs, outputs.pick(result))
        try:
            results = [model(sample[None]) for sample in candidate]
            outputs = find_outputs(results[0], 1, name)
        except Exception as error:
            if isinstance(model, torch.fx.GraphModule):
                problem = error  # not that an exported model has a batch of one
            continue
        outputs = outputs.chosen(wanted, name)
        parts = zip(*(outputs.pick(result) for result in results), strict=True)
        return Run(candidate, outputs, tuple(torch.cat(part) for part in parts))
    assert problem is not None
    if isinstance(problem, UnsupportedModelError):
        raise problem
    advice = _FIXED_BATCH if isinstance(model, torch.fx.GraphModule) and "size()[0]" in str(problem) else ""
    with contextlib.suppress(Exception):
        find_outputs(model(tensor[:1, None]), 1, name)
        advice = f"; is the axis of channels missing? It takes {(len(inputs), 1, *inputs.shape[1:])}"
    with contextlib.suppress(Exception):
        find_outputs(model(tensor[None]), 1, name)
        advice = f"; is the batch axis missing? It takes one sample as {(1, *inputs.shape)}"
    raise InputError(
        f"{name} does not accept the calibration inputs of shape {inputs.shape}{error_place(problem)}: "
        f"{first_line(problem)}{advice}"
    ) from problem
