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
from hetorch.compiler.search.least_limits import least_beyond
from hetorch.compiler.search.precise_trial import Array, first_precise
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.trials import Trial, Trials, few_keys, is_within
from hetorch.errors import InfeasibleError


def bootstrapped_choice(request: Request, inputs: Array) -> Choice:
    """Return the choice for the calibration `inputs`, (batch, *shape).

    Raises:
        InfeasibleError: an operation takes more levels than any bootstrap leaves, there are no layouts, or all choices
            miss the precision or the limits.
    """
    trials = Trials(request)
    tried = _trials_within(trials)
    problem: InfeasibleError | None = None
    try:
        choice = first_precise(request, tried, inputs)
    except InfeasibleError as error:
        choice, problem = None, error
    if choice is not None:
        return choice
    if problem is not None and not _is_limited(trials, tried):
        raise problem
    least = least_beyond(trials, inputs)
    if problem is not None and is_within(request, least, request.key_limit):
        raise problem
    raise beyond_limits(request, [least])


def _is_limited(trials: Trials, tried: Sequence[Trial]) -> bool:
    """Return whether limits of the options leave out a set of parameters or a trial."""
    request = trials.request
    if request.options.key_limit is None and request.options.memory_limit is None:
        return False
    within = all(is_within(request, trial.choice, request.key_limit) for trial in tried)
    return not within or not all(may_keep_limits(request, boot) for boot in trials.sets())


def _trials_within(trials: Trials) -> list[Trial]:
    """Return the trials of sets that may keep the limits, with keys that weigh more and more until they are few; none
    if neither keys that weigh least nor keys that weigh most keep the limits.

    Sets beyond the limits are placed only to learn whether one of them is the fastest: then keys must weigh more.
    """
    request, sets = trials.request, trials.sets()
    possible = [boot for boot in sets if may_keep_limits(request, boot)]
    others = [boot for boot in sets if not may_keep_limits(request, boot)]
    extremes = (
        trial for weight in KEY_WEIGHTS[:: len(KEY_WEIGHTS) - 1] for trial in trials.of(weight, possible)
    )
    if not any(is_within(request, trial.choice, request.key_limit) for trial in extremes):
        return []
    tried: list[Trial] = []
    for number, key_weight in enumerate(KEY_WEIGHTS):
        tried += trials.of(key_weight, possible)
        if not _fastest_has_few_keys(request, tried):
            continue
        beyond = [trial for weight in KEY_WEIGHTS[: number + 1] for trial in trials.of(weight, others)]
        if _fastest_has_few_keys(request, [*tried, *beyond]):
            break  # Keys that weigh more make no choice faster.
    return tried


def _fastest_has_few_keys(request: Request, trials: Sequence[Trial]) -> bool:
    fastest = min(trials, key=attrgetter("seconds"))
    return is_within(request, fastest.choice, few_keys(request))
