"""Stage: choose bootstraps, their parameters, levels and layouts for a network that no ring has levels for.

*Assumes* variants of one program (hetorch.compiler.search.variants), and options that allow bootstraps.
*Ensures* a choice whose program has an operation for each bootstrap: the one of the least predicted time among the
variants and sets of parameters, within the limits on keys and memory and, if the options do not limit the keys, with
keys below HUGE_KEYS; if no choice has such, the fewest keys of the choices that take at most MOST_WORTH longer than the
fastest.

Scales have the size of the primes between two bootstraps, so the precision is what it is: a choice that misses the one
that the user asked for is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from hetorch.compiler.search.advice import beyond_limits
from hetorch.compiler.search.bootstrap_bounds import may_keep_limits
from hetorch.compiler.search.candidates import KEY_WEIGHTS
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.least_limits import every_set, least_beyond
from hetorch.compiler.search.place_bootstraps import LayoutMemo
from hetorch.compiler.search.precise_trial import Array, first_precise
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.trials import Trial, few_keys, is_within, trials_of
from hetorch.errors import InfeasibleError


def bootstrapped_choice(request: Request, inputs: Array) -> Choice:
    """Return the choice for the calibration `inputs`, (batch, *shape).

    Raises:
        InfeasibleError: an operation takes more levels than any bootstrap leaves, there are no layouts, or all choices
            miss the precision or the limits.
    """
    memo = LayoutMemo()
    trials = _trials_within(request, memo)
    problem: InfeasibleError | None = None
    try:
        choice = first_precise(request, trials, inputs)
    except InfeasibleError as error:
        choice, problem = None, error
    if choice is not None:
        return choice
    if problem is not None and not _is_limited(request, trials, memo):
        raise problem
    least = least_beyond(request, inputs, memo)
    if problem is not None and is_within(request, least, request.key_limit):
        raise problem
    raise beyond_limits(request, [least])


def _is_limited(request: Request, trials: Sequence[Trial], memo: LayoutMemo) -> bool:
    """Return whether limits of the options leave out a set of parameters or a trial."""
    if request.options.key_limit is None and request.options.memory_limit is None:
        return False
    within = all(is_within(request, trial.choice, request.key_limit) for trial in trials)
    return not within or not all(may_keep_limits(request, boot) for boot in every_set(request, memo))


def _trials_within(request: Request, memo: LayoutMemo) -> list[Trial]:
    """Return the trials of sets that may keep the limits, with keys that weigh more and more until they are few.

    Sets beyond the limits are placed only to learn whether one of them is the fastest: then keys must weigh more.
    """
    few = few_keys(request)
    trials: list[Trial] = []
    beyond: list[Trial] = []
    unplaced: list[float] = []
    for key_weight in KEY_WEIGHTS:
        trials += trials_of(request, key_weight, memo, lambda boot: may_keep_limits(request, boot))
        unplaced.append(key_weight)
        if not trials:
            break
        if not is_within(request, min(trials, key=attrgetter("seconds")).choice, few):
            continue
        for weight in unplaced:
            beyond += trials_of(request, weight, memo, lambda boot: not may_keep_limits(request, boot))
        unplaced = []
        if is_within(request, min([*trials, *beyond], key=attrgetter("seconds")).choice, few):
            break  # Keys that weigh more make no choice faster.
    return trials
