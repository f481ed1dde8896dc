"""The order in which activations get more levels: where a level takes most error off the outputs comes first."""

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
    program: TensorProgram, curves: Sequence[Curve], free: Sequence[int], most_levels: int
) -> tuple[Step, ...]:
    """Return choices of growing precision, from the lowest rung of all activations up to `most_levels`.

    Args:
        program: the network.
        curves: the errors and depths of its activations.
        free: positions of the activations whose rungs may change.
        most_levels: levels of the last choice, at most; the first choice is returned whatever its levels.
    """
    rungs = [0] * len(curves)
    path = [_step(program, curves, rungs)]
    while True:
        best: tuple[float, Step] | None = None
        for position in free:
            for rung in range(rungs[position] + 1, len(curves[position].errors)):
                gain = curves[position].errors[rungs[position]] - curves[position].errors[rung]
                if gain <= 0:
                    continue
                step = _step(program, curves, [*rungs[:position], rung, *rungs[position + 1 :]])
                if step.levels > most_levels:
                    continue
                # Beside the longest path levels are free, but not the work: half a level each.
                added = (
                    step.levels
                    - path[-1].levels
                    + 0.5 * (curves[position].depths[rung] - curves[position].depths[rungs[position]])
                )
                worth = gain / added if added > 0 else math.inf  # a rung may take no level more
                if best is None or worth > best[0]:
                    best = (worth, step)
        if best is None:
            return tuple(path)
        rungs = list(best[1].rungs)
        path.append(best[1])


def _step(program: TensorProgram, curves: Sequence[Curve], rungs: Sequence[int]) -> Step:
    chosen = list(zip(curves, rungs, strict=True))
    levels = longest_path(program, [curve.depths[rung] for curve, rung in chosen])
    return Step(tuple(rungs), levels, sum(curve.errors[rung] for curve, rung in chosen))
