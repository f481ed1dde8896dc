"""The compiler, to be read from top to bottom: the stages in their order, and the verifiers between them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximate_activations import nearest_network
from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.compare_outputs import class_rows, compare_outputs, output_range
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.notes import sentences
from hetorch.compiler.bootstraps.more_levels import nearest_networks
from hetorch.compiler.bootstraps.sine_shortfall import sine_shortfall
from hetorch.compiler.choose_plan import Compiled, PlanChoice
from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.frontend.value_sizes import uneven_inputs
from hetorch.compiler.lowering.build_program import build_program
from hetorch.compiler.lowering.make_report import Calibration, make_report
from hetorch.compiler.lowering.verify_plan import verify_plan
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.compiler.passes.gather_polynomials import gather_polynomials
from hetorch.compiler.passes.sharpen_softmax import sharpen_softmax
from hetorch.compiler.search.bootstrap_sentences import choice_sentence
from hetorch.compiler.search.bootstrapped_choice import bootstrapped_choice
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.request import COARSEST, Request
from hetorch.compiler.search.search import search
from hetorch.compiler.search.variants import program_variants
from hetorch.compiler.stages import Stage, Teller
from hetorch.engine.sharing import MOST_NOISE, noise_gain
from hetorch.errors import ApproximationWarning, InfeasibleError
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.matrix_memory import SMALLER, too_large
from hetorch.ir.tensor_program import Affine, TensorProgram, verify_tensor_program
from hetorch.machine_memory import machine_memory
from hetorch.plan import Plan
from hetorch.plan.interface import PLAIN, Interface
from hetorch.plan.keys import required_keys
from hetorch.progress import Progress

Array = NDArray[np.float64]

FINEST = 2.0**-11
"""The finest precision that is chosen if the user asks for none, relative to the range of the outputs. Raised,
parameters may be smaller and outputs noisier."""
NOISE_SHARE = 1.0 / 3
"""The chosen precision, within those limits, relative to the error of the approximations. Raised, parameters are
smaller and outputs noisier. The predicted error is a bound (hetorch.compiler.noise): observed errors are a quarter of
it or less."""

FINER = (1.0, 2.0**-4, 2.0**-8)
"""Factors of the precision that are tried in turn, until the plan keeps its promise. Smaller ones mean larger scales.
"""


def fuse(captured: TensorProgram, inputs: Array) -> TensorProgram:
    """Return a captured program with its polynomials gathered, its softmaxes sharpened for the calibration `inputs`,
    and its affine runs fused, the first stage.

    The matrices of a deep network are large, so callers give those before fusion up.
    """
    gathered = gather_polynomials(captured)
    verify_tensor_program(gathered, "gather_polynomials")
    sharpened = sharpen_softmax(gathered, inputs)
    verify_tensor_program(sharpened, "sharpen_softmax")
    fused = fuse_affine(sharpened)
    verify_tensor_program(fused, "fuse_affine")
    return fused


def run_pipeline(
    name: str,
    fused: TensorProgram,
    inputs: Array,
    reference: Array,
    options: CompileOptions,
    machine: Machine = DEFAULT,
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
    interface: Interface = PLAIN,
) -> Plan:
    """Compile a fused program to a plan.

    Args:
        name: the name of the plan.
        fused: the program that the frontend made, after the stage `fuse`.
        inputs: calibration inputs, (batch, *shape).
        reference: the model's outputs on them.
        options: the options of hetorch.compile.
        machine: the constants with which times are predicted.
        notes: sentences of the frontend for the user.
        progress: called with the name of each stage as it begins, and the fraction of all work that is done.
        interface: the client's part of the model.

    Raises:
        InfeasibleError: no degrees, parameters or keys satisfy the options, or no plan keeps its promise.
    """
    # Long because the stages are read here from top to bottom.
    tell = Teller(progress)
    tell(Stage.APPROXIMATE)
    told = partial(tell, Stage.APPROXIMATE)

    def network_of(levels: int | None, limited_by: str) -> Approximated:
        network = nearest_network(
            fused, inputs, reference, options, told, interface.row_shapes, levels, limited_by
        )
        verify_tensor_program(network.program, "nearest_network")
        return network

    _check_memory(name, fused)
    networks = nearest_networks(fused, options, network_of)
    span = output_range(reference)

    def plan_of(network: Approximated, bootstrapped: bool) -> Compiled:
        tell(Stage.VARY)
        variants = program_variants(network.program, inputs)
        request = Request(
            variants, span, chosen_precision(options, network), options, machine, machine_memory()
        )
        all_notes = (*notes, *sentences(network))
        limits = (request.memory_limit, request.key_limit)
        calibration = Calibration(span, reference, inputs, all_notes, machine, *limits)
        if bootstrapped:
            return _bootstrapped_plan(name, request, network, reference, calibration, interface, tell)
        return _kept_plan(name, request, network, inputs, calibration, interface, tell)

    compiled = PlanChoice(fused, options, machine, network_of, plan_of).of(networks)
    tell(Stage.DONE)
    if compiled.missed:
        reasons = "; ".join(filter(None, (*compiled.missed, uneven_inputs(inputs))))
        warnings.warn(f"{name}: {reasons}", ApproximationWarning, stacklevel=3)
    return compiled.plan


def _bootstrapped_plan(
    name: str,
    request: Request,
    approximated: Approximated,
    reference: Array,
    calibration: Calibration,
    interface: Interface,
    tell: Callable[[Stage, float], None],
) -> Compiled:
    """Choose bootstraps, lower and run the plan. The sines of the bootstraps count as approximations.

    Raises:
        InfeasibleError: there are no bootstraps, the plan does not keep its promise, or, with `strict`, the sines take
            the outputs farther from the model's than the options ask.
    """
    tell(Stage.SEARCH, 0.0)
    inputs = calibration.inputs
    choice = bootstrapped_choice(request, inputs)
    tell(Stage.LOWER, 0.0)
    program = choice.variant.program
    outputs = run_tensor_program(program, inputs).reshape(len(inputs), -1)
    rows = class_rows(program.output_shape, interface.row_shapes)
    error, agreement = compare_outputs(outputs, reference, rows=rows)
    if not math.isfinite(error):
        raise InfeasibleError(f"{name}: with bootstraps, the outputs overflow on the calibration inputs")
    missed = sine_shortfall(approximated, error, agreement, Goal.of(request.options, len(inputs)))
    if missed and request.options.strict:
        raise InfeasibleError(f"{name}: {missed}")
    told = filter(None, (missed, choice_sentence(choice, request.machine)))
    notes = (*calibration.notes, *choice.variant.notes, *told)
    distorted = replace(approximated, error=error, agreement=agreement)
    plan = _plan(name, choice, distorted, inputs, replace(calibration, notes=notes), interface)
    tell(Stage.VERIFY, 0.0)
    verdict = verify_plan(plan, choice)
    if not verdict.kept:
        raise InfeasibleError(f"{name}: {verdict.sentence()}; {_helps(request.options)}")
    return Compiled.of(plan, approximated.shortfall, missed)


def _kept_plan(
    name: str,
    request: Request,
    approximated: Approximated,
    inputs: Array,
    calibration: Calibration,
    interface: Interface,
    tell: Callable[[Stage, float], None],
) -> Compiled:
    """Search, lower and run the plan, with finer and finer precision until it keeps its promise."""
    for finer in FINER:
        # The searches after the first one count as part of the verification.
        stage = Stage.SEARCH if finer == FINER[0] else Stage.VERIFY
        tell(stage, 0.0)
        wanted = replace(request, precision=request.precision * finer)
        choice = search(wanted, begun=partial(tell, stage))
        if stage is Stage.SEARCH:
            tell(Stage.LOWER, 0.0)
        noted = replace(calibration, notes=(*calibration.notes, *choice.variant.notes))
        plan = _plan(name, choice, approximated, inputs, noted, interface)
        if stage is Stage.SEARCH:
            tell(Stage.VERIFY, 0.0)
        verdict = verify_plan(plan, choice)
        if verdict.kept:
            return Compiled.of(plan, approximated.shortfall)
        if request.options.scale_bits is not None:
            break
    raise InfeasibleError(f"{name}: {verdict.sentence()}; {_helps(request.options)}")


def _helps(options: CompileOptions) -> str:
    """Return what helps against noise that the plan does not bear."""
    ways = [
        "more calibration inputs",
        "lower degrees (activation_degree=, or a larger activation_tolerance=)",
    ]
    if options.scale_bits is not None:
        ways.insert(0, "a larger scale_bits= or none")
    return f"what helps: {', '.join(ways)}"


def _check_memory(name: str, fused: TensorProgram) -> None:
    nonzeros = [op.matrix.nnz for op in fused.operations if isinstance(op, Affine)]
    problem = too_large(nonzeros, made=True)
    if problem is not None:
        raise InfeasibleError(f"{name}: {problem}; {SMALLER}")


def chosen_precision(options: CompileOptions, approximated: Approximated) -> float:
    """Return the precision that the user asked for, or else one in proportion to the error of the approximations; a
    finer one where results are to be shared."""
    precision = options.precision or min(max(NOISE_SHARE * approximated.error, FINEST), COARSEST)
    if options.shared_queries is None:
        return precision
    samples = 1 << ((options.batch_size or 1) - 1).bit_length()
    values = samples * math.prod(approximated.program.output_shape)
    return min(precision, MOST_NOISE / noise_gain(options.shared_queries, values))


def _plan(
    name: str,
    choice: Choice,
    approximated: Approximated,
    inputs: Array,
    calibration: Calibration,
    interface: Interface,
) -> Plan:
    """Lower the choice to ciphertext operations, select exactly the keys that they use, and make the report."""
    program, weights = build_program(choice)
    key_spec = required_keys(program, weights, choice.parameters)
    return Plan(
        name=name,
        program=program,
        parameters=choice.parameters,
        key_spec=key_spec,
        weights=weights,
        input_range=(float(inputs.min()), float(inputs.max())),
        report=make_report(choice, program, weights, key_spec, approximated, calibration),
        interface=interface,
    )
