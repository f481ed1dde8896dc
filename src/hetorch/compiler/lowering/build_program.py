"""Pass: the HE program and its weights, from the tensor program and all decisions about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.search.choose_parameters import Chosen
from hetorch.ir.he_operations import (
    NO_LAYOUT,
    AddBias,
    DropLevel,
    LinearTransform,
    Operation,
    Polynomial,
    Rescale,
    RotateAdd,
    Value,
)
from hetorch.ir.he_operations import Add as HeAdd
from hetorch.ir.he_operations import Multiply as HeMultiply
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram


@dataclass(slots=True)
class _Emitter:
    slot_count: int
    batch: int
    values: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)
    weights: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def value(self, level: int, scale: float, layout: int = NO_LAYOUT, part: int = 0) -> int:
        self.values.append(Value(level, scale, layout, part))
        return len(self.values) - 1

    def tensor(self, count: int, level: int, scale: float, layout: int = NO_LAYOUT) -> list[int]:
        """The ciphertexts of one tensor."""
        return [self.value(level, scale, layout, part) for part in range(count)]

    def layout(self, layout: Layout) -> int:
        if layout not in self.layouts:
            self.layouts.append(layout)
        return self.layouts.index(layout)

    def at_level(self, tensor: list[int], level: int, layer: int) -> list[int]:
        """The ciphertexts themselves, or copies dropped to `level`."""
        return [self._dropped(value, level, layer) for value in tensor]

    def _dropped(self, value: int, level: int, layer: int) -> int:
        have = self.values[value]
        if have.level == level:
            return value
        dropped = self.value(level, have.scale, have.layout, have.part)
        self.operations.append(DropLevel(dropped, value, layer))
        return dropped


def build_program(
    program: TensorProgram, levels: tuple[int, ...], chosen: Chosen
) -> tuple[HeProgram, dict[str, NDArray[np.generic]]]:
    """Layer 0 is the input; layer i + 1 belongs to operations[i] of `program`."""
    batch = chosen.batch
    positions = chosen.parameters.slot_count // batch
    emitter = _Emitter(chosen.parameters.slot_count, batch)
    chain = chosen.parameters.modulus_chain
    names = ["input"]
    placed = [
        emitter.layout(
            placement.layout(
                program.output_shape if value == program.output else program.shape(value), positions, batch
            )
        )
        for value, placement in enumerate(chosen.layouts.placements)
    ]
    counts = [placement.parts for placement in chosen.layouts.placements]
    made = [emitter.tensor(counts[0], levels[0], chosen.scales[0], placed[0])]
    for index, op in enumerate(program.operations):
        layer, value = index + 1, index + 1
        names.append(op.name)
        level, scale, layout = levels[value], chosen.scales[value], placed[value]
        match op:
            case Affine():
                source = emitter.at_level(made[op.input], level + 1, layer)
                made.append(_affine(emitter, op, source, counts[value], level, scale, layout, layer, chosen))
            case Add():
                first, second = (emitter.at_level(made[v], level, layer) for v in (op.a, op.b))
                # The scales of a and b agree within 2^-20; the sum takes the first one's, as in an engine.
                made.append(emitter.tensor(counts[value], level, emitter.values[first[0]].scale, layout))
                for total, a, b in zip(made[-1], first, second, strict=True):
                    emitter.operations.append(HeAdd(total, a, b, layer))
            case Multiply():
                first, second = (emitter.at_level(made[v], level + 1, layer) for v in (op.a, op.b))
                made.append([])
                for part, (a, b) in enumerate(zip(first, second, strict=True)):
                    raised = emitter.values[a].scale * emitter.values[b].scale
                    product = emitter.value(level + 1, raised, layout, part)
                    emitter.operations.append(HeMultiply(product, a, b, layer))
                    made[-1].append(emitter.value(level, raised / chain[level + 1], layout, part))
                    emitter.operations.append(Rescale(made[-1][-1], product, layer))
            case Chebyshev():
                source = emitter.at_level(made[op.input], level + op.depth, layer)
                made.append(emitter.tensor(counts[value], level, scale, layout))
                for result, given in zip(made[-1], source, strict=True):
                    emitter.operations.append(Polynomial(result, given, op.coefficients, layer))
            case _:
                raise AssertionError("activations are approximated before")
    program_made = HeProgram(
        slot_count=emitter.slot_count,
        layers=tuple(names),
        layouts=tuple(emitter.layouts),
        values=tuple(emitter.values),
        operations=tuple(emitter.operations),
        inputs=tuple(made[0]),
        outputs=tuple(made[program.output]),
        batch=batch,
        encrypted_weights=chosen.encrypted,
    )
    return program_made, emitter.weights


def _affine(
    emitter: _Emitter,
    op: Affine,
    source: list[int],
    count: int,
    level: int,
    scale: float,
    layout: int,
    layer: int,
    chosen: Chosen,
) -> list[int]:
    lowered = chosen.lowered[layer - 1]
    name, transform = f"transform.{layer}", lowered.transform
    for key in ("outputs", "inputs", "values"):
        emitter.weights[f"{name}.{key}"] = getattr(transform, key)
    for key in ("giants", "babies"):
        emitter.weights[f"{name}.{key}"] = getattr(transform, key) * np.int32(emitter.batch)
    biased = bool(np.any(op.bias))
    last = not lowered.folds and not biased
    tensor = emitter.tensor(count, level, scale, layout if last else NO_LAYOUT)
    emitter.operations.append(LinearTransform(tuple(tensor), tuple(source), name, layer))
    for number, steps in enumerate(lowered.folds):
        last = number + 1 == len(lowered.folds) and not biased
        folded = emitter.tensor(count, level, scale, layout if last else NO_LAYOUT)
        for result, value in zip(folded, tensor, strict=True):
            emitter.operations.append(RotateAdd(result, value, steps * emitter.batch, layer))
        tensor = folded
    if biased:
        totals = emitter.tensor(count, level, scale, layout)
        padded = np.append(op.bias, 0.0)
        for part, (total, value) in enumerate(zip(totals, tensor, strict=True)):
            weight = f"bias.{layer}" if count == 1 else f"bias.{layer}.{part}"
            emitter.weights[weight] = padded[emitter.layouts[layout].block[part]]
            emitter.operations.append(AddBias(total, value, weight, layer))
        tensor = totals
    return tensor
