"""One attempt at approximating a network: a polynomial of a given degree for each activation, and the outputs then.

Ranges are taken with the earlier activations already replaced.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.channel_labels import Indices, channel_labels
from hetorch.compiler.activations.channel_polynomials import is_line_plus_even
from hetorch.compiler.activations.compare_outputs import compare_outputs, expected_agreement
from hetorch.compiler.activations.compensate_layers import compensated, gain_blocks, rescaled
from hetorch.compiler.activations.domains import RANGE_MARGIN, Domain, Reader, domain_of
from hetorch.compiler.activations.gain_blocks import GainBlocks
from hetorch.compiler.activations.interval_bounds import Interval, bounds_after
from hetorch.compiler.activations.output_gradients import output_gradients
from hetorch.compiler.activations.replace_activation import Draft, replace_activation
from hetorch.compiler.activations.replacement import Replacement
from hetorch.compiler.activations.unseen_range import BEYOND
from hetorch.distinct import spread
from hetorch.errors import InfeasibleError
from hetorch.ir.interpreter import last_uses
from hetorch.ir.tensor_program import Activation, Affine, Chebyshev, TensorOp, TensorProgram, Wish

Array = NDArray[np.float64]

GRADIENT_SAMPLES = 16
"""Largest number of calibration samples on which gradients are taken. Raised, predictions of errors are better and take
longer in proportion."""
MOST_READ = 1024
"""Largest number of rows or columns of a following layer with which coefficients are fitted jointly; fits with larger
ones take too long."""


@dataclass(frozen=True, eq=False)
class Task:
    """A network whose activations are to be replaced, with everything that all attempts share.

    program      the network, affine runs fused
    inputs       calibration inputs, (batch, *shape)
    reference    the model's outputs on them
    values       all values of `program` on them, each (batch, size)
    wish         degree or precision that the user asked for all activations; those of single ones go before it
    only_bounds  True to take ranges from interval arithmetic alone
    beside       further values of `program`, each (n, size), that the ranges must hold; None for calibrated ranges
    class_rows   the places of the outputs that are rows of classes
    excess       by what share errors on inputs to come are taken to exceed those on the calibration inputs
    blocks       the gain_blocks of operations, by index, that earlier attempts have found
    """

    program: TensorProgram
    inputs: Array
    reference: Array
    values: Sequence[Array]
    wish: Wish
    only_bounds: bool
    beside: Sequence[Array] | None = None
    class_rows: tuple[slice, ...] = ()
    excess: float = 0.0
    blocks: dict[int, GainBlocks] = field(default_factory=dict)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations, in order."""
        return tuple(op for op in self.program.operations if isinstance(op, Activation))

    @property
    def is_free(self) -> bool:
        """True if the degree of an activation is left to the search."""
        return self.wish == Wish() and any(op.wish is None or op.wish == Wish() for op in self.activations)

    @functools.cached_property
    def gradients(self) -> Mapping[int, Array]:
        """The gradients of the outputs by the result of each activation, by its value, on some of the inputs."""
        return output_gradients(self.program, [value[self.some] for value in self.values])

    @functools.cached_property
    def some(self) -> Indices:
        """The numbers of the calibration inputs on which gradients are taken."""
        count = len(self.inputs)
        return spread(count, GRADIENT_SAMPLES)

    @functools.cached_property
    def importance(self) -> Mapping[int, Array]:
        """The mean square of the gradient by each element of an activation's result, alike in a channel and at most 1,
        by its value; there is none where the outputs do not depend on it."""
        weights = {}
        for value, gradient in self.gradients.items():
            squares = np.mean(np.sum(gradient**2, axis=1), axis=0)
            channel = self.channels[value]
            means = np.bincount(channel, squares) / np.maximum(np.bincount(channel), 1)
            most = float(np.max(means))
            if np.isfinite(most) and most > 0:
                weights[value] = means[channel] / most
        return weights

    @functools.cached_property
    def channels(self) -> tuple[Indices, ...]:
        """The channel of each element of each value."""
        return channel_labels(self.program)


@dataclass(frozen=True, slots=True)
class Manner:
    """How polynomials of given degrees are put in.

    compensates  True if affine maps make up for the errors of the polynomials before them
    beyond       as for unseen_range
    """

    compensates: bool = True
    beyond: float = BEYOND


