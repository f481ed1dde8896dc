"""The choice between a plan in one ring and one with bootstraps."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler import choose_plan
from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.choose_plan import (
    MUCH_MEMORY,
    Compiled,
    PlanChoice,
    combined,
    is_lighter,
    may_choose_bootstraps,
)
from hetorch.compiler.costs.machine import DEFAULT
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.search import place_bootstraps
from hetorch.compiler.search.advice import OverLimitError
from hetorch.compiler.search.bootstrap_bounds import least_key_bytes, least_memory
from hetorch.compiler.search.candidates import KEY_WEIGHTS
from hetorch.compiler.search.place_bootstraps import Setting, bootstrap_sets
from hetorch.compiler.search.select import MOST_WORTH
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Activation, TensorProgram
from hetorch.params import Security
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.plan import Plan

pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")


def model() -> nn.Module:
    """Make a network of 46 levels, which a ring of 2^16 just has."""
    torch.manual_seed(1)
    maps = [nn.Linear(8, 8) for _ in range(9)]
    with torch.no_grad():
        for layer in maps:
            layer.weight *= 2.0  # Without it, values shrink until each ReLU is a line.
    layers = [layer for linear in maps for layer in (linear, nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(8, 1)).eval()


def compiled(degree: int = 15, **options: Any) -> Plan:
    samples = torch.rand(200, 8, generator=torch.Generator().manual_seed(2)) * 2 - 1
    return hetorch.compile(
        model(), samples, activation_degree=degree, security="none", ring_degree=1 << 11, **options
    )


@functools.cache
def plans() -> tuple[Plan, Plan]:
    """Return a plan in one ring, and one with bootstraps."""
    ring, bootstrapped = compiled(), compiled(63)
    assert bootstrap_rows(bootstrapped) > 0 == bootstrap_rows(ring)
    return ring, bootstrapped


def bootstrap_rows(plan: Plan) -> int:
    return sum(row.kind == "bootstrap" for row in plan.report.layers)


def with_costs(plan: Plan, seconds: float, memory: float) -> Plan:
    return replace(plan, report=replace(plan.report, predicted_seconds=seconds, memory_bytes=int(memory)))


@pytest.mark.parametrize(
    ("seconds", "ring_memory", "memory", "wins"),
    [
        (0.99 / (1 + MOST_WORTH), 1e9, 2e9, True),  # clearly faster, below all that is huge
        (0.95, 1e9, 0.5e9, False),  # a little faster, and nothing is huge
        (1.1, 2 * MUCH_MEMORY, 4e9, True),  # a little slower, in place of huge memory
        (1.3, 2 * MUCH_MEMORY, 4e9, False),  # much slower
        (1.1, 2 * MUCH_MEMORY, 3 * MUCH_MEMORY, False),  # slower and larger
    ],
)
def test_bootstraps_win_if_they_are_faster_or_lighter(
    seconds: float, ring_memory: float, memory: float, wins: bool
) -> None:
    ring, bootstrapped = plans()
    first, second = with_costs(ring, 1.0, ring_memory), with_costs(bootstrapped, seconds, memory)
    assert is_lighter(second, first) is wins


def test_a_heavy_plan_is_compiled_with_bootstraps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap_rows(compiled()) == 0
    told: list[Plan] = []

    def told_of(bootstrapped: Plan, ring: Plan) -> bool:
        told.extend((ring, bootstrapped))
        return is_lighter(bootstrapped, ring)

    monkeypatch.setattr(choose_plan, "is_lighter", told_of)
    compiled()
    assert not told
    monkeypatch.setattr(choose_plan, "MUCH_MEMORY", 1)
    monkeypatch.setattr(choose_plan, "MOST_WORTH", 100.0)
    chosen = compiled()
    assert [bootstrap_rows(plan) > 0 for plan in told] == [False, True]
    smaller = told[1].report.memory_bytes <= told[0].report.memory_bytes
    assert (bootstrap_rows(chosen) > 0) == smaller


@pytest.mark.parametrize(
    ("levels", "options", "compared"),
    [
        (17, {}, True),  # two bootstraps
        (16, {}, False),
        (17, {"bootstrap": "never"}, False),
        (17, {"security": "192"}, False),
    ],
)
def test_a_heavy_plan_of_few_levels_or_without_bootstraps_is_kept(
    levels: int, options: dict[str, Any], compared: bool
) -> None:
    program = TensorProgram((4,), (Activation(0, "relu", (), (4,), "relu"),), 1, (4,))
    fit = Fit("relu", "relu", 7, levels, "chebyshev", -1.0, 1.0, 0.01, 0.0, 1.5)
    network = Approximated(program, 0.01, 1.0, (7,), (fit,))
    ring, bootstrapped = plans()
    heavy = with_costs(ring, 1.0, 2 * MUCH_MEMORY)
    asked: list[bool] = []

    def network_of(levels: int | None, limited_by: str) -> Approximated:
        raise AssertionError("the network has a plan")

    def plan_of(network: Approximated, with_bootstraps: bool) -> Compiled:
        asked.append(with_bootstraps)
        return Compiled.of(bootstrapped if with_bootstraps else heavy)

    chosen = CompileOptions(**options)
    PlanChoice(program, chosen, DEFAULT, network_of, plan_of).of((network,))
    assert asked == ([False, True] if compared else [False])
    assert may_choose_bootstraps(chosen, levels) is compared


@pytest.mark.parametrize("degree", [15, 63])
@pytest.mark.parametrize("name", ["key_limit", "memory_limit"])
def test_the_limit_that_a_refusal_names_is_kept(name: str, degree: int) -> None:
    """One ring has the levels of degree 15 too; 63 takes bootstraps."""
    with pytest.raises(InfeasibleError, match=rf"what helps: {name}=\d+;") as refused:
        compiled(degree, **{name: 1000})
    limit = int(re.findall(rf"{name}=(\d+)", str(refused.value))[0])
    plan = compiled(degree, **{name: limit})
    taken = plan.public().evaluation_key_bytes if name == "key_limit" else plan.report.memory_bytes
    assert 1000 < taken <= limit


Placed = list[tuple[BootstrapSet, float, int]]


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> Placed:
    """The sets that are placed, each with the weight of keys and the program."""
    noted: Placed = []
    place = place_bootstraps._placed

    def note(variant: Any, boot: BootstrapSet, setting: Setting, memo: Any) -> Any:
        noted.append((boot, setting.key_weight, id(variant.program)))
        return place(variant, boot, setting, memo)

    monkeypatch.setattr(place_bootstraps, "_placed", note)
    return noted


def test_a_refusal_places_few_sets(placed: Placed) -> None:
    """Sets whose own keys are beyond the best choice are not placed; a plan without a limit places all."""
    compiled(63)
    every = {least_key_bytes(boot) for boot, _, _ in placed}
    placed.clear()
    with pytest.raises(InfeasibleError) as refused:
        compiled(63, key_limit=1000)
    needed = int(re.findall(r"key_limit=(\d+)", str(refused.value))[0])
    assert max(least_key_bytes(boot) for boot, _, _ in placed) <= needed < max(every)


@pytest.mark.parametrize("name", ["key_limit", "memory_limit"])
def test_a_limit_that_is_just_missed_places_each_set_once(placed: Placed, name: str) -> None:
    """Once for each of the two weights of keys; those between are not tried where neither keeps the limit."""
    with pytest.raises(InfeasibleError) as refused:
        compiled(63, **{name: 1000})
    needed = int(re.findall(rf"{name}=(\d+)", str(refused.value))[0])
    placed.clear()
    with pytest.raises(InfeasibleError, match=f"{name}={needed};"):
        compiled(63, **{name: needed - 1})
    assert len(placed) == len(set(placed))
    assert {weight for _, weight, _ in placed} == {KEY_WEIGHTS[0], KEY_WEIGHTS[-1]}


def test_bounds_of_sets_are_below_what_a_plan_takes() -> None:
    plan = compiled(63)
    boots = [
        boot
        for slots in (1 << 10, 1 << 9)
        for boot in bootstrap_sets(slots, 1, Setting(ring_degree=1 << 11, security=Security.NONE))
        if boot.parameters == plan.parameters
    ]
    assert boots
    assert min(map(least_key_bytes, boots)) <= plan.public().evaluation_key_bytes
    assert min(least_memory(boot, 100) for boot in boots) <= plan.report.memory_bytes
    assert all(least_memory(boot, 1) < least_memory(boot, 100) for boot in boots)


def test_problems_of_several_plans_become_one() -> None:
    ring = OverLimitError("they take 9 MB", ["key_limit=9", "less"], ("key_limit",), 9, bootstrapped=False)
    boots = [
        OverLimitError(
            f"with bootstraps, {n} MB", [f"key_limit={n}", "less"], ("key_limit",), n, bootstrapped=True
        )
        for n in (7, 8)
    ]
    assert combined([ring]) is ring
    assert str(combined([ring, *boots])) == (
        "with bootstraps, 7 MB; in one ring, they take 9 MB; what helps: key_limit=7; less"
    )
    other = InfeasibleError("with bootstraps, noise is large")
    assert str(combined([ring, other])) == (
        "in one ring, they take 9 MB; with bootstraps, noise is large; what helps: key_limit=9; less"
    )


@pytest.mark.parametrize("missed", ["", "with the sines"])
@pytest.mark.parametrize("shortfall", ["", "the outputs differ"])
def test_a_ring_is_kept_where_only_its_plan_meets_the_goal(shortfall: str, missed: str) -> None:
    program = TensorProgram((4,), (Activation(0, "relu", (), (4,), "relu"),), 1, (4,))
    fit = Fit("relu", "relu", 7, 17, "chebyshev", -1.0, 1.0, 0.01, 0.0, 1.5)
    network = Approximated(program, 0.01, 1.0, (7,), (fit,), shortfall=shortfall, has_classes=True)
    ring, bootstrapped = (with_costs(plan, 1.0, 2 * MUCH_MEMORY) for plan in plans())
    of_ring = Compiled.of(ring, shortfall)
    lighter = Compiled.of(with_costs(bootstrapped, 0.5, 4e9), shortfall, missed)

    def network_of(levels: int | None, limited_by: str) -> Approximated:
        raise AssertionError("the network has a plan")

    def plan_of(network: Approximated, with_bootstraps: bool) -> Compiled:
        return lighter if with_bootstraps else of_ring

    chosen = PlanChoice(program, CompileOptions(), DEFAULT, network_of, plan_of).of((network,))
    assert chosen is (of_ring if missed and not shortfall else lighter)
