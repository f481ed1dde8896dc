"""One attempt at approximating a network: a polynomial of a given degree for each activation, and the outputs then.

Ranges are taken with the earlier activations already replaced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.activations.channel_polynomials import is_line_plus_even
from hetorch.compiler.activations.compare_outputs import Shapes, compare_outputs
from hetorch.compiler.activations.domains import RANGE_MARGIN, Domain, Reader, domain_of
from hetorch.compiler.activations.interval_bounds import Interval, bounds_after
from hetorch.compiler.activations.replace_activation import replace_activation
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Activation, Affine, TensorOp, TensorProgram, Wish

Array = NDArray[np.float64]

MOST_READ = 1024
"""Largest number of rows or columns of a following layer with which coefficients are fitted jointly; fits with larger
ones take too long."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A network whose activations are to be replaced, with everything that all attempts share.

    program      the network, affine runs fused
    inputs       calibration inputs, (batch, *shape)
    reference    the model's outputs on them
    values       all values of `program` on them, each (batch, size)
    wish         degree or precision that the user asked for all activations; those of single ones go before it
    only_bounds  True to take ranges from interval arithmetic alone
    beside       further values of `program`, each (n, size), that the ranges must hold; None for calibrated ranges
    heads        the shapes of the model's outputs, if the program returns a row of several
    """

    program: TensorProgram
    inputs: Array
    reference: Array
    values: Sequence[Array]
    wish: Wish
    only_bounds: bool
    beside: Sequence[Array] | None = None
    heads: Shapes = ()

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations, in order."""
        return tuple(op for op in self.program.operations if isinstance(op, Activation))


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one attempt. Without a network, `problem` tells why if an activation was met outside its
    definition; otherwise numbers have overflowed."""

    degrees: tuple[int, ...]
    network: Approximated | None
    problem: str = ""

    @property
    def error(self) -> float:
        """The network's error; infinity without a network."""
        return math.inf if self.network is None else self.network.error

    @property
    def agreement(self) -> float:
        """The network's agreement; 0 without a network."""
        return 0.0 if self.network is None else self.network.agreement


class _TracedProgram:
    """A tensor program that runs on the calibration inputs while it is written: operations, values and bounds."""

    def __init__(self, inputs: Array) -> None:
        flat = inputs.reshape(len(inputs), -1)
        low, high = float(flat.min()), float(flat.max())
        spare = RANGE_MARGIN * (high - low) / 2
        self.operations: list[TensorOp] = []
        self.values = [flat]
        self.bounds = [Interval(np.full(flat.shape[1], low - spare), np.full(flat.shape[1], high + spare))]

    def append(self, op: TensorOp) -> int:
        """Add an operation and return the number of its value."""
        self.operations.append(op)
        self.values.append(op.evaluate(self.values))
        self.bounds.append(bounds_after(op, self.bounds))
        return len(self.operations)


def evaluate_degrees(task: Task, degrees: Sequence[int]) -> Attempt:
    """Replace each activation by a polynomial of its degree, in order, and compare the outputs with the reference.

    Args:
        task: the network, and what the user asked for.
        degrees: one for each activation; the wishes of the user go before it.

    Raises:
        InfeasibleError: a precision that the user asked for is out of reach.
    """
    traced = _TracedProgram(task.inputs)
    fits: list[Fit] = []
    number = {0: 0}
    pending = iter(degrees)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, op in enumerate(task.program.operations):
            if not isinstance(op, Activation):
                number[index + 1] = traced.append(op.renumbered(number))
                continue
            source, degree = number[op.input], next(pending)
            if not np.all(np.isfinite(traced.values[source])):
                return Attempt(tuple(degrees), None)
            try:
                domain = _domain(task, index, op, traced.values[source], traced.bounds[source])
            except InfeasibleError as undefined:
                # It may be enough that an earlier polynomial is too rough: the search tries a finer one.
                return Attempt(tuple(degrees), None, str(undefined))
            degree, precision = _wanted(op, task.wish, degree)
            steps, fit = replace_activation(op, source, len(traced.operations), domain, degree, precision)
            fits.append(fit)
            number[index + 1] = source
            for step in steps:
                number[index + 1] = traced.append(step)
    output = number[task.program.output]
    network = TensorProgram(
        task.program.input_shape, tuple(traced.operations), output, task.program.output_shape
    )
    error, agreement = compare_outputs(traced.values[output], task.reference, task.heads)
    return Attempt(tuple(degrees), Approximated(network, error, agreement, tuple(degrees), tuple(fits)))


def _domain(task: Task, index: int, op: Activation, data: Array, bounds: Interval) -> Domain:
    """Return the domain of operation `index`, whose input has these values and bounds now."""
    also = None if task.beside is None else task.beside[op.input]
    reader = _reader(task.program, index, task.values)
    return domain_of(op, data, bounds, only_bounds=task.only_bounds, also=also, reader=reader)


def _reader(program: TensorProgram, index: int, values: Sequence[Array]) -> Reader | None:
    """Return the affine map that alone reads the result of operation `index`, if it is small enough."""
    readers = program.consumers()[index + 1]
    if len(readers) != 1 or index + 1 == program.output:
        return None
    op = program.operations[readers[0]]
    if not isinstance(op, Affine) or max(op.matrix.shape) > MOST_READ:
        return None
    return Reader(np.asarray(op.matrix.toarray()), values[readers[0] + 1] - op.bias)


def _wanted(op: Activation, wish: Wish, degree: int) -> tuple[int, float | None]:
    """Return degree and precision of an activation: its own wish, else the one for all, else the degree of the attempt.

    A degree of 3 becomes 4 for functions that have quartics, which cost the same two levels.
    """
    own = op.wish or Wish()
    if own.degree is not None:
        return own.degree, None
    precision = own.precision or wish.precision
    if wish.degree is not None:
        return wish.degree, precision
    return 4 if degree == 3 and is_line_plus_even(op) else degree, precision
