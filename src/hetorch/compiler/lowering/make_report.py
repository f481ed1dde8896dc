"""Pass: what the compiler tells about a plan, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.lowering.select_keys import select_keys
from hetorch.compiler.packing.count_dense import count_dense
from hetorch.compiler.search.choose_parameters import Chosen, layer_costs, model_of
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.ir.he_program import HeProgram
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply, TensorProgram
from hetorch.params import ParameterSet
from hetorch.plan import LayerReport, PlanReport
from hetorch.plan.memory import predict_memory, weight_memory
from hetorch.plan.sizes import evaluation_key_bytes


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the report needs besides the program: the range of the outputs, the number of calibration samples, notes for
    the user, and the machine whose constants predict times."""

    span: float
    samples: int
    notes: tuple[str, ...]
    machine: Machine


def make_report(
    program: TensorProgram,
    levels: tuple[int, ...],
    chosen: Chosen,
    he_program: HeProgram,
    weights: Mapping[str, NDArray[np.generic]],
    key_spec: EvaluationKeySpec,
    approximated: Approximated,
    calibration: Calibration,
) -> PlanReport:
    """Row 0 is the input, row i + 1 belongs to operation i of `program`."""
    parameters, span, machine = chosen.parameters, calibration.span, calibration.machine
    placements = chosen.layouts.placements
    parts = [placement.parts for placement in placements]
    model = model_of(parameters, machine, chosen.encrypted)
    seconds = [0.0, *layer_costs(program, chosen.lowered, levels, parts, model)]
    encoded = [0] * program.value_count
    for he_op in he_program.operations:
        encoded[he_op.layer] += weight_memory(he_program, parameters, weights, he_op)
    rows = []
    for value in range(program.value_count):
        op = program.operations[value - 1] if value else None
        lowered = chosen.lowered.get(value - 1)
        kind = op.kind if isinstance(op, Affine | Multiply | Chebyshev) else "sum" if op else "encrypt"
        dense = 0
        if isinstance(op, Affine):
            shapes = (program.shape(op.input), op.shape)
            dense = count_dense(op.matrix, shapes, placements[op.input], placements[value])
        rows.append(
            LayerReport(
                name=op.name if op else "input",
                kind=kind,
                level=levels[value],
                scale_bits=float(np.log2(chosen.scales[value])),
                diagonals=lowered.diagonals if lowered else 0,
                rotations=_rotations(chosen, value),
                multiplications=parts[value] * int(isinstance(op, Multiply)),
                predicted_error=chosen.shares[value] / span,
                predicted_seconds=seconds[value],
                ciphertexts=parts[value],
                weight_bytes=encoded[value],
                key_bytes=_key_bytes(he_program, weights, parameters, value),
                dense_diagonals=dense,
            )
        )
    return PlanReport(
        layers=tuple(rows),
        predicted_error=chosen.error / span,
        approximation_error=approximated.error,
        agreement=approximated.agreement,
        output_range=span,
        calibration_samples=calibration.samples,
        predicted_seconds=sum(seconds),
        notes=calibration.notes,
        machine=machine.name,
        threads=machine.threads,
        memory_bytes=predict_memory(he_program, parameters, key_spec, weights, machine.threads).total,
    )


def _rotations(chosen: Chosen, value: int) -> int:
    lowered = chosen.lowered.get(value - 1)
    if lowered is None:
        return 0
    return lowered.babies + lowered.giants + len(lowered.folds) * chosen.layouts.placements[value].parts


def _key_bytes(
    program: HeProgram, weights: Mapping[str, NDArray[np.generic]], parameters: ParameterSet, layer: int
) -> int:
    """On the wire, of the keys that the operations of one layer use."""
    return evaluation_key_bytes(parameters, select_keys(program, weights, layer, parameters.slot_generator))
