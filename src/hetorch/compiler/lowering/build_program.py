"""Pass: build the HeProgram and its weights from the choice of the search.

*Assumes* that the choice's levels, scales, layouts and lowered maps belong to one program.
*Ensures* a program whose operations run in order, each on operands of one level, and sums on operands of equal scales.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.bootstraps.masks import unused_slots
from hetorch.compiler.packing.lower import LoweredMap, with_values
from hetorch.compiler.search.evaluation import Choice
from hetorch.ir.he_operations import (
    NO_LAYOUT,
    AddBias,
    DropLevel,
    LinearTransform,
    Operation,
    PairedTransform,
    Polynomial,
    Rescale,
    RotateAdd,
    Value,
)
from hetorch.ir.he_operations import Add as HeAdd
from hetorch.ir.he_operations import Bootstrap as HeBootstrap
from hetorch.ir.he_operations import Multiply as HeMultiply
from hetorch.ir.he_program import HeProgram
from hetorch.ir.layout import Layout
from hetorch.ir.tensor_program import Add, Affine, Bootstrap, Chebyshev, Multiply

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.generic]]


def build_program(choice: Choice) -> tuple[HeProgram, Weights]:
    """Return the program and its weights by name. Layer 0 is the input; layer i + 1 belongs to operations[i]."""
    program = choice.variant.program
    builder = _Builder(choice)
    builder.tensors.append(builder.tensor(0, builder.layouts[0]))
    for layer, op in enumerate(program.operations, 1):
        match op:
            case Affine():
                tensor = builder.affine(op, layer)
            case Add():
                tensor = builder.add(op, layer)
            case Multiply():
                tensor = builder.multiply(op, layer)
            case Chebyshev():
                tensor = builder.polynomial(op, layer)
            case Bootstrap():
                tensor = builder.bootstrap(op, layer)
            case _:
                raise AssertionError("activations are approximated before this pass")
        builder.tensors.append(tensor)
    he_program = HeProgram(
        slot_count=choice.parameters.slot_count,
        layers=("input", *(op.name for op in program.operations)),
        layouts=tuple(builder.distinct_layouts),
        values=tuple(builder.values),
        operations=tuple(builder.operations),
        inputs=tuple(builder.tensors[0]),
        outputs=tuple(builder.tensors[program.output]),
        batch=choice.batch,
        encrypted_weights=choice.encrypted,
    )
    return he_program, builder.weights


def _value_layouts(choice: Choice) -> list[Layout]:
    """Return the slot map of each value; the output has the shape that the user sees."""
    program = choice.variant.program
    positions = choice.parameters.slot_count // choice.batch
    return [
        placement.layout(
            program.output_shape if value == program.output else program.shape(value), positions, choice.batch
        )
        for value, placement in enumerate(choice.layouts.placements)
    ]


@dataclass(slots=True, eq=False)
class _Builder:
    """An HeProgram under construction.

    `tensors`: the ciphertexts of each tensor value so far. `layouts`: for each tensor value, the index of its layout in
    `distinct_layouts`. The other fields are those of HeProgram.
    """

    choice: Choice
    values: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    distinct_layouts: list[Layout] = field(default_factory=list)
    layouts: list[int] = field(default_factory=list)
    weights: Weights = field(default_factory=dict)
    tensors: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for layout in _value_layouts(self.choice):
            if layout not in self.distinct_layouts:
                self.distinct_layouts.append(layout)
            self.layouts.append(self.distinct_layouts.index(layout))

    def value(self, level: int, scale: float, layout: int = NO_LAYOUT, part: int = 0) -> int:
        """Add a ciphertext, and return its number."""
        self.values.append(Value(level, scale, layout, part))
        return len(self.values) - 1

    def tensor(self, value: int, layout: int, scale: float | None = None) -> list[int]:
        """Add the ciphertexts of tensor value `value`, at its level and at `scale` (None: its planned scale)."""
        level, planned = self.choice.variant.levels[value], self.choice.scales[value]
        count = self.choice.layouts.placements[value].parts
        return [self.value(level, planned if scale is None else scale, layout, part) for part in range(count)]

    def at_level(self, tensor: int, level: int, layer: int) -> list[int]:
        """Return the ciphertexts of a tensor value, or copies that are dropped to `level` if they are above it."""
        return [self._dropped(value, level, layer) for value in self.tensors[tensor]]

    def _dropped(self, value: int, level: int, layer: int) -> int:
        source = self.values[value]
        if source.level == level:
            return value
        dropped = self.value(level, source.scale, source.layout, source.part)
        self.operations.append(DropLevel(dropped, value, layer))
        return dropped

    def add(self, op: Add, layer: int) -> list[int]:
        """Emit a sum, and return its ciphertexts; affine, multiply and polynomial return theirs alike."""
        level = self.choice.variant.levels[layer]
        first, second = (self.at_level(value, level, layer) for value in (op.a, op.b))
        # The scales of a and b agree within 2^-20; the sum takes the first one's, as in an engine.
        totals = self.tensor(layer, self.layouts[layer], self.values[first[0]].scale)
        for total, a, b in zip(totals, first, second, strict=True):
            self.operations.append(HeAdd(total, a, b, layer))
        return totals

    def multiply(self, op: Multiply, layer: int) -> list[int]:
        """Emit a product and its rescaling."""
        level, layout = self.choice.variant.levels[layer], self.layouts[layer]
        prime = self.choice.parameters.modulus_chain[level + 1]
        first, second = (self.at_level(value, level + 1, layer) for value in (op.a, op.b))
        rescaled = []
        for part, (a, b) in enumerate(zip(first, second, strict=True)):
            raised = self.values[a].scale * self.values[b].scale
            product = self.value(level + 1, raised, layout, part)
            self.operations.append(HeMultiply(product, a, b, layer))
            rescaled.append(self.value(level, raised / prime, layout, part))
            self.operations.append(Rescale(rescaled[-1], product, layer))
        return rescaled

    def polynomial(self, op: Chebyshev, layer: int) -> list[int]:
        """Emit a polynomial of each ciphertext."""
        source = self.at_level(op.input, self.choice.variant.levels[layer] + op.depth, layer)
        results = self.tensor(layer, self.layouts[layer])
        for result, operand in zip(results, source, strict=True):
            self.operations.append(Polynomial(result, operand, op.coefficients, layer))
        return results

    def bootstrap(self, op: Bootstrap, layer: int) -> list[int]:
        """Emit a bootstrap of each ciphertext."""
        planned = self.choice.bootstraps[layer - 1]
        source = self.at_level(op.input, planned.bootstrap_set.input_level, layer)
        results = self.tensor(layer, self.layouts[layer])
        for result, operand in zip(results, source, strict=True):
            self.operations.append(HeBootstrap.of(planned, result, operand, layer))
        return results

    def affine(self, op: Affine, layer: int) -> list[int]:
        """Emit the spreads, a linear transform, the folds of its partial sums, and the bias; only the last result has a
        layout."""
        choice, batch, layout = self.choice, self.choice.batch, self.layouts[layer]
        source_placement, placement = choice.layouts.placements[op.input], choice.layouts.placements[layer]
        lowered = with_values(choice.lowered[layer - 1], op.matrix, source_placement, placement)
        source = self._spread(
            self.at_level(op.input, self.choice.variant.levels[layer] + 1, layer), lowered, layer
        )
        bias = op.bias - self._spread_bias(op, lowered)
        name, transform = f"transform.{layer}", lowered.transform
        for key in ("outputs", "inputs", "values"):
            self.weights[f"{name}.{key}"] = getattr(transform, key)
        for key in ("giants", "babies"):
            self.weights[f"{name}.{key}"] = getattr(transform, key) * np.int32(batch)
        biased = bool(np.any(bias))
        last = not lowered.folds and not biased
        tensor = self.tensor(layer, layout if last else NO_LAYOUT)
        coefficients = int(layer - 1 in choice.footprint.coefficients)
        operation = (tuple(tensor), tuple(source), name, layer, coefficients)
        self.operations.append(
            PairedTransform(*operation, transform.pair * batch)
            if transform.pair
            else LinearTransform(*operation)
        )
        for number, steps in enumerate(lowered.folds):
            last = number + 1 == len(lowered.folds) and not biased
            folded = self.tensor(layer, layout if last else NO_LAYOUT)
            for result, value in zip(folded, tensor, strict=True):
                self.operations.append(RotateAdd(result, value, steps * batch, layer))
            tensor = folded
        return self._biased(bias, layer, tensor) if biased else tensor

    def _spread(self, tensor: list[int], lowered: LoweredMap, layer: int) -> list[int]:
        """Emit the sums that repeat runs within their replicas, and return their ciphertexts."""
        for steps in lowered.spreads:
            sums = []
            for value in tensor:
                sums.append(self.value(self.values[value].level, self.values[value].scale))
                self.operations.append(RotateAdd(sums[-1], value, steps * self.choice.batch, layer))
            tensor = sums
        return tensor

    def _spread_bias(self, op: Affine, lowered: LoweredMap) -> Array:
        """Return what the spreads add to the results: polynomials make a number of the slots beyond the runs."""
        if not lowered.spreads:
            return np.zeros(len(op.bias))
        beyond = ((1 << len(lowered.spreads)) - 1) * unused_slots(self.choice.variant.program)[op.input]
        return np.asarray(op.matrix @ np.full(op.matrix.shape[1], beyond))

    def _biased(self, bias: Array, layer: int, tensor: list[int]) -> list[int]:
        totals = self.tensor(layer, self.layouts[layer])
        padded = np.append(bias, 0.0)
        for part, (total, value) in enumerate(zip(totals, tensor, strict=True)):
            weight = f"bias.{layer}" if len(totals) == 1 else f"bias.{layer}.{part}"
            self.weights[weight] = padded[self.distinct_layouts[self.layouts[layer]].block[part]]
            self.operations.append(AddBias(total, value, weight, layer))
        return totals
