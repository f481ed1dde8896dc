"""Pass: the HE program and its weights, from the tensor program and all decisions about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.ir.he_program import (
    NO_LAYOUT,
    AddBias,
    DropLevel,
    HeProgram,
    LinearTransform,
    Operation,
    Polynomial,
    Rescale,
    RotateAdd,
    Value,
)
from hetorch.ir.he_program import Add as HeAdd
from hetorch.ir.he_program import Multiply as HeMultiply
from hetorch.ir.layout import Layout
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram
from hetorch.passes.choose_parameters import Chosen


@dataclass(slots=True)
class _Emitter:
    slot_count: int
    values: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)
    weights: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def value(self, level: int, scale: float, layout: int = NO_LAYOUT) -> int:
        self.values.append(Value(level, scale, layout))
        return len(self.values) - 1

    def layout(self, layout: Layout) -> int:
        if layout not in self.layouts:
            self.layouts.append(layout)
        return self.layouts.index(layout)

    def at_level(self, value: int, level: int, layer: int) -> int:
        """The value itself, or a copy dropped to `level`."""
        have = self.values[value]
        if have.level == level:
            return value
        dropped = self.value(level, have.scale, have.layout)
        self.operations.append(DropLevel(dropped, value, layer))
        return dropped


def build_program(
    program: TensorProgram, levels: tuple[int, ...], chosen: Chosen
) -> tuple[HeProgram, dict[str, NDArray[np.generic]]]:
    """Layer 0 is the input; layer i + 1 belongs to operations[i] of `program`."""
    emitter = _Emitter(chosen.parameters.slot_count)
    chain = chosen.parameters.modulus_chain
    names = ["input"]
    placed = [
        emitter.layout(
            placement.layout(
                program.output_shape if value == program.output else program.shape(value), emitter.slot_count
            )
        )
        for value, placement in enumerate(chosen.layouts.placements)
    ]
    made = [emitter.value(levels[0], chosen.scales[0], placed[0])]
    for index, op in enumerate(program.operations):
        layer, value = index + 1, index + 1
        names.append(op.name)
        level, scale, layout = levels[value], chosen.scales[value], placed[value]
        match op:
            case Affine():
                source = emitter.at_level(made[op.input], level + 1, layer)
                made.append(_affine(emitter, op, source, level, scale, layout, layer, chosen))
            case Add():
                a, b = (emitter.at_level(made[v], level, layer) for v in (op.a, op.b))
                # The scales of a and b agree within 2^-20; the sum takes the first one's, as in an engine.
                made.append(emitter.value(level, emitter.values[a].scale, layout))
                emitter.operations.append(HeAdd(made[-1], a, b, layer))
            case Multiply():
                a, b = (emitter.at_level(made[v], level + 1, layer) for v in (op.a, op.b))
                product = emitter.value(level + 1, emitter.values[a].scale * emitter.values[b].scale, layout)
                emitter.operations.append(HeMultiply(product, a, b, layer))
                made.append(emitter.value(level, emitter.values[product].scale / chain[level + 1], layout))
                emitter.operations.append(Rescale(made[-1], product, layer))
            case Chebyshev():
                source = emitter.at_level(made[op.input], level + op.depth, layer)
                made.append(emitter.value(level, scale, layout))
                emitter.operations.append(Polynomial(made[-1], source, op.coefficients, layer))
            case _:
                raise AssertionError("activations are approximated before")
    result = HeProgram(
        slot_count=emitter.slot_count,
        layers=tuple(names),
        layouts=tuple(emitter.layouts),
        values=tuple(emitter.values),
        operations=tuple(emitter.operations),
        inputs=(made[0],),
        outputs=(made[program.output],),
    )
    return result, emitter.weights


def _affine(
    emitter: _Emitter,
    op: Affine,
    source: int,
    level: int,
    scale: float,
    layout: int,
    layer: int,
    chosen: Chosen,
) -> int:
    lowered = chosen.lowered[layer - 1]
    name, transform = f"transform.{layer}", lowered.transform
    for key in ("outputs", "inputs", "giants", "babies", "values"):
        emitter.weights[f"{name}.{key}"] = getattr(transform, key)
    biased = bool(np.any(op.bias))
    last = not lowered.folds and not biased
    value = emitter.value(level, scale, layout if last else NO_LAYOUT)
    emitter.operations.append(LinearTransform((value,), (source,), name, layer))
    for number, steps in enumerate(lowered.folds):
        last = number + 1 == len(lowered.folds) and not biased
        folded = emitter.value(level, scale, layout if last else NO_LAYOUT)
        emitter.operations.append(RotateAdd(folded, value, steps, layer))
        value = folded
    if biased:
        index = emitter.layouts[layout].block[0]
        emitter.weights[f"bias.{layer}"] = np.append(op.bias, 0.0)[index]
        total = emitter.value(level, scale, layout)
        emitter.operations.append(AddBias(total, value, f"bias.{layer}", layer))
        value = total
    return value
