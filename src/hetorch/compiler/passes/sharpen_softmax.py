"""Pass: a softmax of scores that differ much is taken of a fraction of the scores, and sharpened step by step.

*Assumes* a program with activations whose affine runs are not yet fused, and calibration inputs.
*Ensures* the same function in real numbers, in which the sums of each softmax on the calibration inputs are within a
factor that a polynomial of its reciprocal bears.

A softmax is exp(x) times the reciprocal of a sum over these. Where scores are 10 apart, the sums of some rows are 10^4
times those of others, and no polynomial follows 1 / x on such a range. But softmax(2 x) = y^2 / sum(y^2) for
y = softmax(x), and sum(y^2) is between 1 / n and 1 (Cho, Hanrot, Kim, Park, Stehlé, "Fast and Accurate Homomorphic
Softmax Evaluation", CCS 2024). So a softmax begins with x / 2^k and takes k such steps, each of which has a square, a
sum and a reciprocal on a short range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.passes.fuse_affine import is_diagonal
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Activation, Affine, Multiply, TensorOp, TensorProgram, without_dead

Array = NDArray[np.float64]

MOST_RATIO = 256.0
"""Largest ratio of the sums of a softmax for which it is taken at once. A polynomial of degree 63 follows 1 / x on a
range of ratio r with a relative error of about 2 ((sqrt(r) - 1) / (sqrt(r) + 1))^63: 5e-4 of a ratio of 256, and 0.04
of 1,000. Raised, fewer softmaxes are taken in steps, which take levels, and more of them miss the goal."""
MOST_STEPS = 6
"""Largest number of steps: scores are divided by 64 at most. Raised, scores that differ by hundreds are followed too,
with more levels."""
SAMPLES = 64
"""Largest number of calibration inputs on which scores are looked at. Raised, sums are known better, and looking takes
longer."""


@dataclass(frozen=True, slots=True, eq=False)
class _Softmax:
    """A softmax as the frontend writes it: the values of exp, of its weighted form (the same without a mask), of the
    reciprocal and of the result; the weights of a mask, and the matrix that sums rows."""

    exponential: int
    weighted: int
    reciprocal: int
    result: int
    weights: Array
    sums: sparse.csr_array


def sharpen_softmax(program: TensorProgram, inputs: Array) -> TensorProgram:
    """Return the same function, in which softmaxes of scores that differ much are taken in steps.

    Args:
        program: the network, with activations.
        inputs: calibration inputs, (batch, *shape).
    """
    found = _softmaxes(program)
    if not found:
        return program
    with np.errstate(all="ignore"):
        values = trace_tensor_program(program, inputs[:: max(1, -(-len(inputs) // SAMPLES))])
        steps = {
            one.result: (one, count)
            for one in found
            if (count := _steps(one, values[program.operations[one.exponential - 1].reads[0]]))
        }
    if not steps:
        return program
    operations: list[TensorOp] = []
    number = {0: 0}
    for index, op in enumerate(program.operations):
        if index + 1 in steps:
            number[index + 1] = _write(program, *steps[index + 1], number, operations)
        else:
            operations.append(op.renumbered(number))
            number[index + 1] = len(operations)
    return without_dead(program.input_shape, operations, number[program.output], program.output_shape)


def _softmaxes(program: TensorProgram) -> list[_Softmax]:
    """Return the softmaxes of a program whose approximation the user left to the compiler."""
    readers = program.consumers()
    found: list[_Softmax] = []
    for index, op in enumerate(program.operations):
        if not isinstance(op, Multiply):
            continue
        reciprocal, weighted = program.operations[op.b - 1] if op.b else None, op.a
        if not isinstance(reciprocal, Activation) or reciprocal.function != "reciprocal" or reciprocal.wish:
            continue
        total = program.operations[reciprocal.input - 1] if reciprocal.input else None
        if not isinstance(total, Affine) or np.any(total.bias) or total.input != weighted or not weighted:
            continue
        made, exponential = program.operations[weighted - 1], weighted
        weights = np.ones(total.matrix.shape[1])
        if isinstance(made, Affine) and is_diagonal(made.matrix) and not np.any(made.bias) and made.input:
            weights, exponential = made.matrix.diagonal(), made.input
        first = program.operations[exponential - 1]
        if not isinstance(first, Activation) or first.function != "exp" or first.wish:
            continue
        if len(readers[op.b]) == 1 and len(readers[weighted]) == 2 and np.all(weights >= 0):
            found.append(_Softmax(exponential, weighted, op.b, index + 1, weights, total.matrix))
    return found


def _steps(one: _Softmax, scores: Array) -> int:
    """Return the number of steps with which the sums of a softmax, on these scores, are within MOST_RATIO."""
    for steps in range(MOST_STEPS):
        powers = one.weights ** (0.5**steps) * np.exp(scores * 0.5**steps)
        sums = (one.sums @ powers.T)[np.diff(one.sums.indptr) > 0]
        if float(np.max(sums)) <= MOST_RATIO * float(np.min(sums)):
            return steps
    return MOST_STEPS


def _write(
    program: TensorProgram, one: _Softmax, steps: int, number: dict[int, int], operations: list[TensorOp]
) -> int:
    """Write a softmax that takes steps, and return its value; `number` has the values that are written already."""
    first, result = program.operations[one.exponential - 1], program.operations[one.result - 1]
    reciprocal = program.operations[one.reciprocal - 1]
    assert isinstance(first, Activation) and isinstance(reciprocal, Activation)
    size, shape, name = len(one.weights), result.shape, first.name

    def append(op: TensorOp) -> int:
        operations.append(op)
        return len(operations)

    def scaled(value: int, factors: Array) -> int:
        matrix = sparse.csr_array(sparse.diags_array(factors, format="csr"))
        matrix.eliminate_zeros()
        return append(Affine(value, matrix, np.zeros(size), shape, name, "scale"))

    def normalised(value: int) -> int:
        total = append(Affine(value, one.sums, np.zeros(size), shape, name, "sum"))
        return append(Multiply(value, append(replace(reciprocal, input=total)), shape, name, "product"))

    value = scaled(number[first.input], np.full(size, 0.5**steps))
    value = append(replace(first, input=value))
    if np.any(one.weights != 1.0):
        value = scaled(value, one.weights ** (0.5**steps))
    value = normalised(value)
    for _ in range(steps):
        value = normalised(append(Multiply(value, value, shape, name, "square")))
    return value
