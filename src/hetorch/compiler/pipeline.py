"""The compiler, to be read from top to bottom: the passes in their order, and the verifiers between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.compare_outputs import output_range
from hetorch.compiler.activations.notes import sentences
from hetorch.compiler.costs.cost_model import KEY
from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.lowering.build_program import build_program
from hetorch.compiler.lowering.make_report import Calibration, make_report
from hetorch.compiler.lowering.select_keys import select_keys
from hetorch.compiler.noise.predict_errors import measure_sensitivity
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.passes.balance_sums import balance_sums
from hetorch.compiler.passes.drop_pruned import Pruned, drop_pruned
from hetorch.compiler.passes.fuse_affine import GROWTHS, fuse_affine
from hetorch.compiler.search.choose_parameters import Chosen, Request, choose_parameters, largest_values
from hetorch.errors import PlanError
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.matrix_memory import SMALLER, too_large
from hetorch.ir.tensor_program import Affine, TensorProgram, verify_tensor_program
from hetorch.plan import Plan
from hetorch.plan.sizes import evaluation_key_bytes

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]


FINEST, COARSEST = 2.0**-11, 2.0**-6
NOISE_SHARE = 1.0 / 3
"""The precision that nobody asked for: what encryption may add to the error of the approximations, which it need not
undercut by much. The prediction is a bound (hetorch.compiler.noise): what is seen is a quarter of it or less."""
KEY_WEIGHTS = (KEY, 0.3, 1.0, 3.0, 10.0)
"""What a key counts beside a hoisted rotation (1.2) and a giant step (4): tried in turn until the keys are few."""
MANY_KEYS = 32_000_000
KEYS_WORTH = 1.005
"""Bytes of keys that are many, and the time that fewer of them are worth: the client uploads them once."""


def run_pipeline(
    name: str,
    captured: TensorProgram,
    inputs: Array,
    reference: Array,
    options: CompileOptions,
    machine: Machine = DEFAULT,
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Plan:
    """`inputs` (batch, *shape) calibrate; `reference` are the model's outputs on them."""
    tell = progress or (lambda _stage, _fraction: None)

    tell("fuse affine runs", 0.15)
    fused = fuse_affine(captured)
    verify_tensor_program(fused, "fuse_affine")

    tell("approximate activations", 0.2)
    approximated = approximate_activations(fused, inputs, reference, options)
    verify_tensor_program(approximated.program, "approximate_activations")

    problem_of_size = too_large(
        [op.matrix.nnz for op in fused.operations if isinstance(op, Affine)], made=True
    )
    if problem_of_size is not None:
        raise PlanError(f"{name}: {problem_of_size}; {SMALLER}")
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
            sensitivity=measure_sensitivity(program, values),
            output_range=span,
            precision=options.precision or min(max(NOISE_SHARE * approximated.error, FINEST), COARSEST),
            security=options.security,
            ring_degree=options.ring_degree,
            scale_bits=options.scale_bits,
            digit_size=options.digit_size or options.backend.digit_size,
            batch_size=options.batch_size or (None if options.objective == "throughput" else 1),
            throughput=options.objective == "throughput",
            machine=machine,
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
        Calibration(span, len(inputs), (*notes, *sentences(approximated), *pruned.notes), machine),
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
    """The fastest choice whose keys are within the limit, with rotations traded for keys as far as needed; without a
    limit, the fewest keys for next to no time, if there are many. PlanError if nothing is within the limit."""
    found: list[tuple[int, Chosen]] = []
    # The heavier weights cost time, which only a limit makes worth trying.
    for weight in KEY_WEIGHTS if limit is not None else KEY_WEIGHTS[:3]:
        chosen = choose_parameters(replace(request, key_weight=weight))
        program, weights = build_program(request.program, request.levels, chosen)
        size = evaluation_key_bytes(chosen.parameters, select_keys(program, weights))
        if size <= (MANY_KEYS if limit is None else limit):
            return chosen if limit is not None or not found else _fewest_keys([*found, (size, chosen)])
        found.append((size, chosen))
    if limit is None:
        return _fewest_keys(found)
    least = min(size for size, _ in found)
    raise PlanError(
        f"the fewest evaluation keys of the layouts that were found take {least} bytes ({least / 1e6:.1f} MB), "
        f"key_limit is {limit} bytes ({limit / 1e6:.1f} MB); raise it, use polynomials of fewer levels (a smaller "
        "activation_degree= or activation_agreement=), a larger ring_degree=, fewer layers, or the objective "
        '"throughput", which needs one key'
    )


def _fewest_keys(found: Sequence[tuple[int, Chosen]]) -> Chosen:
    """Of choices with the bytes of their keys, the fastest first."""
    most = KEYS_WORTH * found[0][1].cost
    return min((choice for choice in found if choice[1].cost <= most), key=lambda choice: choice[0])[1]
