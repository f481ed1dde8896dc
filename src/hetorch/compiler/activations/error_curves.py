"""The error, depth and time of each activation for each degree that the search may give it, before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.channel_labels import even_groups
from hetorch.compiler.activations.compare_outputs import output_range
from hetorch.compiler.activations.domains import Domain, domain_of
from hetorch.compiler.activations.evaluate_degrees import Task, wanted
from hetorch.compiler.activations.interval_bounds import Interval
from hetorch.compiler.activations.replace_activation import replace_activation
from hetorch.compiler.activations.time_of_degrees import Place, places
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """One activation by its rungs.

    `errors`: the mean square error that it alone adds to the outputs, relative to their range. `depths`: the levels of
    its polynomial. `times`: the time that it adds to the network (time_of_degrees).
    """

    errors: tuple[float, ...]
    depths: tuple[int, ...]
    times: tuple[float, ...]


def error_curves(task: Task, rungs: Sequence[int]) -> tuple[Curve, ...]:
    """Return the curve of each activation, in order.

    Args:
        task: the network.
        rungs: degrees that each activation may get.

    Ranges and errors are those on the values of the model itself: no earlier activation is replaced.
    """
    span = output_range(task.reference)
    curves: list[Curve] = []
    pending = iter(places(task.program))
    for index, op in enumerate(task.program.operations):
        if isinstance(op, Activation):
            curves.append(_curve(task, index, op, span, rungs, next(pending)))
    return tuple(curves)


def _curve(
    task: Task,
    index: int,
    op: Activation,
    span: float,
    rungs: Sequence[int],
    place: Place,
) -> Curve:
    try:
        domain = _domain(task, index, op)
    except InfeasibleError:
        return Curve(
            (0.0,) * len(rungs), tuple(rung.bit_length() for rung in rungs), tuple(map(float, rungs))
        )
    x, gradient = task.values[op.input][task.some], task.gradients.get(index + 1)
    gradient = None if gradient is None else np.ascontiguousarray(gradient)
    truth = op.apply(x)
    groups = even_groups(task.channels[index + 1])
    points: dict[int, tuple[float, int, float]] = {}
    for rung in sorted(rungs, reverse=True):  # The fit of the highest degree serves those of lower ones.
        degree, precision = wanted(op, task.wish, rung)
        out, _ = replace_activation(op, 0, 0, domain, degree, precision)
        error = 0.0
        if gradient is not None:
            difference = out.run(x) - truth
            if groups is not None:
                # The next layer makes up for what is the same in all samples (compensate_layers).
                difference -= groups.rows(difference).mean(axis=1)[groups.number]
            reached = (gradient @ np.ascontiguousarray(difference)[..., None])[..., 0] / span
            error = float(np.mean(np.sum(reached**2, axis=1)))
        points[rung] = (error, out.depth(), place.time(out))
    errors, depths, times = zip(*(points[rung] for rung in rungs), strict=True)
    return Curve(errors, depths, times)


def _domain(task: Task, index: int, op: Activation) -> Domain:
    data = task.values[op.input]
    nothing = np.full(data.shape[1], np.inf)
    also = None if task.beside is None else task.beside[op.input]
    importance = task.importance.get(index + 1)
    return domain_of(op, data, Interval(-nothing, nothing), also=also, importance=importance)
