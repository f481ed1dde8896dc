"""The plan of a network that one ring has levels for, or that is bootstrapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.compiler.activations.most_levels import levels_that_always_fit, levels_that_fit
from hetorch.compiler.bootstraps.more_levels import NetworkOf
from hetorch.compiler.bootstraps.refusal import bootstrap_refusal
from hetorch.compiler.bootstraps.sine_shortfall import sine_shortfall
from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.options import CompileOptions
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

PlanOf = Callable[[Approximated, bool], Plan]
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

    def of(self, networks: Sequence[Approximated]) -> tuple[Plan, Approximated]:
        """Return the plan, and the network of polynomials that it runs, of those from nearest_networks.

        Raises:
            InfeasibleError: no network is near enough to the model, or none of them has a plan.
        """
        refused = ""
        for deeper in networks[:-1]:
            try:
                return self._plan(deeper, bootstrapped=True), deeper
            except InfeasibleError as error:
                refused = f"; with bootstraps: {error}"
        try:
            return self._of_last(networks[-1])
        except InfeasibleError as error:
            if not refused:
                raise
            raise InfeasibleError(f"{error}{refused}") from error

    def _of_last(self, network: Approximated) -> tuple[Plan, Approximated]:
        """Return the plan of a network that one ring may have the levels for."""
        levels = levels_of(self.program, network)
        if levels > levels_that_fit(self.options) and not bootstrap_refusal(self.options):
            return self._plan(network, bootstrapped=True), network
        try:
            plan = self._plan(network)
        except InfeasibleError as error:
            return self._instead(network, levels, error)
        if may_choose_bootstraps(self.options, levels) and self._is_heavy(plan, levels):
            with suppress(InfeasibleError):
                bootstrapped = self._plan(network, bootstrapped=True)
                if not self._misses_more(bootstrapped, network):
                    plan = lighter(plan, bootstrapped)
        return plan, network

    def _plan(self, network: Approximated, *, bootstrapped: bool = False) -> Plan:
        problem = network.refusal or (network.shortfall if self.options.strict else "")
        if problem:
            raise InfeasibleError(problem)
        return self.plan_of(network, bootstrapped)

    def _misses_more(self, bootstrapped: Plan, network: Approximated) -> bool:
        """Return whether the plan misses a goal that its network meets, because of its bootstraps."""
        report = bootstrapped.report
        goal = Goal.of(self.options, report.calibration_samples)
        missed = sine_shortfall(network, report.approximation_error, report.agreement, goal)
        return bool(missed) and not network.shortfall

    def _instead(
        self, network: Approximated, levels: int, error: InfeasibleError
    ) -> tuple[Plan, Approximated]:
        """Return a plan of fewer levels or with bootstraps for a network that has none in one ring, or raise the
        error."""
        # What the user fixed stays.
        options = self.options
        fixed = options.strict or options.key_limit is not None or options.memory_limit is not None
        nearest = None if fixed else self._shallower(network, levels)
        worse = nearest is None or nearest[1].shortfall
        if worse and not bootstrap_refusal(options) and levels > levels_that_always_fit(options):
            with suppress(InfeasibleError):
                nearest = self._plan(network, bootstrapped=True), network
        if nearest is None:
            raise error
        return nearest

    def _shallower(self, network: Approximated, levels: int) -> tuple[Plan, Approximated] | None:
        """Return a plan of fewer than `levels` levels, and its network; None if there is none."""
        for share in FEWER:
            try:
                nearest = self.network_of(max(1, int(share * levels)), "")
                if nearest.refusal:
                    break  # With fewer levels yet, outputs are farther still from the model's.
            except InfeasibleError:
                break
            if nearest.degrees == network.degrees:
                break  # The degrees are the user's, or the lowest.
            try:
                return self._plan(nearest), nearest
            except InfeasibleError:
                continue
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


def lighter(ring: Plan, bootstrapped: Plan) -> Plan:
    """Return the plan with bootstraps if it is clearly faster, or has less memory and no huge keys where the one in a
    ring is huge, and takes little longer."""
    keys, ring_keys = map(_key_bytes, (bootstrapped, ring))
    seconds, ring_seconds = (plan.report.predicted_seconds for plan in (bootstrapped, ring))
    most = ring_seconds / (1 + MOST_WORTH)
    if _is_huge(ring) and bootstrapped.report.memory_bytes <= ring.report.memory_bytes:
        most = ring_seconds * (1 + MOST_WORTH)
    return bootstrapped if seconds <= most and keys <= max(ring_keys, HUGE_KEYS) else ring
