"""The search for the least degrees with which the outputs stay near the model's.

Errors of single activations are predicted once (`error_curves`). They order the choices from the cheapest to the most
exact one (`degree_path`), and tell which one on this path may be the first that meets the goal; runs of the whole
network find it.
Then activations get quicker polynomials for as long as the work allows. Where the user asked for a degree or a
precision, there is nothing to search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.chebyshev_series import SERIES_DEGREES
from hetorch.compiler.activations.degree_path import Step, degree_path
from hetorch.compiler.activations.error_curves import Curve, error_curves
from hetorch.compiler.activations.evaluate_degrees import Attempt, Manner, Task, evaluate_degrees
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.ir.tensor_program import Activation, Affine, TensorProgram, Wish

RUNGS = tuple(sorted((2, *SERIES_DEGREES, 11, 23, 39, 47, 55, 95)))
"""Degrees that the search tries: the largest of each depth 1 to 7 (2 by completing the square), and lower ones of the
same depth that take fewer products. At depth 2, functions that are a line plus an even function take degree 4."""
MOST_WORK = 1 << 33
"""Work of the search in multiplications, as far as it is known: runs of the whole network are counted. Raised, more
degrees are tried to save a level, and the search takes longer."""
RUN_WORK = 1 << 23
"""Work of a run for each activation, whatever its size: fits, and layers that make up for them. Raised, fewer degrees
are tried in small deep networks."""
SERIES_WORK = 60
"""Multiplications for each element of an activation, about: those of a series and of its neighbours."""
HOPELESS = 4.0
"""Predicted distance from the goal, in multiples of what it allows, from which on degrees are not tried, nor wider
ranges. Raised, more runs are spent on degrees that a wrong prediction may have ruled out."""
PROMISING = 1.25
"""The same for degrees that would take less time than those that are known to meet the goal."""
UNLIKELY = 0.3
"""Factor of the time that degrees save if they are predicted to miss the goal. Raised, they are tried before degrees
that save less and are predicted to meet it."""
PLENTY = 100
"""Number of allowed runs from which on what fails is tried without compensation too."""
WIDER = (1e-6, 1e-7, 1e-8)
"""Shares of unseen inputs that may leave their range, as for unseen_range, that are tried with the degrees found. More
of them use more of the precision that is left for ranges."""
SPARE = 0.1
"""Share that wider ranges may add to the distance from a goal that is out of reach."""
CLEARLY = 1.5
"""Factor by which compensated layers must come nearer to the goal for degrees that the user gave. Raised, more such
networks keep the model's own weights."""
GUESSES = 3
"""Number of choices that predicted errors name before the most exact one is tried. Raised, fewer runs are spent on high
degrees where low ones do, and more where polynomials explode."""
FEWEST_RUNS = 8
"""Number of runs of the whole network that are allowed whatever they take."""

