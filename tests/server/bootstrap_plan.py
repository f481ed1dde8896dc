"""A plan written by hand that bootstraps twice: y = boot(boot(x)^2)^2 of 8 numbers, on a ring that protects nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.ir.he_operations import Bootstrap, DropLevel, Multiply, Operation, Rescale, Value
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.plan.interface import PLAIN
from hetorch.plan.keys import required_keys
from hetorch.plan.plan import Plan
from hetorch.plan.report import LayerReport, PlanReport
from tests.engine.bootstrap_case import small_set

INPUTS = 8
SCALE = 2.0**40


def expected(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x^4; the sines of the bootstraps change it by less than 1e-3."""
    return x**4


def bootstrap_plan(boot: BootstrapSet | None = None, bound: float = 1.0) -> Plan:
    """Make the plan for inputs up to `bound`, a power of two; the set needs two levels for the user."""
    boot = boot or small_set(1 << 11, (4, 3, 3), (3, 3, 2, 2))
    parameters, low, high = boot.parameters, boot.input_level, boot.output_level
    chain, slots = parameters.modulus_chain, parameters.slot_count
    # Both bootstraps have the same products of scale and bound, so they share their maps.
    bootstrapped = math.sqrt(SCALE * chain[high])
    squared = bootstrapped * bootstrapped / chain[high]
    values = [Value(low, squared / bound, 0, 0)]
    operations: list[Operation] = []
    for layer in range(2):
        first = len(values) - 1
        size = bound if layer == 0 else bound * bound
        values += [
            Value(high, bootstrapped / size),
            Value(high, (bootstrapped / size) ** 2),
            Value(high - 1, squared / size**2, 1, 0),
        ]
        operations += [_bootstrap(boot, first, layer, size), Multiply(first + 2, first + 1, first + 1, layer)]
        operations.append(Rescale(first + 3, first + 2, layer))
        if layer == 0:
            values.append(Value(low, squared / size**2))
            operations.append(DropLevel(first + 4, first + 3, layer))
    tensor = Layout.periodic((INPUTS,), slots, np.arange(INPUTS))
    names = ("first", "second")
    program = HeProgram(
        slots, names, (tensor, tensor), tuple(values), tuple(operations), (0,), (len(values) - 1,)
    )
    layers = tuple(LayerReport(name, "square", high - 1, 40.0, 0, 0, 1, 1e-4) for name in names)
    return Plan(
        name="deep",
        program=program,
        parameters=parameters,
        key_spec=required_keys(program, {}, parameters),
        weights={},
        input_range=(-bound, bound),
        interface=PLAIN,
        report=PlanReport(layers, 1e-3, 0.0, 1.0, 1.0, 16, 1.0, ()),
    )


def _bootstrap(boot: BootstrapSet, source: int, layer: int, bound: float) -> Bootstrap:
    family = boot.low_family
    return Bootstrap(
        source + 1,
        source,
        boot.to_coefficients,
        boot.to_slots,
        family.special_count,
        family.digit_size,
        *boot.babies,
        bound,
        layer,
    )


def with_bound(plan: Plan, bound: float) -> Plan:
    """Return the plan with another bound of the first bootstrap, which then shares no maps with the second."""
    first, *rest = plan.program.operations
    assert isinstance(first, Bootstrap)
    changed = (replace(first, bound=bound), *rest)
    return replace(plan, program=replace(plan.program, operations=changed))
