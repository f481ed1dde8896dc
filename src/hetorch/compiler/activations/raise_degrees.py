"""Higher degrees where those that the search found on a part of the calibration inputs are too low for all of them.

The largest error on all inputs is above that on a part. Each run here takes all inputs and is long, so that there are
only a few, and none where the degrees found meet the goal.
"""

from __future__ import annotations

from dataclasses import replace

from hetorch.compiler.activations.degree_path import degree_path
from hetorch.compiler.activations.evaluate_degrees import Attempt, Task, evaluate_degrees
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.search_degrees import RUNGS, Choices, first_within, free_activations, nearer
from hetorch.compiler.activations.unseen_range import BEYOND

MOST_RUNS = 3
"""Largest number of runs on all inputs. Raised, more networks meet the goal on all inputs, and compiling those that do
not takes longer."""
AIM = 0.9
"""Distance from the goal that higher degrees are predicted to have. Raised, degrees are lower, and more of them miss
the goal."""


def raise_degrees(task: Task, goal: Goal, given: Choices, attempt: Attempt) -> Attempt:
    """Return the attempt that is nearest to the goal, of `attempt`, the same on usual ranges, and higher degrees.

    Args:
        task: the network, with all calibration inputs.
        goal: the requirements, which `attempt` misses.
        given: the choices that the search had.
        attempt: the degrees that the search found, on all calibration inputs.
    """
    nearest, runs = attempt, MOST_RUNS
    if attempt.manner.beyond < BEYOND:
        # The search used precision for wider ranges, which all inputs do not leave.
        runs -= 1
        usual = evaluate_degrees(task, attempt.degrees, replace(attempt.manner, beyond=BEYOND))
        nearest = nearer(goal, attempt, usual)
    if goal.is_met(nearest):
        return nearest
    manner, distance = nearest.manner, goal.distance(nearest)
    rungs = [RUNGS.index(degree) for degree in attempt.degrees]
    path = degree_path(task.program, given.curves, free_activations(task), given.most_levels, rungs)
    index = 0
    for _ in range(runs):
        # Distances grow about as the roots of predicted errors.
        index = max(index + 1, first_within(path, path[index].error * (AIM / distance) ** 2))
        if index >= len(path):
            break
        degrees = [RUNGS[rung] for rung in path[index].rungs]
        higher = evaluate_degrees(task, degrees, manner)
        nearest, distance = nearer(goal, nearest, higher), goal.distance(higher)
        if goal.is_met(higher):
            break
    return nearest
