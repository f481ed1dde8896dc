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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import eq

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.noise.range_noise import ROOM
from hetorch.compiler.packing.choose_layouts import Layouts
from hetorch.compiler.search.advice import beyond_limits, remedies
from hetorch.compiler.search.bootstrap_bounds import least_key_bytes, least_memory, may_keep_limits
from hetorch.compiler.search.bootstrap_sentences import bootstraps_sentence
from hetorch.compiler.search.bootstrapped_errors import (
    BootstrappedErrors,
    RefreshedProgram,
    bootstrapped_errors,
    refreshed_program,
)
from hetorch.compiler.search.candidates import KEY_WEIGHTS, Candidate
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.feasibility import BIAS_BITS, HEADROOM_BITS
from hetorch.compiler.search.footprint import PlacedProgram, footprint
from hetorch.compiler.search.keys_of_maps import keys_of_maps
from hetorch.compiler.search.place_bootstraps import (
    BootstrappedProgram,
    LayoutMemo,
    Setting,
    placements,
)
from hetorch.compiler.search.request import COARSEST, Request
from hetorch.compiler.search.select import HUGE_KEYS, MOST_WORTH
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrap_noise import largest_noise
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Affine
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.plan.sizes import evaluation_key_bytes

LESS_NOISE = 0.8
"""Noise of the bootstraps of the next set, relative to that of a set with which the error is too large. Raised, sets
are tried that are as noisy."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """A choice without its errors, which take longer to predict, and its program with bootstraps."""

    choice: Choice
    program: RefreshedProgram


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
        choice = _first_precise(request, trials, inputs)
    except InfeasibleError as error:
        choice, problem = None, error
    if choice is not None:
        return choice
    if problem is not None and not _is_limited(request, trials, memo):
        raise problem
    least = _least_beyond(request, inputs, memo)
    if problem is not None and _is_within(request, least, request.key_limit):
        raise problem
    raise beyond_limits(request, [least])


def _is_limited(request: Request, trials: Sequence[_Trial], memo: LayoutMemo) -> bool:
    """Return whether limits of the options leave out a set of parameters or a trial."""
    if request.options.key_limit is None and request.options.memory_limit is None:
        return False
    within = all(_is_within(request, trial.choice, request.key_limit) for trial in trials)
    return not within or not all(may_keep_limits(request, boot) for boot in _every_set(request, memo))


def _trials_within(request: Request, memo: LayoutMemo) -> list[_Trial]:
    """Return the trials of sets that may keep the limits, with keys that weigh more and more until they are few.

    Sets beyond the limits are placed only to learn whether one of them is the fastest: then keys must weigh more.
    """
    few = _few(request)
    trials: list[_Trial] = []
    beyond: list[_Trial] = []
    unplaced: list[float] = []
    for key_weight in KEY_WEIGHTS:
        trials += _trials(request, key_weight, memo, lambda boot: may_keep_limits(request, boot))
        unplaced.append(key_weight)
        if not trials:
            break
        if not _is_within(request, min(trials, key=_seconds).choice, few):
            continue
        for weight in unplaced:
            beyond += _trials(request, weight, memo, lambda boot: not may_keep_limits(request, boot))
        unplaced = []
        if _is_within(request, min([*trials, *beyond], key=_seconds).choice, few):
            break  # Keys that weigh more make no choice faster.
    return trials


def _first_precise(request: Request, trials: Sequence[_Trial], inputs: Array) -> Choice | None:
    """Return the best of the trials within the limits, or of those with less noise if it is not precise enough; None
    if all are beyond the limits.

    Raises:
        InfeasibleError: those within the limits are not precise enough.
    """
    problem: InfeasibleError | None = None
    while trials:
        best = _best(request, trials, _few(request))
        if best is None:
            break
        try:
            return _with_errors(request, best, inputs)
        except InfeasibleError as error:
            problem = error
        noise = LESS_NOISE * _noise(best)
        trials = [trial for trial in trials if _noise(trial) < noise]
    if problem is not None:
        raise problem
    return None


def _every_set(request: Request, memo: LayoutMemo) -> list[BootstrapSet]:
    """Return the sets that may be tried for some variant."""
    programs = [variant.program for variant in request.variants]
    deepest = min(max(op.depth for op in program.operations) for program in programs)
    return [
        boot
        for setting in Setting.all_of(request.options, request.machine)
        for slots in setting.slot_counts
        for boot in memo.sets_of(slots, deepest, setting)
    ]


def _least_beyond(request: Request, inputs: Array, memo: LayoutMemo) -> Choice:
    """Return the choice with the lowest limit that hetorch.compile keeps.

    Sets are placed in the order of their lower bounds, until the best choice is below those of all others. Keys have
    the heaviest weight, which makes them few.

    Raises:
        InfeasibleError: no choice is precise enough, whatever its keys and memory are.
    """
    boots = _every_set(request, memo)
    bounds = sorted((_excess_of_set(request, boot), at) for at, boot in enumerate(boots))
    trials: list[_Trial] = []
    failed, quiet = set[int](), math.inf
    problem: InfeasibleError | None = None
    for place, (_, at) in enumerate(bounds):
        trials += _trials(request, KEY_WEIGHTS[-1], memo, partial(eq, boots[at]))
        following = bounds[place + 1][0] if place + 1 < len(bounds) else (math.inf, math.inf)
        for trial in sorted(trials, key=lambda trial: _excess(request, trial.choice)):
            if _excess(request, trial.choice) > following:
                break
            if id(trial) in failed or _noise(trial) >= quiet:
                continue
            try:
                choice = _first_precise(_allowing(request, trial.choice), trials, inputs)
            except InfeasibleError as error:
                problem = error
                failed.add(id(trial))
                quiet = min(quiet, LESS_NOISE * _noise(trial))
                continue
            if choice is not None:
                return trial.choice
    if problem is None:
        _trials(request, KEY_WEIGHTS[0], memo, lambda boot: True)  # raises the reason why there are no trials
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


def _few(request: Request) -> int:
    """Return the bytes of keys that are few enough."""
    return HUGE_KEYS if request.options.key_limit is None else request.key_limit


def _best(request: Request, trials: Sequence[_Trial], few: int) -> _Trial | None:
    """Return the fastest trial within the limits whose keys take at most `few` bytes, else the one of the fewest keys
    among those that take at most MOST_WORTH longer than the fastest; None if all are beyond the limits."""
    within = [trial for trial in trials if _is_within(request, trial.choice, few)]
    if within:
        return min(within, key=_seconds)
    within = [trial for trial in trials if _is_within(request, trial.choice, request.key_limit)]
    if not within:
        return None
    most = (1 + MOST_WORTH) * min(map(_seconds, within))
    fast = [trial for trial in within if _seconds(trial) <= most]
    return min(fast, key=lambda trial: trial.choice.key_bytes)


def _noise(trial: _Trial) -> float:
    """Return the noise of a bootstrap relative to its bound."""
    return max((largest_noise(one) / one.bound for one in set(trial.program.planned.values())), default=0.0)


def bootstrap_sentence(choice: Choice, machine: Machine) -> str:
    """Return the number of the bootstraps and their time, for the user."""
    parts = choice.layouts.placements
    count = sum(parts[index + 1].parts for index in choice.bootstraps)
    boot = next(iter(choice.bootstraps.values())).bootstrap_set
    return bootstraps_sentence(boot, count, count * bootstrap_time(boot, machine).total, choice.cost)


def _seconds(trial: _Trial) -> float:
    return trial.choice.cost


def _is_within(request: Request, choice: Choice, key_limit: int) -> bool:
    memory = request.memory_limit
    return choice.key_bytes <= key_limit and (memory is None or choice.footprint.total <= memory)


def _trials(
    request: Request, key_weight: float, memo: LayoutMemo, wanted: Callable[[BootstrapSet], bool]
) -> list[_Trial]:
    """Return a trial for each variant and each set of parameters that is wanted."""
    settings = Setting.all_of(request.options, request.machine, key_weight)
    return [
        _trial(request, number, settings[0], placed)
        for number, variant in enumerate(request.variants)
        for placed in placements(variant.program, settings, memo, variant.sizes, wanted)
    ]


def _trial(request: Request, number: int, setting: Setting, placed: BootstrappedProgram) -> _Trial:
    """Return the trial of variant `number`; the settings of all rings have the same costs and batch."""
    variant, boot = request.variants[number], placed.bootstrap_set
    refreshed, parameters = refreshed_program(placed, variant.sizes), boot.parameters
    parts = [placement.parts for placement in refreshed.placements]
    keys = keys_of_maps(
        *(refreshed.program, refreshed.levels, refreshed.lowered),
        *(parameters.ring_degree, setting.batch, parameters.slot_generator),
        parameters=parameters,
    ).merged(parameters, bootstrap_keys(boot))
    memory = footprint(
        PlacedProgram(
            *(refreshed.program, refreshed.lowered, refreshed.levels, parts, setting.batch, False),
            refreshed.planned,
        ),
        *(parameters, keys, setting.model(parameters), placed.seconds, request.memory_limit),
        transforms_on_use=request.backend.plaintext_bytes is None,
    )
    size = parameters.digit_size
    choice = Choice(
        candidate=Candidate(
            number, setting.key_weight, parameters.ring_degree, setting.batch, 0.0, size, size, 0
        ),
        variant=replace(
            variant, program=refreshed.program, levels=refreshed.levels, sizes=refreshed.sizes, kept=()
        ),
        parameters=parameters,
        layouts=Layouts(refreshed.placements, placed.layouts.cost),
        lowered=refreshed.lowered,
        scales=refreshed.scales,
        shares=(),
        error=math.inf,
        cost=placed.seconds + sum(memory.coefficients.values()),
        keys=keys,
        key_bytes=evaluation_key_bytes(parameters, keys),
        footprint=memory,
        encrypted=False,
        bootstraps=refreshed.planned,
    )
    return _Trial(choice, refreshed)


def _with_errors(request: Request, trial: _Trial, inputs: Array) -> Choice:
    """Return the choice with its errors.

    Raises:
        InfeasibleError: outputs do not fit the modulus that is left, noise leaves the ranges of polynomials, or the
            error is above the precision that the user asked for.
    """
    choice, errors = trial.choice, bootstrapped_errors(trial.program, inputs)
    problem = _problem(request, trial.program, errors)
    if problem:
        ways = remedies(request, choice.candidate.variant)
        raise InfeasibleError(f"with bootstraps, {problem}; what helps: {'; '.join(ways)}")
    return replace(
        choice,
        variant=replace(choice.variant, sensitivity=errors.sensitivity),
        shares=errors.shares,
        error=errors.error,
    )


def _problem(request: Request, refreshed: RefreshedProgram, errors: BootstrappedErrors) -> str:
    """Return the requirement that the errors or the outputs miss; empty if they meet all."""
    options, error = request.options, errors.error / request.output_range
    asked = options.precision is not None or options.shared_queries is not None
    allowed = request.precision if asked else COARSEST
    if errors.range_noise > ROOM:
        return f"noise of {errors.range_noise:.2g} leaves the ranges of the polynomials, which have room for {ROOM:.2g}"
    if error > allowed:
        return (
            f"encryption changes the outputs by up to {error:.2g} of their range, and {allowed:.2g} are allowed by "
            "precision="
        )
    needed, room = _output_bits(refreshed)
    return f"the outputs need {needed:.0f} bits, and {room:.0f} are left" if needed > room else ""


def _output_bits(refreshed: RefreshedProgram) -> tuple[float, float]:
    """Return the bits that the outputs may need, and those of the primes at their level."""
    program, output = refreshed.program, refreshed.program.output
    chain = refreshed.bootstrap_set.parameters.modulus_chain[: refreshed.levels[output] + 1]
    largest = refreshed.sizes[output] * 2.0**HEADROOM_BITS
    op = program.operations[output - 1]
    if isinstance(op, Affine):
        largest = max(largest, float(np.max(np.abs(op.bias))) * 2.0**BIAS_BITS)
    needed = math.log2(max(refreshed.scales[output] * largest, 1.0))
    return needed, sum(math.log2(prime) for prime in chain)
