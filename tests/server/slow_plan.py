"""The small plan behind many rotations that nothing reads: a computation of seconds, with an event for each operation
and a result that is known."""

from __future__ import annotations

from dataclasses import replace

from hetorch.ir.he_operations import RotateAdd, Value
from hetorch.params import ParameterSet
from hetorch.plan.plan import Plan
from tests.server.small_plan import SCALE, small_plan

SLOW = "slow"
"""The name of the layer of the rotations."""
ROTATIONS = 40_000
"""Number of rotations for seconds of work; stopping it takes one of them, some 40 µs."""


def slow_plan(rotations: int = ROTATIONS, seed: int = 0, parameters: ParameterSet | None = None) -> Plan:
    """Make the plan for `matrix(seed)` with so many operations before those that matter."""
    plan = small_plan(seed, parameters)
    program = plan.program
    first = len(program.values)
    fresh = program.values[0]
    unread = tuple(Value(fresh.level, SCALE) for _ in range(rotations))
    layer = len(program.layers)
    wasted = tuple(RotateAdd(first + i, 0, 1, layer) for i in range(rotations))
    return replace(
        plan,
        program=replace(
            program,
            layers=(*program.layers, SLOW),
            values=(*program.values, *unread),
            operations=(*wasted, *program.operations),
        ),
    )
