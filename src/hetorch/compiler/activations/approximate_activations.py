"""Pass: activations become polynomials over the ranges that the calibration inputs reach.

Ranges are taken with the earlier activations already replaced, and never beyond what interval arithmetic allows.
Degrees are the least with which the outputs stay near the model's: all activations climb the same ladder of depths
until they do, then each comes down again as far as it can. Where the user asked for a degree or a precision, that is
what it gets.

Polynomials grow fast beyond their ranges, and one that leaves its range makes the next one leave it further: a number
that outgrows the modulus spoils its whole ciphertext, with all samples in it. So the network also runs on inputs that
lie further from and nearer to their mean than calibration's, and where its outputs explode on those, all fits are made
anew on ranges that hold what the model itself has on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.fit_polynomial import RANGE_MARGIN, TAIL_GROWTH, Fit
from hetorch.compiler.activations.interval_bounds import Interval, bounds_after
from hetorch.compiler.activations.replace_activation import domain_of, replace_activation, slope_of
from hetorch.compiler.options import MOST_DEGREE, CompileOptions
from hetorch.errors import PlanError
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import (
    Activation,
    Affine,
    TensorOp,
    TensorProgram,
    Wish,
)

Array = NDArray[np.float64]

MOST_READ = 1024
"""Rows and columns of the largest matrix with which the coefficients of a layer are fitted together."""
RUNGS = (2, 3, 7, 15, 31, MOST_DEGREE)
"""Candidates: the largest degree of each depth 1..6 (2 by completing the square). At depth 2 functions that are a slope
and an even function take degree 4."""


PUSHED = 128
"""Calibration samples that are pushed, RANGE_MARGIN of the way from and to their mean."""


@dataclass(frozen=True, slots=True)
class Approximated:
    """The polynomial network, the largest difference of its outputs from the reference relative to the reference's
    range, the share of inputs with the same argmax, the degree asked for of each activation in order, and what became
    of each. `problem` says why there is no network, if there is none. `steady`: the outputs are bounded on inputs that
    are pushed out of calibration's range."""

    program: TensorProgram
    error: float
    agreement: float
    degrees: tuple[int, ...]
    fits: tuple[Fit, ...]
    problem: str = ""
    steady: bool = True


def approximate_activations(
    program: TensorProgram,
    inputs: Array,
    reference: Array,
    options: CompileOptions,
) -> Approximated:
    """Replace every activation of `program` by a polynomial, as the `activation_...` options say.

    `inputs` (batch, *shape) are the calibration inputs, `reference` the model's outputs on them. InfeasibleError if no
    degree of RUNGS brings the outputs as near to the reference as asked.
    """
    degree, precision = options.activation_degree, options.activation_precision
    tolerance = options.activation_tolerance
    only_bounds = options.activation_ranges == "interval"
    wishes = [op.wish for op in program.operations if isinstance(op, Activation)]
    count = len(wishes)
    given = Wish(degree, precision)
    with np.errstate(all="ignore"):
        exact = trace_tensor_program(program, inputs)

    if not count:
        error, agreement = compare(exact[program.output], reference)
        return Approximated(program, error, agreement, (), ())

    pushed = _pushed(inputs)
    with np.errstate(all="ignore"):
        beyond = trace_tensor_program(program, pushed)

    def attempt(degrees: Sequence[int], wide: bool) -> Approximated:
        wider = beyond if wide else None
        return _attempt(program, inputs, reference, degrees, given, only_bounds, exact, wider)

    free = [i for i, wish in enumerate(wishes) if wish is None or wish == Wish()]
    fixed = degree is not None or precision is not None or not free
    # One input more or less is no measure: a single one may always differ.
    needed = min(options.activation_agreement, 1 - 1 / len(inputs))

    outputs = beyond[program.output]
    room = TAIL_GROWTH * max(
        float(np.max(np.abs(reference))), float(np.max(np.abs(outputs[np.isfinite(outputs)]), initial=0.0))
    )

    def search(wide: bool) -> Approximated:
        def good(candidate: Approximated) -> bool:
            near = candidate.error <= tolerance and candidate.agreement >= needed
            return near and (not wide or _is_steady(candidate, pushed, room))

        if fixed:
            return _sound(attempt((degree or RUNGS[0],) * count, wide))
        ladder = 0
        best = attempt((RUNGS[0],) * count, wide)
        while not good(best) and ladder + 1 < len(RUNGS):
            ladder += 1
            best = attempt((RUNGS[ladder],) * count, wide)
        if not good(_sound(best)):
            raise PlanError(_out_of_reach(best, tolerance, needed))
        if ladder and len(free) > 1:
            for position in free:
                for lower in RUNGS[:ladder]:
                    found = attempt((*best.degrees[:position], lower, *best.degrees[position + 1 :]), wide)
                    if good(found):
                        best = found
                        break
        return best

    first = search(False)
    if _is_steady(first, pushed, room):
        return first
    try:
        found = search(True)
    except PlanError:
        return replace(first, steady=False)
    # Wider ranges cost precision: not more than was allowed, or than there was.
    steady = found.error <= max(tolerance, first.error) and _is_steady(found, pushed, room)
    return found if steady else replace(first, steady=False)


