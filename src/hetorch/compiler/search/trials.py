"""Trials: choices of bootstraps, parameters, levels and layouts without their errors, which take longer to predict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from hetorch.compiler.packing.choose_layouts import Layouts
from hetorch.compiler.search.bootstrapped_errors import RefreshedProgram, refreshed_program
from hetorch.compiler.search.candidates import Candidate
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.footprint import PlacedProgram, footprint
from hetorch.compiler.search.keys_of_maps import keys_of_maps
from hetorch.compiler.search.place_bootstraps import (
    BootstrappedProgram,
    LayoutMemo,
    Setting,
    placements,
)
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.select import HUGE_KEYS, MOST_WORTH
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrap_noise import largest_noise
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.plan.sizes import evaluation_key_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A choice without its errors, and its program with bootstraps."""

    choice: Choice
    program: RefreshedProgram

    @property
    def seconds(self) -> float:
        """The predicted time of a run."""
        return self.choice.cost

    @property
    def noise(self) -> float:
        """The noise of the noisiest bootstrap relative to its bound."""
        return max(
            (largest_noise(one) / one.bound for one in set(self.program.planned.values())), default=0.0
        )


def trials_of(
    request: Request, key_weight: float, memo: LayoutMemo, wanted: Callable[[BootstrapSet], bool]
) -> list[Trial]:
    """Return a trial for each variant and each set of parameters that is wanted."""
    settings = Setting.all_of(request.options, request.machine, key_weight)
    return [
        _trial(request, number, settings[0], placed)
        for number, variant in enumerate(request.variants)
        for placed in placements(variant.program, settings, memo, variant.sizes, wanted)
    ]


def _trial(request: Request, number: int, setting: Setting, placed: BootstrappedProgram) -> Trial:
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
    return Trial(choice, refreshed)


def best_trial(request: Request, trials: Sequence[Trial], few: int) -> Trial | None:
    """Return the fastest trial within the limits whose keys take at most `few` bytes, else the one of the fewest keys
    among those that take at most MOST_WORTH longer than the fastest; None if all are beyond the limits."""
    within = [trial for trial in trials if is_within(request, trial.choice, few)]
    if within:
        return min(within, key=attrgetter("seconds"))
    within = [trial for trial in trials if is_within(request, trial.choice, request.key_limit)]
    if not within:
        return None
    most = (1 + MOST_WORTH) * min(trial.seconds for trial in within)
    fast = [trial for trial in within if trial.seconds <= most]
    return min(fast, key=lambda trial: trial.choice.key_bytes)


def few_keys(request: Request) -> int:
    """Return the bytes of keys that are few enough."""
    return HUGE_KEYS if request.options.key_limit is None else request.key_limit


def is_within(request: Request, choice: Choice, key_limit: int) -> bool:
    """Return whether a choice keeps this limit on the keys and the request's on memory."""
    memory = request.memory_limit
    return choice.key_bytes <= key_limit and (memory is None or choice.footprint.total <= memory)
