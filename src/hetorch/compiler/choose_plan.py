"""The plan of a network that one ring has levels for, or that is bootstrapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.compiler.activations.most_levels import levels_that_always_fit, levels_that_fit
from hetorch.compiler.bootstraps.more_levels import NetworkOf
from hetorch.compiler.bootstraps.refusal import bootstrap_refusal
from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.search.advice import OverLimitError
from hetorch.compiler.search.place_bootstraps import USUAL_USER_LEVELS, Setting
from hetorch.compiler.search.select import HUGE_KEYS, MOST_WORTH
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import TensorProgram
from hetorch.plan import Plan
from hetorch.plan.sizes import evaluation_key_bytes

FEWER = (0.9, 0.8, 0.65)
"""Shares of the levels with which activations are approximated anew, one after the other, until there are parameters.
More of them find an answer for more networks and take longer where there is none."""
MUCH_MEMORY = 8e9
"""Bytes of a run in one ring from which on bootstraps are considered for less. Raised, fewer networks are compiled
twice, and more of them need a large machine."""
SLOW = 1.5
"""Time of a run in one ring, in multiples of that of the bootstraps alone that its levels would take, from which on
bootstraps are considered. Raised, fewer networks are compiled twice, and some run longer than they need."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A plan, and sentences on the requirements that its outputs miss: because of the polynomials, and because of the
    bootstraps."""

    plan: Plan
    missed: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, *missed: str) -> Compiled:
        """Return a plan with these sentences, of which empty ones are left out."""
        return cls(plan, tuple(filter(None, missed)))


PlanOf = Callable[[Approximated, bool], Compiled]
"""Compiles a network, with bootstraps if the second argument is true; InfeasibleError if there is no plan."""


def levels_of(program: TensorProgram, network: Approximated) -> int:
    """Return the levels of a network of polynomials, of which `program` has the activations; an estimate."""
    return longest_path(program, [fit.depth for fit in network.fits])


def may_choose_bootstraps(options: CompileOptions, levels: int) -> bool:
    """Return whether a network of so many levels is compiled with bootstraps too if its plan in one ring is heavy.

    Up to 2 * USUAL_USER_LEVELS levels take one bootstrap at most; their plan in one ring is kept, whatever it takes.
    """
    return levels > 2 * USUAL_USER_LEVELS and not bootstrap_refusal(options)


@dataclass(frozen=True, slots=True, eq=False)
class PlanChoice:
    """The choice between plans of a network with activations, `program`, under the options of hetorch.compile."""

    program: TensorProgram
    options: CompileOptions
    machine: Machine
    network_of: NetworkOf
    plan_of: PlanOf

    def of(self, networks: Sequence[Approximated]) -> Compiled:
        """Return the plan of one of the networks of polynomials from nearest_networks.

        Raises:
            InfeasibleError: no network is near enough to the model, or none of them has a plan.
        """
        problems: list[InfeasibleError] = []
        for deeper in networks[:-1]:
            if not self._refusal(deeper):
                try:
                    return self.plan_of(deeper, True)
                except InfeasibleError as error:
                    problems.append(error)
        network = networks[-1]
        refusal = self._refusal(network)
        if refusal:
            raise combined([InfeasibleError(refusal), *problems])
        levels = levels_of(self.program, network)
        if levels > levels_that_fit(self.options) and not bootstrap_refusal(self.options):
            try:
                return self.plan_of(network, True)
            except InfeasibleError as error:
                raise combined([*problems, error]) from error
        try:
            ring = self.plan_of(network, False)
        except InfeasibleError as error:
            return self._instead(network, levels, [error, *problems])
        if may_choose_bootstraps(self.options, levels) and self._is_heavy(ring.plan, levels):
            with suppress(InfeasibleError):
                bootstrapped = self.plan_of(network, True)
                meets_as_much = bool(ring.missed) or not bootstrapped.missed
                if meets_as_much and is_lighter(bootstrapped.plan, ring.plan):
                    return bootstrapped
        return ring

    def _refusal(self, network: Approximated) -> str:
        """Return why the network is not compiled at all; empty if it is."""
        return network.refusal or (network.shortfall if self.options.strict else "")

    def _instead(self, network: Approximated, levels: int, problems: list[InfeasibleError]) -> Compiled:
        """Return a plan of fewer levels or with bootstraps for a network that has none in one ring, or raise the
        error that combines the problems; the first is that of the ring."""
        # What the user fixed stays.
        options = self.options
        fixed = options.strict or options.key_limit is not None or options.memory_limit is not None
        nearest = None if fixed else self._shallower(network, levels)
        worse = nearest is None or nearest.missed
        if worse and not bootstrap_refusal(options) and levels > levels_that_always_fit(options):
            try:
                nearest = self.plan_of(network, True)
            except InfeasibleError as error:
                problems = [*problems, error]
        if nearest is None:
            raise combined(problems) from problems[0]
        return nearest

    def _shallower(self, network: Approximated, levels: int) -> Compiled | None:
        """Return a plan of fewer than `levels` levels; None if there is none."""
        for share in FEWER:
            try:
                nearest = self.network_of(max(1, int(share * levels)), "")
                if nearest.refusal:
                    break  # With fewer levels yet, outputs are farther still from the model's.
            except InfeasibleError:
                break
            if nearest.degrees == network.degrees:
                break  # The degrees are the user's, or the lowest.
            with suppress(InfeasibleError):
                return self.plan_of(nearest, False)
        return None

    def _is_heavy(self, plan: Plan, levels: int) -> bool:
        """Return whether bootstraps may make a plan in one ring faster, or its keys or memory smaller."""
        if _is_huge(plan):
            return True
        sets = (
            setting.usual_set(slots)
            for setting in Setting.all_of(self.options, self.machine)
            for slots in setting.slot_counts
        )
        fastest = min((bootstrap_time(boot, self.machine).total for boot in sets), default=math.inf)
        fewest = math.ceil(levels / USUAL_USER_LEVELS) - 1  # The first levels are those of fresh ciphertexts.
        return plan.report.predicted_seconds > SLOW * fewest * fastest


def _is_huge(plan: Plan) -> bool:
    return _key_bytes(plan) > HUGE_KEYS or plan.report.memory_bytes > MUCH_MEMORY


def _key_bytes(plan: Plan) -> int:
    return evaluation_key_bytes(plan.parameters, plan.key_spec)


def combined(problems: Sequence[InfeasibleError]) -> InfeasibleError:
    """Return one error for the problems of all plans that were tried.

    Of those beyond the same limits, only the lowest limit is told in one ring, and the lowest with bootstraps; the
    lowest of all is the limit that is advised.
    """
    over = sorted((one for one in problems if isinstance(one, OverLimitError)), key=lambda one: one.needed)
    best: dict[tuple[str, ...], OverLimitError] = {}
    told: dict[object, InfeasibleError] = {}
    for one in over:
        best.setdefault(one.limits, one)
        told.setdefault((one.limits, one.bootstrapped), one)
    for problem in problems:
        if not isinstance(problem, OverLimitError):
            told.setdefault(str(problem), problem)
    if len(told) == 1:
        return next(iter(told.values()))
    sentences = [
        f"{'' if one.bootstrapped else 'in one ring, '}{one.needs}"
        if isinstance(one, OverLimitError)
        else str(one)
        for one in told.values()
    ]
    limits = [one.ways[0] for one in best.values()]
    ways = dict.fromkeys([*limits, *(way for one in over for way in one.ways[1:])])
    return InfeasibleError("; ".join([*sentences, *([f"what helps: {'; '.join(ways)}"] if ways else [])]))


def is_lighter(bootstrapped: Plan, ring: Plan) -> bool:
    """Return whether a plan with bootstraps is better than one in a ring: clearly faster, or of less memory and without
    huge keys where the one in a ring is huge, and little slower."""
    keys, ring_keys = map(_key_bytes, (bootstrapped, ring))
    seconds, ring_seconds = (plan.report.predicted_seconds for plan in (bootstrapped, ring))
    most = ring_seconds / (1 + MOST_WORTH)
    if _is_huge(ring) and bootstrapped.report.memory_bytes <= ring.report.memory_bytes:
        most = ring_seconds * (1 + MOST_WORTH)
    return seconds <= most and keys <= max(ring_keys, HUGE_KEYS)
