"""Pass: a polynomial that is written as sums and products (a loop of Horner's rule, a sum of powers) becomes one.

*Assumes* a sound program whose affine runs are not yet fused.
*Ensures* the same function in real numbers. Such a polynomial is an activation with an `exact_degree`, which stays what
it is: with coefficients of their own for each element, degree 2 takes one level and degree 4 two
(activations.exact_polynomials); a Chebyshev series of degree d takes ceil(log2(d + 1)), where Horner's rule takes about
2 d. It stays as it is written where that is no slower (x * x, x ** 8).

A polynomial has one variable and a degree up to the highest of a series, or up to MOST_OWN_DEGREE if its elements have
different coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.options import MOST_DEGREE, MOST_OWN_DEGREE
from hetorch.compiler.passes.fuse_affine import is_diagonal
from hetorch.engine.polynomial import chebyshev_schedule, polynomial_depth
from hetorch.ir.tensor_program import (
    POLYNOMIAL,
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


OWN_FORMS: Mapping[int, tuple[int, int]] = MappingProxyType({4: (2, 2), 8: (3, 4)})
"""Levels and products of the degrees that take fewer levels in activations.exact_polynomials than as a series."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A polynomial as it is written: its variable (a value of the program), its degree, the levels on its longest path,
    the indices of its operations, and True if all elements have the same coefficients."""

    variable: int
    degree: int
    levels: int
    operations: frozenset[int]
    is_common: bool = True


def gather_polynomials(program: TensorProgram) -> TensorProgram:
    """Return the program with an activation in place of each polynomial that is slower as it is written."""
    written = _written(program)
    operations = list(program.operations)
    for value in sorted(_leaving(program, written)):
        polynomial = written[value]
        if _is_slower(program, polynomial, value):
            last = program.operations[value - 1]
            operations[value - 1] = Activation(
                polynomial.variable,
                POLYNOMIAL,
                (),
                last.shape,
                last.name,
                _Definition(program.operations, polynomial, value),
                Wish(degree=polynomial.degree),
                polynomial.degree,
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
            common = all(part.is_common for part in read)
            most = MOST_DEGREE if common else MOST_OWN_DEGREE
            if isinstance(op, Multiply) and sum(degrees) <= most:
                own = _Written(variable, sum(degrees), levels + 1, operations, common)
            elif isinstance(op, Add) and max(degrees) <= most:
                own = _Written(variable, max(degrees), levels, operations, common)
            elif isinstance(op, Affine) and (line := _line(op)) is not None:
                common &= all(np.all(part == part[0]) for part in line)
                degree = degrees[0] if np.any(line[0]) else 0
                if common or degree <= MOST_OWN_DEGREE:
                    own = _Written(variable, degree, levels + 1, operations, common)
        written.append(own)
    return written


def _leaving(program: TensorProgram, written: Sequence[_Written]) -> set[int]:
    """Return the values that are polynomials in earlier values, and that more than these polynomials read."""
    leaving = {program.output}
    for index, op in enumerate(program.operations):
        if written[index + 1].variable == index + 1:
            leaving.update(op.reads)
    return {value for value in leaving if written[value].variable != value}


def _is_slower(program: TensorProgram, polynomial: _Written, value: int) -> bool:
    """Return True if the polynomial takes fewer levels as an activation than as it is written, or as many and fewer
    products.

    An activation takes one level more, for the map of its range to [-1, 1].
    """
    degree = polynomial.degree
    if degree < 2:
        return False
    if degree == 2:
        return _is_parabola_between_maps(program, polynomial, value)
    depth, products = OWN_FORMS.get(degree, (polynomial_depth(degree), 0))
    if polynomial.levels != depth + 1:
        return polynomial.levels > depth + 1
    written = sum(isinstance(program.operations[index], Multiply) for index in polynomial.operations)
    if products:
        return written > products
    schedule = chebyshev_schedule(
        (1.0,) * (degree + 1),
        level=depth,
        input_scale=1.0,
        output_scale=1.0,
        modulus_chain=(1.0,) * (depth + 1),
    )
    return written > len(schedule.multiplications())


def _is_parabola_between_maps(program: TensorProgram, polynomial: _Written, value: int) -> bool:
    """Return True if maps that are not part of a parabola make its variable and read its `value`, and it has other
    terms than a square. Both of them then take up the completed square's factors, which need neither a second map of
    the variable nor a level."""
    made_by = program.operations[polynomial.variable - 1] if polynomial.variable else None
    readers = [program.operations[index] for index in program.consumers()[value]]
    return (
        polynomial.levels > 1
        and isinstance(made_by, Affine)
        and bool(readers)
        and all(isinstance(reader, Affine) for reader in readers)
    )


def _line(op: Affine) -> tuple[Array, Array] | None:
    """Return (a, b), (size,) each, if the map is a x + b for every element; else None."""
    if not is_diagonal(op.matrix):
        return None
    return op.matrix.diagonal(), op.bias


class _Definition:
    """The function that the value `last` of a polynomial is, computed in the order in which it is written: the
    coefficients of powers can be so large that they cancel."""

    def __init__(self, operations: Sequence[TensorOp], polynomial: _Written, last: int) -> None:
        self._variable, self._last = polynomial.variable, last
        self._steps: list[tuple[int, TensorOp, tuple[Array, Array] | None]] = []
        for index in sorted(polynomial.operations):
            op = operations[index]
            self._steps.append((index + 1, op, _line(op) if isinstance(op, Affine) else None))

    def __call__(self, x: Array) -> Array:
        values = {self._variable: x}
        for number, op, line in self._steps:
            match op:
                case Affine() if line is not None:
                    values[number] = line[0] * values[op.input] + line[1]
                case Add():
                    values[number] = values[op.a] + values[op.b]
                case Multiply():
                    values[number] = values[op.a] * values[op.b]
        return values[self._last]
