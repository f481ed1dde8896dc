"""The sentences on a network that is farther from the model than the user asked: what is missing, where the error comes
from, and what helps. A remedy is named only if it was tried."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hetorch.compiler.activations.evaluate_degrees import Attempt, Task, evaluate_degrees
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.compiler.activations.search_degrees import HOPELESS, RUNGS, Choices, levels_needed

OVERFLOW = "the outputs of the polynomials overflow on the calibration inputs; {}"
USELESS = 1.0
"""Error relative to the range of the outputs from which on a network without classes is refused: a constant does as
well."""
NAMED = 3
"""Largest number of layers that are named as the ones that cost most."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The difference between a network and what the user asked for.

    `sentence`: for the user; empty if nothing is missed. `missing_levels`: the levels that the goal takes, by estimate,
    above the limit; 0 if nothing is missed, or for another reason.
    """

    sentence: str = ""
    missing_levels: int = 0


def refusal(task: Task, goal: Goal, attempt: Attempt) -> str:
    """Return why the network of the attempt is of no use at all, or nothing.

    It is of none if its outputs are not finite, or if the argmax agrees less than half way from chance to the wish;
    without classes, if a constant would be as near.
    """
    if not math.isfinite(attempt.error):
        return OVERFLOW.format(advice(task))
    if task.class_rows:
        chance = 1 / max(row.stop - row.start for row in task.class_rows)
        least = (chance + goal.agreement) / 2
        if attempt.agreement < least:
            return (
                f"the argmax agrees on {attempt.agreement:.2%} of the calibration inputs, which is less than half way "
                f"from chance to activation_agreement ({least:.2%}); {advice(task)}"
            )
    elif attempt.error >= max(USELESS, goal.tolerance):
        return f"the outputs differ from the model's by {attempt.error:.2%} of their range; {advice(task)}"
    return ""


def shortfall(
    task: Task, goal: Goal, limit: int, given: Choices, attempt: Attempt, limited_by: str = ""
) -> Shortfall:
    """Return what the network misses, the layers that cost most, and the remedies that were tried.

    The sentence has `limited_by` if levels are missing.
    """
    missed, accepted = [], []
    if goal.tolerance < attempt.error < math.inf:
        missed.append(
            f"the outputs differ from the model's by {attempt.error:.2%} of their range "
            f"(activation_tolerance allows {goal.tolerance:.2%})"
        )
        accepted.append(f"activation_tolerance={_rounded_up(attempt.error):g}")
    if attempt.expected_agreement < goal.agreement:
        missed.append(
            f"the argmax agrees on {attempt.agreement:.2%} of the calibration inputs and can be expected to on "
            f"{attempt.expected_agreement:.2%} of others (activation_agreement asks for {goal.agreement:.2%})"
        )
        accepted.append(f"activation_agreement={math.floor(attempt.expected_agreement * 1000) / 1000:g}")
    if not missed or not math.isfinite(attempt.error):
        return Shortfall()
    assert attempt.network is not None
    levels = longest_path(task.program, [fit.depth for fit in attempt.network.fits])
    needed, suffices = levels_needed(task, goal, given, attempt)
    missing = max(0, needed - limit)
    sentences = [
        f"with polynomials of degree {_degrees(attempt)} ({levels} of at most {limit} levels) {' and '.join(missed)}",
        _missing(needed, suffices, missing) if missing else "",
        limited_by if missing else "",
        _costly(task, goal, given, attempt),
        f"{' and '.join(accepted)} accepts it",
    ]
    return Shortfall("; ".join(filter(None, sentences)), missing)


def _missing(needed: int, suffices: bool, missing: int) -> str:
    """Return the number of levels that the goal takes, of which `missing` are above the limit."""
    if suffices:
        return f"by estimate it takes {needed} levels, {missing} more"
    return f"by estimate it takes more than {needed} levels, and {missing} of them are missing"


def _costly(task: Task, goal: Goal, given: Choices, attempt: Attempt) -> str:
    """Return the layers whose polynomials add most to the error, and if one of them alone is to blame."""
    rungs = [RUNGS.index(degree) for degree in attempt.degrees]
    errors = np.array([curve.errors[rung] for curve, rung in zip(given.curves, rungs, strict=True)])
    if not np.sum(errors) > 0:
        return ""
    order = np.argsort(-errors, kind="stable")[:NAMED]
    named = [f"{task.activations[i].name} ({task.activations[i].function})" for i in order]
    text = f"most of the error comes from {', '.join(dict.fromkeys(named))}"
    rest = float(np.sum(errors) - errors[order[0]]) / float(np.sum(errors))
    if math.sqrt(rest) * goal.distance(attempt) > HOPELESS:
        return text
    exact = evaluate_degrees(task, attempt.degrees, attempt.manner, exact=frozenset({int(order[0])}))
    if goal.is_met(exact):
        text += (
            f"; with {named[0]} exact it would be met: a function there that a polynomial follows better (a square, "
            "SiLU, average pooling) helps, after training with it"
        )
    return text


def advice(task: Task) -> str:
    """Return what helps a network whose activations polynomials cannot follow."""
    names = ", ".join(dict.fromkeys(f"{op.name} ({op.function})" for op in task.activations[:NAMED]))
    return (
        "use fewer layers with activations, or train with functions that polynomials of few levels follow (a square, "
        f"SiLU, average pooling) in place of {names}"
    )


def _degrees(attempt: Attempt) -> str:
    assert attempt.network is not None
    degrees = sorted({fit.degree for fit in attempt.network.fits})
    return f"{degrees[0]}" if len(degrees) == 1 else f"{degrees[0]} to {degrees[-1]}"


def _rounded_up(error: float) -> float:
    """Return a number with two digits that is at least `error`."""
    unit = 10.0 ** (math.floor(math.log10(error)) - 1)
    return math.ceil(error / unit * (1 - 1e-12)) * unit
