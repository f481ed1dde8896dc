"""The capture of a model: its network as a TensorProgram that computes what the model computes."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.graph.calibration import calibration_array, run_model
from hetorch.compiler.frontend.graph.calibration_doubts import axis_doubts, calibration_doubts
from hetorch.compiler.frontend.graph.export import export
from hetorch.compiler.frontend.graph.frozen_copy import frozen_copy
from hetorch.compiler.frontend.graph.layer_memory import check_layer_memory
from hetorch.compiler.frontend.graph.packed_sequences import LengthCheck, full_length_packing
from hetorch.compiler.frontend.graph.quantisation import without_fake_quantisation
from hetorch.compiler.frontend.graph.several_inputs import are_several, join
from hetorch.compiler.frontend.graph.several_outputs import Picked, heads_of, scaled, scaled_row
from hetorch.compiler.frontend.graph.walk import Walk
from hetorch.compiler.frontend.marks import CHECK_MARK, INTERFACE_MARK, NOTE_MARK
from hetorch.compiler.frontend.operations.builder import Builder
from hetorch.compiler.frontend.operations.call import Refusal
from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.compiler.frontend.sources.calibration_inputs import read_calibration_inputs, read_table
from hetorch.compiler.frontend.value_sizes import check_size, uneven_inputs, uneven_outputs
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.analysis import Analysis, AnalysisRow
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import TensorProgram, verify_tensor_program
from hetorch.plan.interface import PLAIN, Interface
from hetorch.plan.output_functions import OutputFunction, applied

CAPTURE_TOLERANCE = 1e-3
"""Largest accepted difference between the captured program (float64) and the model (float32), relative to the largest
output if that exceeds 1. Rounding stays below 1e-5; a higher tolerance would let a misread operation pass."""

AUTOCAST_TOLERANCE = 2.0**-5
"""Largest accepted difference for models under torch.autocast, which rounds to 8 bits (bfloat16) after each operation;
the program does not."""

FEW_SAMPLES = 32
"""Number of calibration samples below which the user is warned. With fewer, inputs often exceed the largest value seen
(one in 33 by chance), and one disagreement weighs 3 %."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured network: the `program`; the calibration `inputs` and the program's `outputs` on them (float64);
    `notes`, sentences for the user; `rows`, one for each operation of the model; `interface`, the client's part; and
    `doubts`, sentences for warnings on the calibration inputs."""

    name: str
    program: TensorProgram
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]
    notes: tuple[str, ...]
    rows: tuple[AnalysisRow, ...]
    interface: Interface = PLAIN
    doubts: tuple[str, ...] = ()


def capture(
    model: object,
    calibration_inputs: object,
    outputs: Sequence[str] | None = None,
    *,
    prepared: bool = False,
) -> Captured:
    """Return the network of a model as a TensorProgram, after comparing it with the model on the calibration inputs.

    Args:
        model: an nn.Module in any mode, on any device, or an object that sources.as_module reads. It is copied and
            stays as it is.
        calibration_inputs: a tensor or array (batch, ...), or another form that sources.calibration_inputs reads. For a
            model of several inputs the program's input is one row that holds them all.
        outputs: names of the outputs to compute, of a model that returns several; all of them if None.
        prepared: True if the inputs are the numbers that the client computes of a table, for a model of tables.

    Raises:
        InputError: the inputs do not fit the model, it has no such output, or its weights are missing or not finite.
        UnsupportedModelError: the model cannot be compiled; the error has the analysis.
    """
    source = _read(model, calibration_inputs, prepared)
    name, fixed, inputs = source.name, source.fixed, source.inputs
    packing = LengthCheck(name)
    with torch.no_grad(), warnings.catch_warnings(), packing:
        # Advice that torch gives is not about compiling, and must not stop it where warnings are errors.
        warnings.simplefilter("ignore")
        run = run_model(fixed, source.data, inputs, name, outputs)
        doubts = axis_doubts(fixed, run.inputs, run.tensors, listed=_is_list(calibration_inputs))
    traced = fixed if run.outputs.is_plain else Picked(fixed, run.outputs)
    builder = Builder()
    with full_length_packing(fixed) if packing.steps else contextlib.nullcontext():
        graph = export(traced, run.inputs[:1].clone(), name)
    check_layer_memory(graph, name)
    try:
        walk = Walk(graph, traced, builder)
        program = walk.run(inputs.shape[1:])
    except Refusal as refusal:
        analysis = Analysis(name, tuple(builder.rows), str(refusal), tuple(builder.notes))
        raise UnsupportedModelError(_with_count(refusal, analysis), analysis) from None
    verify_tensor_program(program, "capture")
    if not all(bool(torch.isfinite(tensor.to(torch.float64)).all()) for tensor in run.tensors):
        raise InputError(f"{name} returns NaN or infinity on the calibration inputs; check its weights")
    tolerance = AUTOCAST_TOLERANCE if walk.has_autocast else CAPTURE_TOLERANCE
    row = _checked_outputs(name, program, builder, inputs, run.tensors, walk.output_shapes, tolerance)
    heads = heads_of(run.outputs, walk.output_shapes, row.reshape(len(row), -1), builder.functions)
    if len(heads) > 1:
        program, row = scaled(program, heads), scaled_row(row, heads)
        verify_tensor_program(program, "scaled")
    if not np.any(row):
        raise InputError(f"{name} returns only zeros on the calibration inputs; is it trained?")
    known = replace(source.interface, heads=heads, by_name=run.outputs.by_name)
    interface = _interface(known, program, () if heads else builder.functions(0))
    if walk.has_autocast:
        builder.notes.append("the model is compiled as without torch.autocast, in full precision")
    unread = (run.outputs.note, *_circumstances(model, source.module, inputs), uneven_inputs(inputs))
    notes = (*source.notes, *packing.notes, *builder.notes, *filter(None, (*unread, uneven_outputs(row))))
    has_approximations = any(part.status == "approximate" for part in builder.rows)
    doubts += calibration_doubts(inputs, has_approximations=has_approximations)
    return Captured(name, program, inputs, row, notes, tuple(builder.rows), interface, doubts)


def _interface(known: Interface, program: TensorProgram, functions: tuple[OutputFunction, ...]) -> Interface:
    """Return the client's part with the functions that end the model.

    Labels of an ONNX file that are not of its scores are left out; if they are, the classes know the functions.
    """
    if known.classes and known.problem(program.input_shape, program.output_shape) is None:
        return known
    return replace(known, classes=(), functions=functions)


def _is_list(data: object) -> bool:
    """Return True for a list of tensors or arrays that may be batches."""
    return isinstance(data, list) and all(
        isinstance(part, torch.Tensor | np.ndarray) and part.ndim > 1 for part in data
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """What the user gave, as it is traced.

    `module` is the model, `fixed` its frozen copy; `data` are the calibration inputs in the model's type, `inputs` the
    same as float64. `interface` has the client's part that is known from the model and a table.
    """

    name: str
    module: torch.nn.Module
    fixed: torch.nn.Module
    data: object
    inputs: NDArray[np.float64]
    notes: tuple[str, ...]
    interface: Interface


def _read(model: object, calibration_inputs: object, prepared: bool) -> _Source:
    """Read the model and its calibration inputs; an estimator is compared with its module on them."""
    module = as_module(model)
    name = type(module if isinstance(model, torch.nn.Module) else model).__name__
    interface: Interface = getattr(module, INTERFACE_MARK, PLAIN)
    check = None if prepared else getattr(module, CHECK_MARK, None)
    table, columns = calibration_inputs, interface.columns
    if not prepared:
        table, columns = read_table(calibration_inputs, columns)
    data, note = read_calibration_inputs(table, model)
    notes = [] if note is None else [note]
    if are_several(data):
        module, data, note = join(module, data)
        notes.append(note)
    fixed = frozen_copy(module, name)
    notes += without_fake_quantisation(fixed)
    inputs = calibration_array(data)
    if callable(check):
        check(calibration_inputs, inputs)
    return _Source(name, module, fixed, data, inputs, tuple(notes), replace(interface, columns=columns))


def _with_count(refusal: Refusal, analysis: Analysis) -> str:
    others = len(analysis["unsupported"]) - 1
    return f"{refusal} (and {others} more; hetorch.analyze lists them)" if others > 0 else str(refusal)


def _checked_outputs(
    name: str,
    program: TensorProgram,
    builder: Builder,
    inputs: NDArray[np.float64],
    expected: Sequence[torch.Tensor],
    shapes: Sequence[tuple[int, ...]],
    tolerance: float,
) -> NDArray[np.float64]:
    """Return the program's outputs (batch, *output_shape): the row of the model's outputs, which have these shapes.

    Raises:
        UnsupportedModelError: they differ from what is `expected`, the model's.
        InputError: a value of the program is too large or too small to be computed.
    """
    row = run_tensor_program(program, inputs, partial(check_size, program)).reshape(len(inputs), -1)
    begin = 0
    for position, (truth, shape) in enumerate(zip(expected, shapes, strict=True)):
        size = math.prod(shape)
        raw = row[:, begin : begin + size].reshape(-1, *shape)
        begin += size
        expectation = truth.to(torch.float64).cpu().numpy()
        whole = applied(builder.functions(position), raw).reshape(expectation.shape)
        difference = float(np.abs(whole - expectation).max())
        span = float(np.abs(expectation).max())
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
    return row.reshape(-1, *program.output_shape)


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
