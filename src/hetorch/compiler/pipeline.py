"""The compiler, to be read from top to bottom: the stages in their order, and the verifiers between them."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.compare_outputs import output_range
from hetorch.compiler.activations.notes import sentences
from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.lowering.build_program import build_program
from hetorch.compiler.lowering.make_report import Calibration, make_report
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.compiler.passes.gather_polynomials import gather_polynomials
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.search import search
from hetorch.compiler.search.variants import program_variants
from hetorch.errors import InfeasibleError
from hetorch.ir.matrix_memory import SMALLER, machine_memory, too_large
from hetorch.ir.tensor_program import Affine, TensorProgram, verify_tensor_program
from hetorch.plan import Plan
from hetorch.plan.keys import required_keys
from hetorch.progress import Progress

Array = NDArray[np.float64]

FINEST, COARSEST = 2.0**-11, 2.0**-6
"""Limits of the precision that is chosen if the user asks for none, relative to the range of the outputs. Raised,
parameters may be smaller and outputs noisier."""
NOISE_SHARE = 1.0 / 3
"""The chosen precision, within those limits, relative to the error of the approximations. Raised, parameters are
smaller and outputs noisier. The predicted error is a bound (hetorch.compiler.noise): observed errors are a quarter of
it or less."""


class Stage(Enum):
    """The stages in their order, each with its name and the fraction of all work that is done when it begins."""

    FUSE = ("gather polynomials, fuse affine runs", 0.15)
    APPROXIMATE = ("approximate activations over calibrated ranges", 0.2)
    VARY = ("fuse again, balance sums, drop pruned elements, assign levels", 0.35)
    SEARCH = ("choose layouts, scales and the smallest secure parameters", 0.4)
    LOWER = ("lower to ciphertext operations and select the keys used", 0.9)
    DONE = ("done", 1.0)

    def __init__(self, title: str, begins: float) -> None:
        self.title = title
        self.begins = begins


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
    """Compile a captured program to a plan.

    Args:
        name: the name of the plan.
        captured: the program that the frontend made.
        inputs: calibration inputs, (batch, *shape).
        reference: the model's outputs on them.
        options: the options of hetorch.compile.
        machine: the constants with which times are predicted.
        notes: sentences of the frontend for the user.
        progress: called with the name of each stage as it begins, and the fraction of all work that is done.

    Raises:
        InfeasibleError: no degrees, parameters or keys satisfy the options.
    """

    def tell(stage: Stage, share: float = 0.0) -> None:
        """Report the stage at work; the fraction `share` of it is done."""
        if progress is not None:
            following = list(Stage)[list(Stage).index(stage) + 1] if stage is not Stage.DONE else stage
            progress(stage.title, stage.begins + share * (following.begins - stage.begins))

    tell(Stage.FUSE)
    gathered = gather_polynomials(captured)
    verify_tensor_program(gathered, "gather_polynomials")
    fused = fuse_affine(gathered)
    verify_tensor_program(fused, "fuse_affine")

    tell(Stage.APPROXIMATE)
    approximated = approximate_activations(fused, inputs, reference, options)
    verify_tensor_program(approximated.program, "approximate_activations")
    _check_memory(name, fused)

    tell(Stage.VARY)
    variants = program_variants(approximated.program, inputs)

    tell(Stage.SEARCH)
    span = output_range(reference)
    precision = _precision(options, approximated)
    request = Request(variants, span, precision, options, machine, machine_memory())
    choice = search(request, begun=lambda share: tell(Stage.SEARCH, share))

    tell(Stage.LOWER)
    all_notes = (*notes, *sentences(approximated), *choice.variant.notes)
    calibration = Calibration(span, len(inputs), all_notes, machine, request.memory_limit, request.key_limit)
    plan = _plan(name, choice, approximated, inputs, calibration)

    tell(Stage.DONE)
    return plan


def _check_memory(name: str, fused: TensorProgram) -> None:
    nonzeros = [op.matrix.nnz for op in fused.operations if isinstance(op, Affine)]
    problem = too_large(nonzeros, made=True)
    if problem is not None:
        raise InfeasibleError(f"{name}: {problem}; {SMALLER}")


def _precision(options: CompileOptions, approximated: Approximated) -> float:
    """Return the precision that the user asked for, or else one in proportion to the error of the approximations."""
    return options.precision or min(max(NOISE_SHARE * approximated.error, FINEST), COARSEST)


def _plan(
    name: str, choice: Choice, approximated: Approximated, inputs: Array, calibration: Calibration
) -> Plan:
    """Lower the choice to ciphertext operations, select exactly the keys that they use, and make the report."""
    program, weights = build_program(choice)
    key_spec = required_keys(program, weights, choice.parameters.slot_generator)
    return Plan(
        name=name,
        program=program,
        parameters=choice.parameters,
        key_spec=key_spec,
        weights=weights,
        input_range=(float(inputs.min()), float(inputs.max())),
        report=make_report(choice, program, weights, key_spec, approximated, calibration),
    )
