"""The least limits on keys and memory with which there is a choice of bootstraps, where the options' are too low."""

from __future__ import annotations

import math
from dataclasses import replace

from hetorch.compiler.search.bootstrap_bounds import least_key_bytes, least_memory
from hetorch.compiler.search.candidates import KEY_WEIGHTS
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.precise_trial import LESS_NOISE, Array, first_precise
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.trials import Trial, Trials
from hetorch.errors import InfeasibleError
from hetorch.params.bootstrap_set import BootstrapSet


def least_beyond(trials: Trials, inputs: Array) -> Choice:
    """Return the choice with the lowest limit that hetorch.compile keeps.

    Sets are placed in the order of their lower bounds, until the best choice is below those of all others. Keys have
    the heaviest weight, which makes them few.

    Raises:
        InfeasibleError: no choice is precise enough, whatever its keys and memory are.
    """
    request, boots = trials.request, trials.sets()
    bounds = sorted((_excess_of_set(request, boot), at) for at, boot in enumerate(boots))
    placed: list[Trial] = []
    failed, quiet = set[int](), math.inf
    problem: InfeasibleError | None = None
    for place, (_, at) in enumerate(bounds):
        placed += trials.of(KEY_WEIGHTS[-1], [boots[at]])
        following = bounds[place + 1][0] if place + 1 < len(bounds) else (math.inf, math.inf)
        for trial in sorted(placed, key=lambda trial: _excess(request, trial.choice)):
            if _excess(request, trial.choice) > following:
                break
            if id(trial) in failed or trial.noise >= quiet:
                continue
            try:
                choice = first_precise(_allowing(request, trial.choice), placed, inputs)
            except InfeasibleError as error:
                problem = error
                failed.add(id(trial))
                quiet = min(quiet, LESS_NOISE * trial.noise)
                continue
            if choice is not None:
                return trial.choice
    if problem is None:
        trials.of(KEY_WEIGHTS[0], boots)  # raises the reason why there are no trials
    assert problem is not None
    raise problem


def _excess(request: Request, choice: Choice) -> tuple[float, float]:
    return _order(request, choice.key_bytes, choice.footprint.total)


def _excess_of_set(request: Request, boot: BootstrapSet) -> tuple[float, float]:
    depth = min(variant.levels[0] for variant in request.variants)
    return _order(request, least_key_bytes(boot), least_memory(boot, depth))


def _order(request: Request, keys: int, memory: int) -> tuple[float, float]:
    """Return bytes by which choices beyond the limits are ordered, those within a limit counting as at it: of memory
    first if the options limit it, else of keys."""
    most = request.memory_limit
    held = 0.0 if most is None else float(max(memory, most))
    sent = float(max(keys, request.key_limit))
    return (sent, held) if request.options.key_limit is not None else (held, sent)


def _allowing(request: Request, choice: Choice) -> Request:
    """Return the request with limits that the choice keeps."""
    limits: dict[str, int] = {}
    if choice.key_bytes > request.key_limit:
        limits["key_limit"] = choice.key_bytes
    if request.memory_limit is not None and choice.footprint.total > request.memory_limit:
        limits["memory_limit"] = choice.footprint.total
    return replace(request, options=request.options.model_copy(update=limits))