Told = Callable[[float], None]
Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(slots=True)
class _Runs:
    """The runs of the whole network: each choice of rungs is run once, and the best attempt is kept."""

    task: Task
    goal: Goal
    allowed: int
    told: Told
    done: dict[tuple[int, ...], Attempt] = field(default_factory=dict)
    best: Attempt | None = None

    @property
    def spent(self) -> bool:
        return len(self.done) >= self.allowed

    def attempt(self, rungs: Sequence[int]) -> Attempt:
        """Return the attempt with these rungs."""
        key = tuple(rungs)
        if key not in self.done:
            degrees = [RUNGS[rung] for rung in key]
            attempt = evaluate_degrees(self.task, degrees)
            if self.allowed >= PLENTY and not self.goal.is_met(attempt):
                attempt = nearer(self.goal, attempt, _plain(self.task, degrees))
            # Networks are large: only the last one that meets the goal is looked at again.
            met = self.goal.is_met(attempt)
            if met:
                self.done = {old: seen.without_network() for old, seen in self.done.items()}
            self.done[key] = attempt if met else attempt.without_network()
            self.told(min(1.0, len(self.done) / self.allowed))
            return attempt
        return self.done[key]

    def run(self, rungs: Sequence[int]) -> Attempt:
        """Return the attempt with these rungs, and keep it if it is the nearest one to the goal."""
        attempt = self.attempt(rungs)
        if self.best is None or self.goal.distance(attempt) < self.goal.distance(self.best):
            self.best = attempt
        return attempt


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices that the search has: the curves of the activations, the path from the cheapest to the most exact
    choice, and the most levels."""

    curves: tuple[Curve, ...]
    path: tuple[Step, ...]
    most_levels: int


def choices(task: Task, most_levels: int) -> Choices | None:
    """Return the choices of a network of at most `most_levels`; None if no activation is free."""
    if not task.is_free:
        return None
    curves = error_curves(task, RUNGS)
    return Choices(
        curves, degree_path(task.program, curves, free_activations(task), most_levels), most_levels
    )


def levels_needed(task: Task, goal: Goal, given: Choices, attempt: Attempt) -> tuple[int, bool]:
    """Return the levels with which the goal would be met, were they there, and True; or those of the most exact choice
    and False if not even this one meets it.

    An estimate: predicted errors that are smaller by a factor bring the network nearer to the goal by that factor.
    """
    rungs = [RUNGS.index(degree) for degree in attempt.degrees]
    enough = _error(given.curves, rungs) / goal.distance(attempt) ** 2
    path = degree_path(
        task.program,
        given.curves,
        free_activations(task),
        sum(curve.depths[-1] for curve in given.curves) * 2,
    )
    return next(((step.levels, True) for step in path if step.error <= enough), (path[-1].levels, False))


def search_degrees(
    task: Task,
    goal: Goal,
    given: Choices | None,
    start: tuple[int, ...] = (),
    told: Told = lambda _: None,
) -> Attempt:
    """Return the attempt that meets the goal with degrees as low as the search finds, or else the nearest one to it.

    Where no activation is free, the network as the user asked for it, whether or not it meets the goal.

    Args:
        task: the network.
        goal: the requirements on the outputs.
        given: the choices; None if there are none.
        start: degrees that may be the right ones; empty if nothing is known.
        told: called with the share of the work that is done.

    Raises:
        InfeasibleError: what the user asked for gives no network.
    """
    if given is None:
        degrees = (task.wish.degree or RUNGS[0],) * len(task.activations)
        fitted, plain = evaluate_degrees(task, degrees), _plain(task, degrees)
        # Compensation shrinks the errors of other inputs less than those of the calibration inputs.
        return plain if goal.distance(plain) <= CLEARLY * goal.distance(fitted) else fitted
    runs = _Runs(task, goal, max(FEWEST_RUNS, MOST_WORK // _run_work(task)), told)
    lowest = tuple(RUNGS.index(degree) for degree in start)
    if not lowest or not goal.is_met(runs.run(lowest)):
        chosen = _first_met(runs, given.path)
        lowest = chosen.rungs if chosen is not None else ()
    if lowest:
        _quicker(runs, given, free_activations(task), lowest)
    assert runs.best is not None
    return _widest(task, goal, runs.best)


def _widest(task: Task, goal: Goal, best: Attempt) -> Attempt:
    """Return the attempt on ranges as wide as the goal allows, if they are needed for the inputs to come.

    Where the goal is out of reach, wider ranges may add SPARE to the distance from it; far from it they are not tried.
    """
    if goal.distance(best) > HOPELESS:
        return best
    allowed = 1.0 if goal.is_met(best) else (1 + SPARE) * goal.distance(best)
    for beyond in WIDER:
        attempt = evaluate_degrees(task, best.degrees, replace(best.manner, beyond=beyond))
        if goal.distance(attempt) > allowed:
            break
        best = attempt
    return best


def _plain(task: Task, degrees: Sequence[int]) -> Attempt:
    """Return the attempt without compensation. Least squares make the mean error small; the largest one is sometimes
    smaller without them, above all after products."""
    return evaluate_degrees(task, degrees, Manner(compensates=False))


def nearer(goal: Goal, first: Attempt, second: Attempt) -> Attempt:
    """Return the attempt that is nearer to the goal, the first one of two that are equally near."""
    return second if goal.distance(second) < goal.distance(first) else first


def free_activations(task: Task) -> list[int]:
    """Return the positions of the activations whose degree the user left to the search."""
    return [i for i, op in enumerate(task.activations) if op.wish is None or op.wish == Wish()]


def _first_met(runs: _Runs, path: Sequence[Step]) -> Step | None:
    """Return the first choice on the path that meets the goal, as far as it is found; None if none is found.

    Predicted errors, and the distances from the goal that runs show, tell where it may lie; every second time that this
    does not halve the choices left, bisection does. The work allowed ends the search early.
    """
    distances: dict[int, float] = {}

    def meets(index: int) -> bool:
        attempt = runs.run(path[index].rungs)
        distances[index] = runs.goal.distance(attempt)
        return runs.goal.is_met(attempt)

    high = next((index for index in _openings(runs, path, distances) if meets(index)), None)
    if high is None:
        return None
    low = max((index for index in distances if index < high), default=-1)
    halve = False
    while high - low > 1 and not runs.spent:
        index, left = (low + high) // 2, high - low
        if not halve:
            index = min(max(_likely(path, distances, low, high), low + 1), high - 1)
        low, high = (low, index) if meets(index) else (index, high)
        halve = not halve and 2 * (high - low) > left
    return path[high]


def _openings(runs: _Runs, path: Sequence[Step], distances: Mapping[int, float]) -> Iterator[int]:
    """Yield choices until one meets the goal: the first one that is predicted to, those that the distances so far name,
    and the most exact one.

    Where polynomials of high degree explode, the most exact one misses the goal; a few others are tried then, unless
    all are predicted to be hopeless.
    """
    last = len(path) - 1
    if _is_hopeless(runs, path[last]):
        yield from dict.fromkeys((0, last))
        return
    index = first_within(path, runs.goal.tolerance**2)
    for _ in range(GUESSES):
        yield index
        index = first_within(path, path[index].error / distances[index] ** 2)
    for index in (last, *(last * quarter // 4 for quarter in (3, 2, 1, 0))):
        if index not in distances:
            yield index


def _likely(path: Sequence[Step], distances: Mapping[int, float], low: int, high: int) -> int:
    """Return the first choice that is likely to meet the goal, between one that misses it (or -1) and one that does
    not: distances grow about as the roots of predicted errors."""
    within = max(distances[high], 1e-3)
    if low < 0:
        return first_within(path, path[high].error / within**2)
    if not within < distances[low] < math.inf or path[high].error <= 0:
        return (low + high) // 2
    share = math.log(within) / (math.log(within) - math.log(distances[low]))
    return first_within(path, path[high].error * (path[low].error / path[high].error) ** share)


def first_within(path: Sequence[Step], error: float) -> int:
    """Return the first choice whose predicted error is at most `error`, or the last one."""
    return next((index for index, step in enumerate(path) if step.error <= error), len(path) - 1)


def _is_hopeless(runs: _Runs, most_exact: Step) -> bool:
    return math.sqrt(most_exact.error) > HOPELESS * runs.goal.tolerance


def _quicker(runs: _Runs, given: Choices, free: Sequence[int], start: Sequence[int]) -> None:
    """Lower the rung of one activation, and raise that of another if need be, for as long as that meets the goal and
    saves time; the last attempt to do so is the best. Choices that save most come first."""
    rungs = tuple(start)
    runs.best = runs.run(rungs)
    failed: set[tuple[int, ...]] = set()
    while True:
        for trial in _exchanges(given.curves, free, rungs, runs.goal.distance(runs.best)):
            if trial in failed or (trial not in runs.done and runs.spent):
                continue
            if _levels(runs.task, given.curves, trial) > given.most_levels:
                continue
            attempt = runs.attempt(trial)
            if runs.goal.is_met(attempt):
                rungs, runs.best = trial, attempt
                break
            failed.add(trial)
        else:
            return


def _exchanges(
    curves: Sequence[Curve], free: Sequence[int], rungs: tuple[int, ...], distance: float
) -> Iterator[tuple[int, ...]]:
    """Yield choices that take less time than `rungs` and may meet the goal, to which `rungs` have this distance; those
    that save most come first.

    A network of a hundred activations has half a million of them, so that each one is made when it is asked for.
    """
    error = _error(curves, rungs)
    likely = error / max(distance, 1e-300) ** 2
    raises = np.array(
        [(upper, higher) for upper in free for higher in range(rungs[upper] + 1, len(curves[upper].errors))],
        dtype=np.int64,
    ).reshape(-1, 2)
    added = [_change(curves[upper].times, higher, rungs[upper]) for upper, higher in raises]
    removed = [_change(curves[upper].errors, rungs[upper], higher) for upper, higher in raises]
    # The first choice of each lowered rung raises nothing.
    raises = np.concatenate([[[-1, 0]], raises])
    taken, won = np.array([0.0, *added]), np.array([0.0, *removed])
    saved: list[Array] = []
    lowered: list[tuple[int, int]] = []
    places: list[Indices] = []
    for lower in free:
        for rung in range(rungs[lower]):
            gains = _change(curves[lower].times, rungs[lower], rung) - taken
            expected = error + _change(curves[lower].errors, rung, rungs[lower]) - won
            useful = (gains > 0) & (expected <= PROMISING**2 * likely) & (raises[:, 0] != lower)
            place = np.flatnonzero(useful)
            saved.append(np.where(expected[place] <= likely, 1.0, UNLIKELY) * gains[place])
            lowered.append((lower, rung))
            places.append(place)
    counts = [len(place) for place in places]
    source, place = (
        np.repeat(np.arange(len(counts)), counts),
        np.concatenate([np.zeros(0, np.int64), *places]),
    )
    for number in np.argsort(-np.concatenate([np.zeros(0), *saved]), kind="stable"):
        choice = list(rungs)
        lower, rung = lowered[source[number]]
        choice[lower] = rung
        upper, higher = raises[place[number]]
        if upper >= 0:
            choice[upper] = int(higher)
        yield tuple(choice)


def _levels(task: Task, curves: Sequence[Curve], rungs: Sequence[int]) -> int:
    return longest_path(task.program, [curve.depths[rung] for curve, rung in zip(curves, rungs, strict=True)])


def _change(values: Sequence[float], before: int, after: int) -> float:
    """Return by how much the value at rung `before` is above that at rung `after`."""
    return values[before] - values[after]


def _error(curves: Sequence[Curve], rungs: Sequence[int]) -> float:
    return sum(curve.errors[rung] for curve, rung in zip(curves, rungs, strict=True))


def _run_work(task: Task) -> int:
    """Return the multiplications of a run on all samples, about, and what its fits are worth."""
    return work(task.program) * len(task.inputs) + RUN_WORK * len(task.activations)


def work(program: TensorProgram) -> int:
    """Return the multiplications of a run of one sample, about."""
    numbers = 0
    for op in program.operations:
        if isinstance(op, Affine):
            numbers += op.matrix.nnz
        elif isinstance(op, Activation):
            numbers += SERIES_WORK * math.prod(op.shape)
    return numbers
