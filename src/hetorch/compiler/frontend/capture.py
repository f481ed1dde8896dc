"""torch.export of a module, and its graph as a TensorProgram."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import traceback
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from hetorch.compiler.frontend.builder import Builder, Refusal
from hetorch.compiler.frontend.marks import NOTE_MARK
from hetorch.compiler.frontend.nodes import writes_into_parts
from hetorch.compiler.frontend.several_inputs import are_several, join
from hetorch.compiler.frontend.source import as_module
from hetorch.compiler.frontend.walk import Walk, shown
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.analysis import Analysis, AnalysisRow
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import TensorProgram, verify_tensor_program

CAPTURE_TOLERANCE = 1e-3
"""Largest difference between the captured program (float64) and the model (float32): rounding is below 1e-5."""

FEW_SAMPLES = 32
"""With fewer the largest value seen is often exceeded (one input in 33 by chance), and a disagreement weighs 3 %."""


@dataclass(frozen=True, slots=True)
class Captured:
    """The network as a program, the model's own outputs on the calibration inputs, sentences for the user, and what
    became of each operation."""

    name: str
    program: TensorProgram
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]
    notes: tuple[str, ...]
    rows: tuple[AnalysisRow, ...]


def capture(model: object, calibration_inputs: object) -> Captured:
    """`model` is an nn.Module in any mode, on any device, or what frontend.source makes one of: a copy in evaluation
    mode is used, the model stays as it is.

    `calibration_inputs` is a tensor or array (batch, ...), or a tuple of them for a model with several inputs: the
    program's input is then one row of them all. InputError if the inputs do not fit the model,
    UnsupportedModelError, with the analysis, if it cannot be compiled.
    """
    module = as_module(model)
    name = type(model).__name__
    joined: tuple[str, ...] = ()
    if are_several(calibration_inputs):
        module, calibration_inputs, told = join(module, calibration_inputs)
        joined = (told,)
    _check_presence(module)
    fixed = _frozen_copy(module)
    for path, part in fixed.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            problem = f"batch_norm in {path} ({type(part).__name__}): it has no running statistics"
            problem += "; use track_running_stats=True"
            raise UnsupportedModelError(problem, Analysis(name, (), problem))
    _check_weights(fixed)
    inputs = _calibration(calibration_inputs)
    with torch.no_grad(), warnings.catch_warnings():
        # Advice that torch gives is not about compiling, and must not stop it where warnings are errors.
        warnings.simplefilter("ignore")
        tensor, result = _run(fixed, calibration_inputs, inputs, name)
    builder = Builder()
    graph = _export(fixed, tensor[:1].clone(), name)
    try:
        program = Walk(graph, fixed, builder).run(inputs.shape[1:])
    except Refusal as refusal:
        analysis = Analysis(name, tuple(builder.rows), str(refusal), tuple(builder.notes))
        raise UnsupportedModelError(_told(refusal, analysis), analysis) from None
    verify_tensor_program(program, "capture")
    if not bool(torch.isfinite(result.to(torch.float64)).all()):
        raise InputError(f"{name} returns NaN or infinity on the calibration inputs; check its weights")
    outputs = _check_capture(name, program, builder, inputs, result)
    builder.notes.extend(_circumstances(model, module, len(inputs)))
    if not np.any(outputs):
        raise InputError(f"{name} returns only zeros on the calibration inputs; is it trained?")
    return Captured(name, program, inputs, outputs, (*joined, *builder.notes), tuple(builder.rows))


def _told(refusal: Refusal, analysis: Analysis) -> str:
    others = len(analysis["unsupported"]) - 1
    return f"{refusal} (and {others} more; hetorch.analyze lists them)" if others > 0 else str(refusal)


def _check_presence(model: torch.nn.Module) -> None:
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            raise InputError(f"{path} has no shape yet; call the model once on a batch before compiling it")
        if tensor.device.type == "meta":
            raise InputError(f"{path} has no numbers (it is on the device meta); load the model's weights")


def _frozen_copy(model: torch.nn.Module) -> torch.nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fixed = copy.deepcopy(model, _computed(model))
    except Exception as error:
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be copied: {_first_line(error)}"
        ) from error
    fixed = fixed.cpu()
    # What torch.export.save wrote has one mode, the one in which it was exported.
    with contextlib.suppress(NotImplementedError):
        fixed = fixed.eval()
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in fixed.parameters()):
        fixed = fixed.float()
    return fixed.requires_grad_(False)


def _computed(model: torch.nn.Module) -> dict[int, torch.Tensor]:
    """Copies of tensors that a hook computes before each call, as torch.nn.utils.prune does, for deepcopy, which does
    not copy what has a gradient behind it."""
    return {
        id(value): value.detach().clone()
        for part in model.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }


def _check_weights(model: torch.nn.Module) -> None:
    for kind, tensors in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
        for path, tensor in tensors:
            if bool(torch.isnan(tensor).any()):
                raise InputError(f"{path} holds NaN; train the model again, or load the right weights")
            # A buffer may: masks of attention hold -inf.
            if kind == "parameter" and bool(torch.isinf(tensor).any()):
                raise InputError(f"{path} holds infinity; train the model again, or load the right weights")


def _circumstances(model: object, module: torch.nn.Module, samples: int) -> list[str]:
    """What the user should know about how the model, of which `module` was made, and the calibration inputs were
    given."""
    found = []
    told = getattr(module, NOTE_MARK, None)
    if isinstance(told, str):
        found.append(told)
    # What torch.export wrote has no mode to change.
    exported = isinstance(model, torch.fx.GraphModule)
    if isinstance(model, torch.nn.Module) and model.training and not exported:
        found.append(
            "the model was in training mode; it is compiled as after eval(): without dropout, batch normalisation with "
            "its running statistics"
        )
    if samples < FEW_SAMPLES:
        found.append(
            f"{samples} calibration sample(s) are few: ranges, errors and agreement rest on them; a hundred typical "
            "ones are a good start"
        )
    return found


def _calibration(data: object) -> NDArray[np.float64]:
    if isinstance(data, torch.Tensor):
        usable = data.layout is torch.strided and not (data.is_complex() or data.is_quantized or data.is_meta)
        array = data.detach().cpu().to(torch.float64).numpy() if usable else None
    elif isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        array = data.astype(np.float64)
    else:
        array = None
    if array is None:
        raise InputError(
            f"calibration_inputs must be a dense tensor or array of real numbers, got {_describe(data)}"
        )
    if array.ndim < 2 or array.size == 0:
        raise InputError(
            f"calibration_inputs must be (batch, ...) with at least one sample, got {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        raise InputError("calibration_inputs hold NaN or infinity; remove those samples")
    return array


def _run(
    model: torch.nn.Module, given: object, inputs: NDArray[np.float64], name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The inputs as the model takes them, and its outputs (batch, ...): one sample after the other if it takes no more
    at a time, as whole numbers if it takes no others."""
    own = (*model.parameters(), *model.buffers())
    dtype = next((p.dtype for p in own if p.is_floating_point()), torch.float32)
    tensor = torch.from_numpy(inputs).to(dtype)
    problem: Exception | None = None
    whole = "int" in str(getattr(given, "dtype", ""))
    for candidate in (tensor, tensor.long()) if whole else (tensor,):
        try:
            return candidate, _one_tensor(model(candidate), len(inputs), name)
        except Exception as error:
            problem = problem or error
        try:
            parts = [_one_tensor(model(sample[None]), 1, name) for sample in candidate]
        except Exception:
            continue
        return candidate, torch.cat(parts)
    assert problem is not None
    if isinstance(problem, UnsupportedModelError):
        raise problem
    advice = _FIXED_BATCH if isinstance(model, torch.fx.GraphModule) else ""
    with contextlib.suppress(Exception):
        _one_tensor(model(tensor[None]), 1, name)
        advice = f"; is the batch axis missing? It takes one sample as {(1, *inputs.shape)}"
    raise InputError(
        f"{name} does not accept the calibration inputs of shape {inputs.shape}{_user_line(problem)}: "
        f"{_first_line(problem)}{advice}"
    ) from problem