def _pushed(inputs: Array) -> Array:
    """Some of the inputs, RANGE_MARGIN of the way further from the mean of all and as far nearer to it."""
    mean = inputs.mean(axis=0)
    some = inputs[:: max(1, -(-len(inputs) // PUSHED))] - mean
    return np.concatenate([mean + (1 + RANGE_MARGIN) * some, mean + (1 - RANGE_MARGIN) * some])


def _is_steady(candidate: Approximated, pushed: Array, room: float) -> bool:
    """Whether all outputs on these inputs are below `room`."""
    with np.errstate(all="ignore"):
        outputs = trace_tensor_program(candidate.program, pushed)[candidate.program.output]
    return bool(np.all(np.isfinite(outputs)) and np.max(np.abs(outputs)) <= room)


def _out_of_reach(best: Approximated, tolerance: float, needed: float) -> str:
    """What even the highest degree misses, and the arguments that help."""
    missed, looser = [], []
    if best.error > tolerance:
        size = (
            f"differ from the model's by {best.error:.2%} of their range"
            if math.isfinite(best.error)
            else "are not finite"
        )
        missed.append(f"the outputs {size} (activation_tolerance allows {tolerance:.2%})")
        looser.append("a larger activation_tolerance=")
    if best.agreement < needed:
        missed.append(
            f"the argmax agrees on {best.agreement:.2%} of the inputs (activation_agreement asks for {needed:.2%})"
        )
        looser.append("a smaller activation_agreement=")
    return (
        f"with polynomials of degree {RUNGS[-1]} {' and '.join(missed)}; pass {' and '.join(looser)}, "
        "activation_precision= (for functions with kinks, at more levels) or a fixed activation_degree=, or train with "
        "smoother activations (square, SiLU)"
    )


def _sound(candidate: Approximated) -> Approximated:
    """The candidate, unless there is no network: then PlanError says why."""
    if candidate.problem:
        raise PlanError(candidate.problem)
    return candidate


def compare(outputs: Array, reference: Array) -> tuple[float, float]:
    """Largest difference relative to the range of `reference`, and argmax agreement (1.0 for one output)."""
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return math.inf, 0.0
    error = float(np.max(np.abs(flat - truth))) / output_range(truth)
    if truth.shape[1] == 1:
        return error, 1.0
    return error, float(np.mean(flat.argmax(axis=1) == truth.argmax(axis=1)))


def output_range(reference: Array) -> float:
    """Range (max - min) of all outputs; for constant outputs their size, and at least the smallest normal number."""
    span = float(np.max(reference) - np.min(reference))
    return span or float(np.max(np.abs(reference))) or float(np.finfo(np.float64).tiny)


def _reader(
    program: TensorProgram, index: int, exact: Sequence[Array]
) -> tuple[Array, Array] | tuple[None, None]:
    """The matrix of the affine map that alone reads the result of operation `index`, and what it makes in the model."""
    readers = program.consumers()[index + 1]
    if len(readers) != 1 or index + 1 == program.output:
        return None, None
    reader = program.operations[readers[0]]
    if not isinstance(reader, Affine) or max(reader.matrix.shape) > MOST_READ:
        return None, None
    return np.asarray(reader.matrix.toarray()), exact[readers[0] + 1] - reader.bias


def _attempt(
    program: TensorProgram,
    inputs: Array,
    reference: Array,
    degrees: Sequence[int],
    given: Wish,
    only_bounds: bool,
    exact: Sequence[Array],
    beyond: Sequence[Array] | None,
) -> Approximated:
    flat = inputs.reshape(len(inputs), -1)
    operations: list[TensorOp] = []
    values: list[Array] = [flat]
    low, high = float(flat.min()), float(flat.max())
    spare = RANGE_MARGIN * (high - low) / 2
    bounds = [Interval(np.full(flat.shape[1], low - spare), np.full(flat.shape[1], high + spare))]
    fits: list[Fit] = []
    number = {0: 0}
    left = iter(degrees)

    def append(op: TensorOp) -> int:
        operations.append(op)
        values.append(op.evaluate(values))
        bounds.append(bounds_after(op, bounds))
        return len(operations)

    with np.errstate(over="ignore", invalid="ignore"):
        for index, op in enumerate(program.operations):
            if isinstance(op, Activation):
                source = number[op.input]
                wish, degree = op.wish or Wish(), next(left)
                if not np.all(np.isfinite(values[source])):
                    return Approximated(program, math.inf, 0.0, tuple(degrees), tuple(fits))
                try:
                    domain = domain_of(op, values[source], bounds[source], only_bounds=only_bounds)
                    if beyond is not None:
                        both = np.concatenate([values[source], beyond[op.input]])
                        wider = domain_of(op, both, bounds[source], only_bounds=only_bounds)
                        domain = replace(domain, low=wider.low, high=wider.high)
                except PlanError as undefined:
                    # Too rough a polynomial before it may be all that is wrong: the caller tries a finer one.
                    return Approximated(program, math.inf, 0.0, tuple(degrees), tuple(fits), str(undefined))
                following, target = _reader(program, index, exact)
                domain = replace(domain, following=following, target=target)
                precision = None if wish.degree is not None else wish.precision or given.precision
                steps, fit = replace_activation(
                    op, source, len(operations), domain, _degree(op, wish, given, degree), precision
                )
                fits.append(fit)
                made = source
                for step in steps:
                    made = append(step)
                number[index + 1] = made
            else:
                number[index + 1] = append(op.renumbered(number))
    output = number[program.output]
    result = TensorProgram(program.input_shape, tuple(operations), output, program.output_shape)
    error, agreement = compare(values[result.output], reference)
    return Approximated(result, error, agreement, tuple(degrees), tuple(fits))


def _degree(op: Activation, wish: Wish, given: Wish, rung: int) -> int:
    if wish.degree is not None:
        return wish.degree
    if given.degree is not None:
        return given.degree
    return 4 if rung == 3 and slope_of(op) is not None else rung
