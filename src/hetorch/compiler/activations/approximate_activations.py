"""Pass: activations become polynomials over the ranges that the calibration inputs reach.

Assumes: a tensor program whose affine runs are fused, so that the layer after an activation is one matrix.
Ensures: a program without activations. Its outputs on the calibration inputs are as near to the model's as the options
ask, or `shortfall` tells what is missing. No calibration input leaves the range of a polynomial.

If the outputs explode on inputs beside those of calibration (`stable_off_calibration`), all fits are made anew on
ranges that hold the values that the model itself has on these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.compare_outputs import Shapes, class_rows, compare_outputs
from hetorch.compiler.activations.evaluate_degrees import Attempt, Task, evaluate_degrees
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.held_out_excess import held_out_excess
from hetorch.compiler.activations.most_levels import most_levels
from hetorch.compiler.activations.raise_degrees import raise_degrees
from hetorch.compiler.activations.search_degrees import Choices, choices, search_degrees, work
from hetorch.compiler.activations.shortfall import OVERFLOW, advice, refusal, shortfall
from hetorch.compiler.activations.stable_off_calibration import shifted_inputs, stability_of
from hetorch.compiler.options import CompileOptions
from hetorch.distinct import spread
from hetorch.errors import InfeasibleError
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import TensorProgram, Wish

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Told = Callable[[float], None]

SEARCH_WORK, SEARCH_SAMPLES = 1 << 31, 64
"""Multiplications of one run from which on the search sees a part of the calibration inputs, and the least number of
these that it sees. The degrees that it finds are then fitted and judged on all, and raised if that takes it
(raise_degrees). Raised, large networks take longer to search."""
FIRST_SHARE = 0.7
"""Share of the work that the search on calibrated ranges takes for the progress; the rest is the check beside them."""


def approximate_activations(
    program: TensorProgram,
    inputs: Array,
    reference: Array,
    options: CompileOptions,
    told: Told = lambda _: None,
    heads: Shapes = (),
    levels: int | None = None,
    limited_by: str = "",
) -> Approximated:
    """Replace every activation by a polynomial.

    Args:
        program: the network.
        inputs: calibration inputs, (batch, *shape).
        reference: the model's outputs on them.
        options: the activation_... options decide, and those on the ring limit the levels.
        told: called with the share of the work that is done.
        heads: the shapes of the model's outputs, if the program returns a row of several.
        levels: the most levels of the network; as many as the largest ring has bits for if left out.
        limited_by: why there are no more levels, which is told if some are missing.

    Raises:
        InfeasibleError: as for nearest_network; or the outputs have little to do with the reference; with `strict`,
            also if they are farther from it than the options ask.
    """
    nearest = nearest_network(program, inputs, reference, options, told, heads, levels, limited_by)
    problem = nearest.refusal or (nearest.shortfall if options.strict else "")
    if problem:
        raise InfeasibleError(problem)
    return nearest


def nearest_network(
    program: TensorProgram,
    inputs: Array,
    reference: Array,
    options: CompileOptions,
    told: Told = lambda _: None,
    heads: Shapes = (),
    levels: int | None = None,
    limited_by: str = "",
) -> Approximated:
    """Return the best network of polynomials that the search finds, however far it is from the model.

    Args:
        program: the network.
        inputs: calibration inputs, (batch, *shape).
        reference: the model's outputs on them.
        options: the activation_... options decide, and those on the ring limit the levels.
        told: called with the share of the work that is done.
        heads: the shapes of the model's outputs, if the program returns a row of several.
        levels: the most levels of the network; as many as the largest ring has bits for if left out.
        limited_by: why there are no more levels, which is told if some are missing.

    Raises:
        InfeasibleError: all networks overflow, a precision is out of reach, or a function is not defined on its range.
    """
    some = _searched(program, len(inputs))
    with np.errstate(all="ignore"):
        values = trace_tensor_program(program, inputs[some])
    task = Task(
        program=program,
        inputs=inputs[some],
        reference=reference[some],
        values=values,
        wish=Wish(options.activation_degree, options.activation_precision),
        only_bounds=options.activation_ranges == "interval",
        class_rows=class_rows(program.output_shape, heads),
    )
    if not task.activations:
        outputs = run_tensor_program(program, inputs).reshape(len(inputs), -1)
        error, agreement = compare_outputs(outputs, reference, rows=task.class_rows)
        same = tuple(range(program.value_count))
        return Approximated(program, error, agreement, (), (), values=same)
    goal = Goal.of(options, len(inputs))
    limit = levels or most_levels(options)
    if task.is_free and task.class_rows:
        task = replace(task, excess=held_out_excess(task))
    given = choices(task, limit)
    calibrated = search_degrees(task, goal, given, told=lambda share: told(FIRST_SHARE * share))
    final = _Final(inputs, reference, limit, given, limited_by)
    return _stable(task, goal, final, calibrated, told)


def _searched(program: TensorProgram, count: int) -> Indices:
    """Return the numbers of the calibration inputs that the search sees, of `count`."""
    most = max(SEARCH_SAMPLES, SEARCH_WORK // max(1, work(program)))
    return spread(count, most)


@dataclass(frozen=True, slots=True, eq=False)
class _Final:
    """The last part of the work on an attempt: all calibration inputs with their reference, the most levels, the
    choices that the search had, and why there are no more levels."""

    inputs: Array
    reference: Array
    limit: int
    given: Choices | None
    limited_by: str

    def network(self, task: Task, goal: Goal, attempt: Attempt) -> Approximated:
        """Return the network of an attempt, fitted on all calibration inputs, with what is to be said about it."""
        if attempt.network is not None and len(task.inputs) < len(self.inputs):
            with np.errstate(all="ignore"):
                values = trace_tensor_program(task.program, self.inputs)
            whole = replace(task, inputs=self.inputs, reference=self.reference, values=values)
            met_by_some = goal.is_met(attempt)
            attempt = evaluate_degrees(whole, attempt.degrees, attempt.manner)
            if self.given is not None and met_by_some and not goal.is_met(attempt):
                attempt = raise_degrees(whole, goal, self.given, attempt)
        if attempt.network is None:
            raise InfeasibleError(attempt.problem or OVERFLOW.format(advice(task)))
        attempt = attempt.with_fits()
        assert attempt.network is not None
        if self.given is None:
            return replace(attempt.network, is_judged=False)
        if goal.is_met(attempt):
            return attempt.network
        missed = shortfall(task, goal, self.limit, self.given, attempt, self.limited_by)
        return replace(
            attempt.network,
            refusal=refusal(task, goal, attempt),
            shortfall=missed.sentence,
            missing_levels=missed.missing_levels,
        )


def _stable(task: Task, goal: Goal, final: _Final, calibrated: Attempt, told: Told) -> Approximated:
    """Return the network of the attempt, or one on wider ranges if it explodes beside the calibration inputs."""
    first = final.network(task, goal, calibrated)
    shifted = shifted_inputs(task.inputs)
    with np.errstate(all="ignore"):
        stability = stability_of(shifted, run_tensor_program(task.program, shifted), task.reference)
        if stability.holds(first.program):
            return first
        beside = trace_tensor_program(task.program, shifted)
    wide_task, wide_goal = replace(task, beside=beside), replace(goal, stability=stability)
    try:
        wide = search_degrees(
            wide_task,
            wide_goal,
            final.given,
            calibrated.degrees if final.given else (),
            lambda share: told(FIRST_SHARE + (1 - FIRST_SHARE) * share),
        )
        second = final.network(wide_task, wide_goal, wide)
    except InfeasibleError:
        return replace(first, stable_off_calibration=False)
    # Wider ranges cost precision; a fixed degree may lose no more than the tolerance, or than it lost before.
    if stability.holds(second.program) and second.error <= max(goal.tolerance, first.error):
        return second
    return replace(first, stable_off_calibration=False)