def _one_tensor(result: object, batch: int, name: str) -> torch.Tensor:
    if not isinstance(result, torch.Tensor) or result.ndim < 1 or result.shape[0] != batch:
        problem = f"{name} must return one tensor (batch, ...), got {_describe(result)}"
        raise UnsupportedModelError(problem, Analysis(name, (), problem))
    return result


_FIXED_BATCH = (
    "; it was exported for another batch size: export it with a batch of 1, or with "
    "dynamic_shapes=({0: torch.export.Dim.AUTO},)"
)


def _export(model: torch.nn.Module, example: torch.Tensor, name: str) -> torch.export.ExportedProgram:
    logger = logging.getLogger("torch.export")
    # torch logs the graph and a traceback before it raises; the error that is raised here says the same in one
    # sentence.
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        quiet = io.StringIO()
        with (
            warnings.catch_warnings(),
            torch.no_grad(),
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
        ):
            warnings.simplefilter("ignore")
            found = torch.export.export(model, (example,), strict=False)
            # Without tables nothing is taken apart; but what writes into a part of a tensor makes a new one then.
            return found.run_decompositions({}) if writes_into_parts(found.graph) else found
    except Exception as error:
        logger.debug("export failed", exc_info=True)
        problem = (
            f"{name} cannot be traced{_user_line(error)}: its forward must not branch on the values of its input or "
            "take them out of torch (.numpy(), .item(), .tolist()): use torch.where, a smooth gate such as sigmoid, or "
            f"split the model there and let the client decide (torch.export says: {_first_line(error)})"
        )
        raise UnsupportedModelError(problem, Analysis(name, (), problem)) from error
    finally:
        logging.disable(disabled)


def _check_capture(
    name: str, program: TensorProgram, builder: Builder, inputs: Any, expected: torch.Tensor
) -> Any:
    """The program's outputs, after comparing them with the model's: a handler that misreads torch must not pass."""
    outputs = run_tensor_program(program, inputs)
    whole: torch.Tensor = torch.from_numpy(outputs).reshape(-1, *program.output_shape)
    if not builder.finishing:
        whole = whole.reshape(expected.shape)
    for finish in builder.finishing:
        whole = finish(whole)
    difference = float((whole.to(torch.float64) - expected.to(torch.float64)).abs().max())
    span = float(expected.to(torch.float64).abs().max())
    if not difference <= CAPTURE_TOLERANCE * max(span, 1.0):
        raise UnsupportedModelError(
            f"{name}: what was captured differs from the model by {difference:.3g} on the calibration inputs; "
            "does its forward change from call to call, or do the samples of a batch influence each other?",
            Analysis(
                name,
                tuple(builder.rows),
                "the model's outputs depend on the batch or change from call to call",
            ),
        )
    return outputs


def _user_line(error: BaseException) -> str:
    """Where in the user's code an error began: " at file:line", or nothing."""
    own = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(__file__)))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((*own, "<"))]
    return f" at {shown(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _describe(value: object) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"
