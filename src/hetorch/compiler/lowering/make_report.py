"""Pass: make the report on a plan, layer by layer.

*Assumes* the program that build_program made of the choice.
*Ensures* a report whose row 0 is the input and whose row i + 1 belongs to operations[i]; nothing that runs reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.unseen_range import unseen_outputs
from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.lowering.model_units import ModelUnits, model_units
from hetorch.compiler.packing.count_dense import count_dense
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.program_costs import cost_model, layer_costs
from hetorch.engine.bootstrap_keys import key_switch_count
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.ir.he_program import HeProgram
from hetorch.ir.tensor_program import Affine, Bootstrap, Chebyshev, Multiply, TensorOp
from hetorch.plan import LayerReport, PlanReport
from hetorch.plan.keys import required_keys
from hetorch.plan.memory import predict_memory, prepared_positions
from hetorch.plan.report import PolynomialReport
from hetorch.plan.sizes import evaluation_key_bytes

Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Facts for the report that the program does not hold.

    `span`: the range of the outputs. `reference`: the model's outputs, (batch, ...). `inputs`: the calibration inputs,
    (batch, *shape). `notes`: for the user. `machine`: the constants with which times are predicted. `memory_limit` and
    `key_limit`: the limits of the search.
    """

    span: float
    reference: NDArray[np.float64]
    inputs: NDArray[np.float64]
    notes: tuple[str, ...]
    machine: Machine
    memory_limit: int | None
    key_limit: int


def make_report(
    choice: Choice,
    program: HeProgram,
    weights: Weights,
    key_spec: EvaluationKeySpec,
    approximated: Approximated,
    calibration: Calibration,
) -> PlanReport:
    """Return the report.

    Args:
        choice: all decisions about the program.
        program: the program of ciphertext operations.
        weights: its weights by name.
        key_spec: the keys that it uses.
        approximated: the errors of the approximations.
        calibration: the facts that the program does not hold.
    """
    machine = calibration.machine
    units = model_units(approximated, choice.variant.program, calibration.inputs)
    layers = _layers(choice, program, weights, calibration, units)
    return PlanReport(
        layers=layers,
        predicted_error=choice.error / calibration.span,
        approximation_error=approximated.error,
        agreement=approximated.agreement,
        output_range=calibration.span,
        calibration_samples=len(calibration.inputs),
        predicted_seconds=sum(row.predicted_seconds for row in layers),
        notes=calibration.notes,
        machine=machine.name,
        threads=machine.threads,
        memory_bytes=predict_memory(program, choice.parameters, key_spec, weights, machine.threads).total,
        memory_limit=calibration.memory_limit or 0,
        key_limit=calibration.key_limit,
        polynomials=tuple(
            PolynomialReport(
                *(fit.name, fit.function, fit.degree, fit.low, fit.high, fit.error),
                *(fit.channel_low, fit.channel_high, fit.curves, fit.histogram),
            )
            for fit in approximated.fits
        ),
        expected_outputs=_expected_outputs(choice, approximated, calibration),
    )


def _expected_outputs(
    choice: Choice, approximated: Approximated, calibration: Calibration
) -> tuple[float, float] | None:
    """Return the range of results on unseen inputs; None if they are exact for every input, because nothing that holds
    on a range only, a fitted polynomial or the sine of a bootstrap, is in the network."""
    if not approximated.fits and not choice.bootstraps:
        return None
    return unseen_outputs(calibration.reference, choice.error + approximated.error * calibration.span)


def _layers(
    choice: Choice,
    he_program: HeProgram,
    weights: Weights,
    calibration: Calibration,
    units: Sequence[ModelUnits | None],
) -> tuple[LayerReport, ...]:
    variant, parameters = choice.variant, choice.parameters
    program, placements = variant.program, choice.layouts.placements
    parts = [placement.parts for placement in placements]
    model = cost_model(parameters, calibration.machine, choice.encrypted)
    sets = {planned.bootstrap_set for planned in choice.bootstraps.values()}
    each = sum(bootstrap_time(boot, calibration.machine).total for boot in sets)  # of one set, or none
    seconds = [0.0, *layer_costs(program, choice.lowered, variant.levels, parts, model, each)]
    for index, transforms in choice.footprint.coefficients.items():
        seconds[index + 1] += transforms
    encoded = [0] * program.value_count
    for position in prepared_positions(he_program):
        he_op = he_program.operations[position]
        encoded[he_op.layer] += he_op.weight_bytes(he_program, parameters, weights)
    rows = []
    for value in range(program.value_count):
        op = program.operations[value - 1] if value else None
        lowered = choice.lowered.get(value - 1)
        kind = _kind(op)
        keys = required_keys(he_program, weights, parameters, value)
        own = units[value]
        rows.append(
            LayerReport(
                name=op.name if op else "input",
                kind=kind,
                level=variant.levels[value],
                scale_bits=float(np.log2(choice.scales[value])),
                diagonals=lowered.diagonals if lowered else 0,
                rotations=_rotations(choice, value),
                multiplications=parts[value] * int(isinstance(op, Multiply)),
                predicted_error=choice.shares[value] / calibration.span,
                predicted_seconds=seconds[value],
                ciphertexts=parts[value],
                weight_bytes=encoded[value],
                key_bytes=evaluation_key_bytes(parameters, keys),
                dense_diagonals=_dense_diagonals(choice, value),
                gain=None if own is None else own.gain,
                offset=() if own is None else own.offset,
            )
        )
    return tuple(rows)


def _kind(op: TensorOp | None) -> str:
    match op:
        case None:
            return "encrypt"
        case Affine() | Multiply() | Chebyshev():
            return op.kind
        case Bootstrap():
            return "bootstrap"
        case _:
            return "sum"


def _rotations(choice: Choice, value: int) -> int:
    parts = choice.layouts.placements[value].parts
    if value - 1 in choice.bootstraps:
        boot = choice.bootstraps[value - 1].bootstrap_set
        return parts * key_switch_count(boot.to_coefficients, boot.to_slots, boot.babies)
    lowered = choice.lowered.get(value - 1)
    if lowered is None:
        return 0
    return lowered.babies + lowered.giants + (len(lowered.spreads) + len(lowered.folds)) * parts


def _dense_diagonals(choice: Choice, value: int) -> int:
    """Return the number of diagonals of the map that makes `value` if it had no zeros; 0 if no map makes it."""
    program, placements = choice.variant.program, choice.layouts.placements
    op = program.operations[value - 1] if value else None
    if not isinstance(op, Affine):
        return 0
    shapes = (program.shape(op.input), op.shape)
    return count_dense(op.matrix, shapes, placements[op.input], placements[value])
