"""The order in which activations get higher degrees: where time takes most error off the outputs comes first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetorch.compiler.activations.error_curves import Curve
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.ir.tensor_program import TensorProgram

Rungs = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One choice of a rung for each activation: the levels of the network, and its predicted mean square error."""

    rungs: Rungs
    levels: int
    error: float


def degree_path(
    program: TensorProgram,
    curves: Sequence[Curve],
    free: Sequence[int],
    most_levels: int,
    start: Sequence[int] = (),
) -> tuple[Step, ...]:
    """Return choices of growing precision, from `start` up to `most_levels`.

    Each differs from the one before it in one rung: in that which takes most error off the outputs for its time.

    Args:
        program: the network.
        curves: the errors, depths and times of its activations.
        free: positions of the activations whose rungs may change.
        most_levels: levels of the last choice, at most; the first choice is returned whatever its levels.
        start: the rungs of the first choice; the lowest ones of all activations if left out.
    """
    rungs = list(start) or [0] * len(curves)
    path = [_step(program, curves, rungs)]
    while True:
        for position, rung in _by_worth(curves, free, rungs):
            step = _step(program, curves, [*rungs[:position], rung, *rungs[position + 1 :]])
            if step.levels <= most_levels:
                break
        else:
            return tuple(path)
        rungs = list(step.rungs)
        path.append(step)


def _by_worth(curves: Sequence[Curve], free: Sequence[int], rungs: Sequence[int]) -> list[tuple[int, int]]:
    """Return (position, rung) of each rise that takes off error, the best one first."""
    rises: list[tuple[float, int, int]] = []
    for position in free:
        curve, now = curves[position], rungs[position]
        for rung in range(now + 1, len(curve.errors)):
            gain, time = curve.errors[now] - curve.errors[rung], curve.times[rung] - curve.times[now]
            if gain > 0:
                rises.append((gain / time if time > 0 else math.inf, position, rung))
    rises.sort(key=lambda rise: -rise[0])
    return [(position, rung) for _, position, rung in rises]


def _step(program: TensorProgram, curves: Sequence[Curve], rungs: Sequence[int]) -> Step:
    chosen = list(zip(curves, rungs, strict=True))
    levels = longest_path(program, [curve.depths[rung] for curve, rung in chosen])
    return Step(tuple(rungs), levels, sum(curve.errors[rung] for curve, rung in chosen))
