"""Trials: choices of bootstraps, parameters, levels and layouts without their errors, which take longer to predict."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(slots=True, eq=False)
class Trials:
    """The trials of a request. Each is made once, when it is asked for."""

    request: Request
    _memo: LayoutMemo = field(default_factory=LayoutMemo)
    _made: dict[float, dict[BootstrapSet, list[Trial]]] = field(default_factory=dict)

    def sets(self) -> list[BootstrapSet]:
        """Return the sets of parameters that may be tried for some variant."""
        programs = [variant.program for variant in self.request.variants]
        deepest = min(max(op.depth for op in program.operations) for program in programs)
        return [
            boot
            for setting in Setting.all_of(self.request.options, self.request.machine)
            for slots in setting.slot_counts
            for boot in self._memo.sets_of(slots, deepest, setting)
        ]

    def of(self, key_weight: float, boots: Collection[BootstrapSet]) -> list[Trial]:
        """Return a trial for each variant and each of some sets that it can be placed with.

        Raises:
            InfeasibleError: as for placements, if these are all sets and there is no trial.
        """
        made = self._made.setdefault(key_weight, {})
        missing = set(boots) - made.keys()
        settings = Setting.all_of(self.request.options, self.request.machine, key_weight)
        new = [
            _trial(self.request, number, settings[0], placed)
            for number, variant in enumerate(self.request.variants if missing else ())
            for placed in placements(
                variant.program, settings, self._memo, variant.sizes, missing.__contains__
            )
        ]
        for trial in new:
            made.setdefault(trial.program.bootstrap_set, []).append(trial)
        return [trial for boot in boots for trial in made.get(boot, ())]


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