USUAL = Manner()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of one attempt. Without a network, `problem` tells why if an activation was met outside its
    definition; otherwise numbers have overflowed.

    `expected_agreement`: as from compare_outputs; 1 without classes. `drafts`: what became of each activation; the
    network's own `fits`, which take longer to find, are left to `with_fits`.
    """

    degrees: tuple[int, ...]
    manner: Manner
    network: Approximated | None
    problem: str = ""
    expected_agreement: float = 0.0
    drafts: tuple[Draft, ...] = ()

    def with_fits(self) -> Attempt:
        """Return the attempt with the fits of its network."""
        if self.network is None:
            return self
        return replace(self, network=replace(self.network, fits=tuple(draft.fit() for draft in self.drafts)))

    def without_network(self) -> Attempt:
        """Return what is known about the attempt, without the network, which is large."""
        return replace(self, network=None, drafts=())

    @property
    def error(self) -> float:
        """The network's error; infinity without a network."""
        return math.inf if self.network is None else self.network.error

    @property
    def agreement(self) -> float:
        """The network's agreement; 0 without a network."""
        return 0.0 if self.network is None else self.network.agreement


NOTHING = np.zeros((0, 0))
"""Stands for the numbers of a value that nothing will read any more."""


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

    def forget(self, value: int) -> None:
        """Drop the numbers of a value that nothing will read."""
        self.values[value] = NOTHING


def evaluate_degrees(
    task: Task, degrees: Sequence[int], manner: Manner = USUAL, exact: frozenset[int] = frozenset()
) -> Attempt:
    """Replace each activation by a polynomial of its degree, in order, and compare the outputs with the reference.

    Args:
        task: the network, and what the user asked for.
        degrees: one for each activation; the wishes of the user go before it.
        manner: how the polynomials are put in.
        exact: positions of activations that stay as they are, to see what they cost; such a network is for that only.

    Raises:
        InfeasibleError: a precision that the user asked for is out of reach.
    """
    traced = _TracedProgram(task.inputs)
    drafts: list[Draft] = []
    number = {0: 0}
    sound = {0}
    last = last_uses(task.program)
    pending = iter(enumerate(degrees))
    with np.errstate(over="ignore", invalid="ignore"):
        for index, op in enumerate(task.program.operations):
            value = index + 1
            _forget_unread(task.program, index - 1, last, number, traced)
            if not isinstance(op, Activation):
                if sound.issuperset(op.reads):
                    sound.add(value)
                    number[value] = traced.append(op.renumbered(number))
                else:
                    number[value] = traced.append(_mended(task, manner, index, op, traced, number))
                continue
            source, (position, degree) = number[op.input], next(pending)
            if op.exact_degree is not None and op.input in sound:
                sound.add(value)
            if not np.all(np.isfinite(traced.values[source])):
                return Attempt(tuple(degrees), manner, None)
            if position in exact:
                number[value] = traced.append(op.renumbered(number))
                continue
            try:
                domain = _domain(task, manner, index, op, traced, source)
            except InfeasibleError as undefined:
                # It may be enough that an earlier polynomial is too rough: the search tries a finer one.
                problem = _undefined(task, op, traced.values[source], str(undefined))
                return Attempt(tuple(degrees), manner, None, problem)
            degree, precision = wanted(op, task.wish, degree)
            out, form = replace_activation(op, source, len(traced.operations), domain, degree, precision)
            number[value] = source
            for step in out.operations[:-1]:
                number[value] = traced.append(step)
            if out.operations:
                out.operations[-1] = _centred(task, manner, value, out, traced)
                number[value] = traced.append(out.operations[-1])
            for step_value in range(out.written + 1, number[value]):
                traced.forget(step_value)
            drafts.append(Draft.of(out, form, domain, traced.values[number[value]]))
    return _attempt(task, tuple(degrees), manner, traced, number, tuple(drafts))


