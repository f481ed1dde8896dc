"""The compiler, to be read from top to bottom: the passes in their order, and the verifiers between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import PlanError
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply, TensorProgram, verify_tensor_program
from hetorch.params import Security
from hetorch.passes.approximate_activations import Approximated, approximate_activations, output_range
from hetorch.passes.assign_levels import assign_levels
from hetorch.passes.balance_sums import balance_sums
from hetorch.passes.build_program import build_program
from hetorch.passes.choose_parameters import Chosen, Request, choose_parameters, largest_values
from hetorch.passes.fuse_affine import GROWTHS, fuse_affine
from hetorch.passes.predict_errors import SIGMAS, measure_sensitivity
from hetorch.passes.select_keys import select_keys
from hetorch.plan import LayerReport, Plan, PlanReport

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Options:
    """`precision`: bound on the encryption error relative to the range of the outputs. `activation_tolerance`: how far
    the polynomial network may be from the model, relative to the same range. `activation_degree`, `ring_degree`,
    `scale_bits` and `digit_size`: None to choose. `for_seal`: a plan that SEAL can run."""

    precision: float = 2.0**-12
    security: Security = Security.CLASSICAL_128
    activation_tolerance: float = 0.05
    activation_degree: int | None = None
    ring_degree: int | None = None
    scale_bits: int | None = None
    digit_size: int | None = None
    for_seal: bool = False


def run_pipeline(
    name: str,
    captured: TensorProgram,
    inputs: Array,
    reference: Array,
    options: Options,
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Plan:
    """`inputs` (batch, *shape) calibrate; `reference` are the model's outputs on them."""
    tell = progress or (lambda _stage, _fraction: None)

    tell("fuse affine runs", 0.15)
    fused = fuse_affine(captured)
    verify_tensor_program(fused, "fuse_affine")

    tell("approximate activations", 0.2)
    approximated = approximate_activations(
        fused,
        inputs,
        reference,
        degree=options.activation_degree,
        tolerance=options.activation_tolerance,
    )
    verify_tensor_program(approximated.program, "approximate_activations")

    span = output_range(reference)
    found: list[tuple[TensorProgram, tuple[int, ...], Chosen]] = []
    problem: PlanError | None = None
    programs: list[TensorProgram] = []
    for attempt, growth in enumerate(GROWTHS):
        begun = 0.35 + 0.25 * attempt
        tell("fuse affine runs again", begun)
        program = balance_sums(fuse_affine(approximated.program, growth))
        verify_tensor_program(program, "balance_sums")
        if any(len(program.operations) == len(other.operations) for other in programs):
            continue
        programs.append(program)

        tell("assign levels", begun + 0.02)
        levels = assign_levels(program)
        values = trace_tensor_program(program, inputs)

        tell("choose layouts and parameters", begun + 0.05)
        request = Request(
            program=program,
            levels=levels,
            sizes=largest_values(values),
            sensitivity=measure_sensitivity(program, values),
            output_range=span,
            precision=options.precision,
            security=options.security,
            ring_degree=options.ring_degree,
            scale_bits=options.scale_bits,
            digit_size=options.digit_size,
            for_seal=options.for_seal,
        )
        try:
            found.append((program, levels, choose_parameters(request)))
        except PlanError as error:
            problem = problem or error
    if not found:
        assert problem is not None
        raise problem
    program, levels, chosen = min(found, key=lambda choice: choice[2].cost)

    tell("lower to ciphertext operations", 0.9)
    he_program, weights = build_program(program, levels, chosen)
    plan = Plan(
        name=name,
        program=he_program,
        parameters=chosen.parameters,
        key_spec=select_keys(he_program, weights, chosen.parameters.slot_generator),
        weights=weights,
        input_range=(float(inputs.min()), float(inputs.max())),
        report=_report(program, levels, chosen, approximated, span, len(inputs), notes),
    )
    tell("done", 1.0)
    return plan


def _report(
    program: TensorProgram,
    levels: tuple[int, ...],
    chosen: Chosen,
    approximated: Approximated,
    span: float,
    samples: int,
    notes: tuple[str, ...],
) -> PlanReport:
    rows = []
    for value in range(program.value_count):
        op = program.operations[value - 1] if value else None
        lowered = chosen.lowered.get(value - 1)
        kind = op.kind if isinstance(op, Affine | Multiply | Chebyshev) else "sum" if op else "encrypt"
        rows.append(
            LayerReport(
                name=op.name if op else "input",
                kind=kind,
                level=levels[value],
                scale_bits=float(np.log2(chosen.scales[value])),
                diagonals=lowered.diagonals if lowered else 0,
                rotations=lowered.babies + lowered.giants + len(lowered.folds) if lowered else 0,
                multiplications=int(isinstance(op, Multiply)),
                predicted_error=SIGMAS * chosen.shares[value] / span,
            )
        )
    return PlanReport(
        layers=tuple(rows),
        predicted_error=SIGMAS * chosen.error / span,
        approximation_error=approximated.error,
        agreement=approximated.agreement,
        output_range=span,
        calibration_samples=samples,
        predicted_cost=chosen.cost,
        notes=notes,
    )
