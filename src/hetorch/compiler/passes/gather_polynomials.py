"""Pass: a polynomial that is written as sums and products (a loop of Horner's rule, a sum of powers) becomes one.

*Assumes* a sound program whose affine runs are not yet fused.
*Ensures* the same function in real numbers. Such a polynomial is an activation whose wish is its own degree, with which
it is met exactly: a Chebyshev series of degree d takes ceil(log2(d + 1)) levels, where Horner's rule takes about 2 d.
It stays as it is written where that is no slower (x * x, x ** 8).

A polynomial has one variable, the same coefficients for all elements, and a degree up to the highest of a series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.options import MOST_DEGREE
from hetorch.engine.polynomial import chebyshev_schedule, polynomial_depth
from hetorch.ir.tensor_program import (
    Activation,
    Add,
    Affine,
    Multiply,
    TensorOp,
    TensorProgram,
    Wish,
    without_dead,
)

Array = NDArray[np.float64]

GATHERED = "polynomial"
"""Name of the function of a gathered polynomial."""
LEAST_DEGREE = 3
"""Least degree that is gathered. Parabolas take one level as they are written, and a series cannot do with less."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A polynomial as it is written: its variable (a value of the program), its degree, the levels on its longest path,
    and the indices of its operations."""

    variable: int
    degree: int
    levels: int
    operations: frozenset[int]


def gather_polynomials(program: TensorProgram) -> TensorProgram:
    """Return the program with an activation in place of each polynomial that is slower as it is written."""
    written = _written(program)
    operations = list(program.operations)
    for value in sorted(_leaving(program, written)):
        polynomial = written[value]
        if _is_slower(program, polynomial):
            last = program.operations[value - 1]
            operations[value - 1] = Activation(
                polynomial.variable,
                GATHERED,
                (),
                last.shape,
                last.name,
                _Definition(program.operations, polynomial, value),
                Wish(degree=polynomial.degree),
            )
    return without_dead(program.input_shape, operations, program.output, program.output_shape)


def _written(program: TensorProgram) -> list[_Written]:
    """Return each value of the program as a polynomial; of degree 1 in itself if it is none in an earlier value."""
    written = [_Written(0, 1, 0, frozenset())]
    for index, op in enumerate(program.operations):
        read = [written[value] for value in op.reads]
        variable = read[0].variable
        own = _Written(index + 1, 1, 0, frozenset())
        if all(part.variable == variable for part in read) and program.size(variable) == program.size(
            index + 1
        ):
            degrees, levels = [part.degree for part in read], max(part.levels for part in read)
            operations = frozenset({index}).union(*(part.operations for part in read))
            if isinstance(op, Multiply) and sum(degrees) <= MOST_DEGREE:
                own = _Written(variable, sum(degrees), levels + 1, operations)
            elif isinstance(op, Add):
                own = _Written(variable, max(degrees), levels, operations)
            elif isinstance(op, Affine) and (line := _line(op)) is not None:
                own = _Written(variable, degrees[0] if line[0] else 0, levels + 1, operations)
        written.append(own)
    return written


def _leaving(program: TensorProgram, written: Sequence[_Written]) -> set[int]:
    """Return the values that are polynomials in earlier values, and that more than these polynomials read."""
    leaving = {program.output}
    for index, op in enumerate(program.operations):
        if written[index + 1].variable == index + 1:
            leaving.update(op.reads)
    return {value for value in leaving if written[value].variable != value}


def _is_slower(program: TensorProgram, polynomial: _Written) -> bool:
    """Return True if a series takes fewer levels than the polynomial as it is written, or as many and fewer products.

    A series takes one level more, for the map of its range to [-1, 1].
    """
    degree = polynomial.degree
    if degree < LEAST_DEGREE:
        return False
    depth = polynomial_depth(degree)
    if polynomial.levels != depth + 1:
        return polynomial.levels > depth + 1
    schedule = chebyshev_schedule(
        (1.0,) * (degree + 1),
        level=depth,
        input_scale=1.0,
        output_scale=1.0,
        modulus_chain=(1.0,) * (depth + 1),
    )
    products = sum(isinstance(program.operations[index], Multiply) for index in polynomial.operations)
    return products > len(schedule.multiplications())


def _line(op: Affine) -> tuple[float, float] | None:
    """Return (a, b) if the map is a x + b for every element, with the same a and b; else None."""
    matrix, bias = op.matrix, op.bias
    rows, columns = matrix.shape
    if rows != columns or np.any(bias != bias[0]):
        return None
    if not np.any(matrix.data):
        return 0.0, float(bias[0])
    on_diagonal = matrix.nnz == rows and np.array_equal(matrix.indices, np.arange(rows))
    if not on_diagonal or np.any(np.diff(matrix.indptr) != 1) or np.any(matrix.data != matrix.data[0]):
        return None
    return float(matrix.data[0]), float(bias[0])


class _Definition:
    """The function that the value `last` of a polynomial is, computed in the order in which it is written: the
    coefficients of powers can be so large that they cancel."""

    def __init__(self, operations: Sequence[TensorOp], polynomial: _Written, last: int) -> None:
        self._variable, self._last = polynomial.variable, last
        self._steps: list[tuple[int, TensorOp, tuple[float, float]]] = []
        for index in sorted(polynomial.operations):
            op = operations[index]
            line = _line(op) if isinstance(op, Affine) else None
            self._steps.append((index + 1, op, line or (1.0, 0.0)))

    def __call__(self, x: Array) -> Array:
        values = {self._variable: x}
        for number, op, (factor, offset) in self._steps:
            match op:
                case Affine():
                    values[number] = factor * values[op.input] + offset
                case Add():
                    values[number] = values[op.a] + values[op.b]
                case Multiply():
                    values[number] = values[op.a] * values[op.b]
        return values[self._last]
