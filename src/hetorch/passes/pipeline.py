"""The compiler, to be read from top to bottom: the passes in their order, and the verifiers between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import PlanError
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import TensorProgram, verify_tensor_program
from hetorch.params import Security
from hetorch.passes.approximate_activations import approximate_activations, output_range
from hetorch.passes.approximation_notes import sentences
from hetorch.passes.assign_levels import assign_levels
from hetorch.passes.balance_sums import balance_sums
from hetorch.passes.build_program import build_program
from hetorch.passes.choose_parameters import Chosen, Request, choose_parameters, largest_terms, largest_values
from hetorch.passes.cost_model import KEY
from hetorch.passes.drop_pruned import Pruned, drop_pruned
from hetorch.passes.fuse_affine import GROWTHS, fuse_affine
from hetorch.passes.machine import DEFAULT, Machine
from hetorch.passes.make_report import Calibration, make_report
from hetorch.passes.predict_errors import measure_sensitivity
from hetorch.passes.select_keys import select_keys
from hetorch.plan import Plan
from hetorch.plan.sizes import evaluation_key_bytes

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Options:
    """`precision`: bound on the encryption error relative to the range of the outputs. `activation_tolerance`: how far
    the polynomial network may be from the model, relative to the same range, `activation_agreement` the least share of
    equal argmaxes, `activation_ranges` "calibrated" or "interval". `activation_degree`, `activation_precision`,
    `ring_degree`, `scale_bits` and `digit_size`: None to choose. `objective`: "latency" of one run of `batch_size`
    samples (None: 1) or "throughput", samples a second (`batch_size` None: as many as the slots hold). `machine`: costs
    of operations. `encrypted_weights`: the server sees the weights as ciphertexts only. `for_seal`: a plan that SEAL
    can run. `key_limit`: bytes of evaluation keys on the wire, None for any number."""

    precision: float = 2.0**-12
    security: Security = Security.CLASSICAL_128
    activation_tolerance: float = 0.05
    activation_degree: int | None = None
    activation_precision: float | None = None
    activation_agreement: float = 0.99
    activation_ranges: str = "calibrated"
    ring_degree: int | None = None
    scale_bits: int | None = None
    digit_size: int | None = None
    objective: str = "latency"
    batch_size: int | None = None
    machine: Machine = DEFAULT
    encrypted_weights: bool = False
    for_seal: bool = False
    key_limit: int | None = None


KEY_WEIGHTS = (KEY, 0.3, 1.0, 3.0, 10.0)
"""What a key counts beside a hoisted rotation (1.2) and a giant step (4): tried in turn until the keys are few."""


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
        precision=options.activation_precision,
        tolerance=options.activation_tolerance,
        least_agreement=options.activation_agreement,
        only_bounds=options.activation_ranges == "interval",
    )
    verify_tensor_program(approximated.program, "approximate_activations")

    span = output_range(reference)
    found: list[tuple[Pruned, tuple[int, ...], Chosen]] = []
    problem: PlanError | None = None
    programs: list[TensorProgram] = []
    for attempt, growth in enumerate(GROWTHS):
        begun = 0.35 + 0.25 * attempt
        tell("fuse affine runs again", begun)
        pruned = drop_pruned(balance_sums(fuse_affine(approximated.program, growth)))
        program = pruned.program
        verify_tensor_program(program, "drop_pruned")
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
            terms=largest_terms(program, levels, values),
            sensitivity=measure_sensitivity(program, values),
            output_range=span,
            precision=options.precision,
            security=options.security,
            ring_degree=options.ring_degree,
            scale_bits=options.scale_bits,
            digit_size=options.digit_size,
            batch_size=options.batch_size or (None if options.objective == "throughput" else 1),
            throughput=options.objective == "throughput",
            machine=options.machine,
            encrypted=options.encrypted_weights,
            for_seal=options.for_seal,
        )
        try:
            found.append((pruned, levels, _with_few_keys(request, options.key_limit)))
        except PlanError as error:
            problem = problem or error
    if not found:
        assert problem is not None
        raise problem
    pruned, levels, chosen = min(found, key=lambda choice: choice[2].cost / choice[2].batch)

    program = pruned.program
    tell("lower to ciphertext operations", 0.9)
    he_program, weights = build_program(program, levels, chosen)
    key_spec = select_keys(he_program, weights, slot_generator=chosen.parameters.slot_generator)
    report = make_report(
        program,
        levels,
        chosen,
        he_program,
        weights,
        key_spec,
        approximated,
        Calibration(span, len(inputs), (*notes, *sentences(approximated), *pruned.notes), options.machine),
    )
    plan = Plan(
        name=name,
        program=he_program,
        parameters=chosen.parameters,
        key_spec=key_spec,
        weights=weights,
        input_range=(float(inputs.min()), float(inputs.max())),
        report=report,
    )
    tell("done", 1.0)
    return plan


def _with_few_keys(request: Request, limit: int | None) -> Chosen:
    """The fastest choice whose keys are within the limit, with rotations traded for keys as far as needed. PlanError if
    that is not enough."""
    least = 0
    for weight in KEY_WEIGHTS:
        chosen = choose_parameters(replace(request, key_weight=weight))
        program, weights = build_program(request.program, request.levels, chosen)
        size = evaluation_key_bytes(chosen.parameters, select_keys(program, weights))
        if limit is None or size <= limit:
            return chosen
        least = min(least, size) if least else size
    raise PlanError(
        f"the evaluation keys take at least {least} bytes, key_limit is {limit}; raise it, use fewer layers, or the "
        'objective "throughput", which needs one key'
    )
