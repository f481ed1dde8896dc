"""The capture of a model: its network as a TensorProgram that computes what the model computes."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.graph.calibration import calibration_array, run_model
from hetorch.compiler.frontend.graph.export import export
from hetorch.compiler.frontend.graph.frozen_copy import frozen_copy
from hetorch.compiler.frontend.graph.packed_sequences import LengthCheck, full_length_packing
from hetorch.compiler.frontend.graph.quantisation import without_fake_quantisation
from hetorch.compiler.frontend.graph.several_inputs import are_several, join
from hetorch.compiler.frontend.graph.walk import Walk
from hetorch.compiler.frontend.marks import NOTE_MARK
from hetorch.compiler.frontend.operations.builder import Builder
from hetorch.compiler.frontend.operations.call import Refusal
from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.compiler.frontend.sources.calibration_inputs import read_calibration_inputs
from hetorch.compiler.frontend.value_sizes import check_sizes, uneven_inputs, uneven_outputs
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.analysis import Analysis, AnalysisRow
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import TensorProgram, verify_tensor_program

CAPTURE_TOLERANCE = 1e-3
"""Largest accepted difference between the captured program (float64) and the model (float32), relative to the largest
output if that exceeds 1. Rounding stays below 1e-5; a higher tolerance would let a misread operation pass."""

AUTOCAST_TOLERANCE = 2.0**-5
"""The same for models under torch.autocast, which rounds to 8 bits (bfloat16) after each operation; the program does
not."""

FEW_SAMPLES = 32
"""Number of calibration samples below which the user is warned. With fewer, inputs often exceed the largest value seen
(one in 33 by chance), and one disagreement weighs 3 %."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured network: the `program`; the calibration `inputs` and the program's `outputs` on them (float64);
    `notes`, sentences for the user; and `rows`, one for each operation of the model."""

    name: str
    program: TensorProgram
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]
    notes: tuple[str, ...]
    rows: tuple[AnalysisRow, ...]


def capture(model: object, calibration_inputs: object) -> Captured:
    """Return the network of a model as a TensorProgram, after comparing it with the model on the calibration inputs.

    Args:
        model: an nn.Module in any mode, on any device, or an object that sources.as_module reads. It is copied and
            stays as it is.
        calibration_inputs: a tensor or array (batch, ...), or another form that sources.calibration_inputs reads. For a
            model of several inputs the program's input is one row that holds them all.

    Raises:
        InputError: the inputs do not fit the model, or its weights are missing or not finite.
        UnsupportedModelError: the model cannot be compiled; the error has the analysis.
    """
    module = as_module(model)
    name = type(module if isinstance(model, torch.nn.Module) else model).__name__
    calibration_inputs, note = read_calibration_inputs(calibration_inputs, model)
    told = () if note is None else (note,)
    if are_several(calibration_inputs):
        module, calibration_inputs, note = join(module, calibration_inputs)
        told = (*told, note)
    fixed = frozen_copy(module, name)
    told = (*told, *without_fake_quantisation(fixed))
    inputs = calibration_array(calibration_inputs)
    packing = LengthCheck(name)
    with torch.no_grad(), warnings.catch_warnings(), packing:
        # Advice that torch gives is not about compiling, and must not stop it where warnings are errors.
        warnings.simplefilter("ignore")
        tensor, result = run_model(fixed, calibration_inputs, inputs, name)
    builder = Builder()
    with full_length_packing(fixed) if packing.steps else contextlib.nullcontext():
        graph = export(fixed, tensor[:1].clone(), name)
    try:
        walk = Walk(graph, fixed, builder)
        program = walk.run(inputs.shape[1:])
    except Refusal as refusal:
        analysis = Analysis(name, tuple(builder.rows), str(refusal), tuple(builder.notes))
        raise UnsupportedModelError(_with_count(refusal, analysis), analysis) from None
    verify_tensor_program(program, "capture")
    if not bool(torch.isfinite(result.to(torch.float64)).all()):
        raise InputError(f"{name} returns NaN or infinity on the calibration inputs; check its weights")
    tolerance = AUTOCAST_TOLERANCE if walk.has_autocast else CAPTURE_TOLERANCE
    outputs = _checked_outputs(name, program, builder, inputs, result, tolerance)
    if walk.has_autocast:
        builder.notes.append("the model is compiled as without torch.autocast, in full precision")
    builder.notes.extend(_circumstances(model, module, inputs))
    builder.notes.extend(note for note in (uneven_inputs(inputs), uneven_outputs(outputs)) if note)
    if not np.any(outputs):
        raise InputError(f"{name} returns only zeros on the calibration inputs; is it trained?")
    notes = (*told, *packing.notes, *builder.notes)
    return Captured(name, program, inputs, outputs, notes, tuple(builder.rows))


def _with_count(refusal: Refusal, analysis: Analysis) -> str:
    others = len(analysis["unsupported"]) - 1
    return f"{refusal} (and {others} more; hetorch.analyze lists them)" if others > 0 else str(refusal)


def _checked_outputs(
    name: str,
    program: TensorProgram,
    builder: Builder,
    inputs: NDArray[np.float64],
    expected: torch.Tensor,
    tolerance: float,
) -> NDArray[np.float64]:
    """Return the program's outputs.

    Raises:
        UnsupportedModelError: they differ from the model's.
        InputError: a value of the program is too large or too small to be computed.
    """
    values = trace_tensor_program(program, inputs)
    check_sizes(program, values)
    outputs = values[program.output].reshape(-1, *program.output_shape)
    whole: torch.Tensor = torch.from_numpy(outputs).reshape(-1, *program.output_shape)
    if not builder.finishing:
        whole = whole.reshape(expected.shape)
    for finish in builder.finishing:
        whole = finish(whole)
    difference = float((whole.to(torch.float64) - expected.to(torch.float64)).abs().max())
    span = float(expected.to(torch.float64).abs().max())
    if not difference <= tolerance * max(span, 1.0):
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


def _circumstances(model: object, module: torch.nn.Module, inputs: NDArray[np.float64]) -> list[str]:
    """Return notes for the user on the state of `model`, which was read as `module`, and on the calibration inputs."""
    notes = []
    note = getattr(module, NOTE_MARK, None)
    if isinstance(note, str):
        notes.append(note)
    # A module that torch.export wrote has no mode to change.
    exported = isinstance(model, torch.fx.GraphModule)
    if isinstance(model, torch.nn.Module) and model.training and not exported:
        notes.append(
            "the model was in training mode; it is compiled as after eval(): without dropout, batch normalisation with "
            "its running statistics"
        )
    if len(inputs) < FEW_SAMPLES:
        notes.append(
            f"{len(inputs)} calibration sample(s) are few: ranges, errors and agreement rest on them; a hundred "
            "typical ones are a good start"
        )
    if len(inputs) > 1 and bool((inputs == inputs[0]).all()):
        notes.append(
            "all calibration samples are the same: ranges and errors hold for this sample only; compile with typical "
            "ones"
        )
    return notes