def _attempt(
    task: Task,
    degrees: tuple[int, ...],
    manner: Manner,
    traced: _TracedProgram,
    number: Mapping[int, int],
    drafts: tuple[Draft, ...],
) -> Attempt:
    """Return the attempt whose program has been traced; `number` has its value for each one of the task's program."""
    output = number[task.program.output]
    network = TensorProgram(
        task.program.input_shape, tuple(traced.operations), output, task.program.output_shape
    )
    outputs = traced.values[output]
    error, agreement = compare_outputs(outputs, task.reference, rows=task.class_rows)
    expected = expected_agreement(outputs, task.reference, rows=task.class_rows, excess=task.excess)
    approximated = Approximated(
        *(network, error, agreement, degrees),
        has_classes=bool(task.class_rows),
        values=tuple(number[value] for value in range(task.program.value_count)),
    )
    return Attempt(degrees, manner, approximated, expected_agreement=expected, drafts=drafts)


def _forget_unread(
    program: TensorProgram, index: int, last: Sequence[int], number: Mapping[int, int], traced: _TracedProgram
) -> None:
    """Drop the numbers of the values that operation `index` was the last one to read."""
    if index < 0:
        return
    kept = {number[value] for value in range(index + 2) if last[value] > index or value == program.output}
    for value in {*program.operations[index].reads, index + 1}:
        if number[value] not in kept:
            traced.forget(number[value])


def _mended(
    task: Task,
    manner: Manner,
    index: int,
    op: TensorOp,
    traced: _TracedProgram,
    number: Mapping[int, int],
) -> TensorOp:
    """Return operation `index` on the values of `traced`; an affine map makes up for errors of what it reads."""
    moved = op.renumbered(number)
    if not manner.compensates or not isinstance(op, Affine) or not isinstance(moved, Affine):
        return moved
    source, channels = traced.values[moved.input], (task.channels[op.input], task.channels[index + 1])
    if index not in task.blocks:
        task.blocks[index] = gain_blocks(op, *channels)
    return compensated(moved, source, task.values[index + 1], *channels, task.blocks[index])


def _centred(task: Task, manner: Manner, value: int, out: Replacement, traced: _TracedProgram) -> TensorOp:
    """Return the last operation of a replacement. If it scales a series, its factors and offsets bring the result
    nearest to `value` in the model."""
    last = out.operations[-1]
    if (
        not manner.compensates
        or out.op.exact_degree is not None
        or not isinstance(last, Affine)
        or len(out.operations) < 2
        or not isinstance(out.operations[-2], Chebyshev)
    ):
        return last
    return rescaled(last, last.evaluate(traced.values), task.values[value], task.channels[value])


def _domain(
    task: Task, manner: Manner, index: int, op: Activation, traced: _TracedProgram, source: int
) -> Domain:
    """Return the domain of operation `index`, which reads value `source` of `traced`."""
    return domain_of(
        op,
        traced.values[source],
        traced.bounds[source],
        only_bounds=task.only_bounds,
        also=None if task.beside is None else task.beside[op.input],
        beyond=manner.beyond,
        reader=_reader(task.program, index, task.values),
        importance=task.importance.get(index + 1),
    )


def _undefined(task: Task, op: Activation, data: Array, problem: str) -> str:
    """Return why an activation is not defined on `data`, which it reads behind polynomials; `problem` if it is not
    defined on what it reads in the model either."""
    own = task.values[op.input]
    anything = np.full(own.shape[1], np.inf)
    try:
        domain_of(op, own, Interval(-anything, anything))
    except InfeasibleError:
        return problem
    return (
        f"{op.function} in {op.name} reads {own.min():.3g}..{own.max():.3g} in the model, but the polynomials before "
        f"it are so rough that it would read {data.min():.3g}..{data.max():.3g}, where it is not defined. What helps: "
        "a higher activation_degree= if one is set, and otherwise a model in which these numbers differ less (a "
        "normalisation before them, weight decay), or another function there"
    )


def _reader(program: TensorProgram, index: int, values: Sequence[Array]) -> Reader | None:
    """Return the affine map that alone reads the result of operation `index`, if it is small enough."""
    readers = program.consumers()[index + 1]
    if len(readers) != 1 or index + 1 == program.output:
        return None
    op = program.operations[readers[0]]
    if not isinstance(op, Affine) or max(op.matrix.shape) > MOST_READ:
        return None
    return Reader(np.asarray(op.matrix.toarray()), values[readers[0] + 1] - op.bias)


def wanted(op: Activation, wish: Wish, degree: int) -> tuple[int, float | None]:
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
