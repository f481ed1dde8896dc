"""The search for the least degrees with which the outputs stay near the model's.

All activations climb the same ladder of degrees until they do; then each one descends again as far as it can. Where the
user asked for a degree or a precision, there is nothing to search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.chebyshev_series import SERIES_DEGREES
from hetorch.compiler.activations.evaluate_degrees import Attempt, Task, evaluate_degrees
from hetorch.compiler.activations.stable_off_calibration import Stability
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Wish

RUNGS = (2, *SERIES_DEGREES)
"""Degrees that the search tries: the largest of each depth 1 to 6 (2 by completing the square). At depth 2, functions
that are a line plus an even function take degree 4."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The requirements on a network: an error of at most `tolerance`, at least `agreement`, and stability if given."""

    tolerance: float
    agreement: float
    stability: Stability | None = None

    def is_met(self, attempt: Attempt) -> bool:
        """Return True if the attempt gave a network that satisfies all of it."""
        return (
            attempt.network is not None
            and attempt.error <= self.tolerance
            and attempt.agreement >= self.agreement
            and (self.stability is None or self.stability.holds(attempt.network.program))
        )


def search_degrees(task: Task, goal: Goal) -> Approximated:
    """Return a network that meets the goal with degrees as low as the search finds.

    Where no activation is free, the network as the user asked for it, whether or not it meets the goal.

    Raises:
        InfeasibleError: the highest degrees do not meet the goal, or what the user asked for gives no network.
    """
    activations = task.activations
    free = [i for i, op in enumerate(activations) if op.wish is None or op.wish == Wish()]
    if task.wish != Wish() or not free:
        degree = task.wish.degree or RUNGS[0]
        return _network(evaluate_degrees(task, (degree,) * len(activations)), goal)
    rung, attempt = _climb(task, goal)
    if rung > 0 and len(free) > 1:
        attempt = _descend(task, goal, attempt, free, RUNGS[:rung])
    return _network(attempt, goal)


def _climb(task: Task, goal: Goal) -> tuple[int, Attempt]:
    """Return the first rung, and the attempt with its degree for all activations, that meets the goal."""
    for rung, degree in enumerate(RUNGS):
        attempt = evaluate_degrees(task, (degree,) * len(task.activations))
        if goal.is_met(attempt):
            return rung, attempt
    raise InfeasibleError(attempt.problem or _out_of_reach(attempt, goal))


def _descend(task: Task, goal: Goal, best: Attempt, free: list[int], lower: tuple[int, ...]) -> Attempt:
    """Return the attempt after each free activation in turn has got the least of the degrees `lower` that meets the
    goal, or kept its own."""
    for position in free:
        for degree in lower:
            attempt = evaluate_degrees(
                task, (*best.degrees[:position], degree, *best.degrees[position + 1 :])
            )
            if goal.is_met(attempt):
                best = attempt
                break
    return best


def _network(attempt: Attempt, goal: Goal) -> Approximated:
    """Return the network of an attempt; InfeasibleError tells why there is none."""
    if attempt.network is None:
        raise InfeasibleError(attempt.problem or _out_of_reach(attempt, goal))
    return attempt.network


def _out_of_reach(attempt: Attempt, goal: Goal) -> str:
    """Return what the attempt misses and which options help, in one sentence."""
    missed, looser = [], []
    if attempt.error > goal.tolerance:
        size = (
            f"differ from the model's by {attempt.error:.2%} of their range"
            if math.isfinite(attempt.error)
            else "are not finite"
        )
        missed.append(f"the outputs {size} (activation_tolerance allows {goal.tolerance:.2%})")
        looser.append("a larger activation_tolerance=")
    if attempt.agreement < goal.agreement:
        missed.append(
            f"the argmax agrees on {attempt.agreement:.2%} of the inputs "
            f"(activation_agreement asks for {goal.agreement:.2%})"
        )
        looser.append("a smaller activation_agreement=")
    return (
        f"with polynomials of degree {max(attempt.degrees)} {' and '.join(missed)}; pass {' and '.join(looser)}, "
        "activation_precision= (for functions with kinks, at more levels) or a fixed activation_degree=, or train with "
        "smoother activations (square, SiLU)"
    )
