"""The layers of a plan's program: the operations of each, and the ciphertexts that hold its result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.inspect.batches import Slots
from hetorch.ir.he_operations import DropLevel, Operation, Polynomial
from hetorch.ir.he_operations.operation import NO_LAYOUT
from hetorch.ir.layout import Layout
from hetorch.plan import Plan

INPUT = -1
"""The index of the input, which has no operations."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a program.

    index       its index in HeProgram.layers; INPUT for the input
    name, kind  as in the plan's report
    operations  in order
    results     the values that hold its result, in the order of the layout's ciphertexts
    layout      where the elements of the result lie
    sources     indices of the layers whose results it reads
    """

    index: int
    name: str
    kind: str
    operations: tuple[Operation, ...]
    results: tuple[int, ...]
    layout: Layout
    sources: tuple[int, ...]

    @property
    def is_polynomial(self) -> bool:
        """True if the layer stands in for an activation, or is a part of what does."""
        return "~" in self.kind

    @property
    def has_unit_range(self) -> bool:
        """True if the layer is a Chebyshev series, whose operand must stay in [-1, 1]."""
        return any(isinstance(op, Polynomial) for op in self.operations)

    def unpack(self, slots: dict[int, Slots]) -> Array:
        """Return the result (batch, elements) from the slots of its ciphertexts, by value."""
        whole = self.layout.unpack_batch([slots[value] for value in self.results])
        return whole.reshape(len(whole), -1)


def layers_of(plan: Plan) -> tuple[Layer, ...]:
    """Return the layers of a plan in the order in which they run, the input first."""
    program = plan.program
    kinds = [row.kind for row in plan.report.layers]
    if len(kinds) != len(program.layers):  # a plan that was not made by the compiler
        kinds = [""] * len(program.layers)
    layers = [Layer(INPUT, "input", "encrypt", (), program.inputs, program.input_layout, ())]
    made_by = dict.fromkeys(program.inputs, INPUT)
    pending: tuple[Operation, ...] = ()  # of layers whose results are no tensors: they belong to the next one
    for index in sorted({op.layer for op in program.operations}):
        operations = (*pending, *(op for op in program.operations if op.layer == index))
        parts: dict[int, int] = {}
        for op in operations:
            made_by.update(dict.fromkeys(op.makes, index))
            for value in op.makes:
                if program.values[value].layout != NO_LAYOUT and not isinstance(op, DropLevel):
                    parts[program.values[value].part] = value  # the last one, as after a rescaling
        if not parts:
            pending = operations
            continue
        pending = ()
        results = tuple(parts[part] for part in sorted(parts))
        own = {value for op in operations for value in op.makes}
        sources = {made_by[value] for op in operations for value in op.reads if value not in own}
        layout = program.layout_of(results)
        layers.append(
            Layer(
                index,
                program.layers[index],
                kinds[index],
                operations,
                results,
                layout,
                tuple(sorted(sources)),
            )
        )
    return tuple(layers)
