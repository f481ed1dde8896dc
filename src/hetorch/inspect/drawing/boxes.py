"""The boxes of a drawing: every layer of a plan with its figures, in the order in which the layers run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hetorch.inspect.layers import INPUT, Layer, layers_of
from hetorch.ir.he_operations import Multiply, Polynomial
from hetorch.plan import LayerReport, Plan
from hetorch.plan.report import PolynomialReport
from hetorch.quantities import count_text

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Box:
    """One layer of a program; names hold printable characters only.

    name, kind       as in the plan's report
    sources          positions of the boxes whose results it reads
    shape            of its result, for one sample
    ciphertexts      number of ciphertexts of the result
    level            of the result: rescalings left
    operand_level    level of its operands, the highest of them; that of the result for the input
    scale_bits       log2 of the scale of the result
    operations       number of operations of each class, in the order in which they first appear
    rotations        number of rotations in a run
    multiplications  number of products of ciphertexts
    diagonals        number of products by plaintexts
    seconds          predicted time in one run
    weight_bytes     memory of the encoded weights
    key_bytes        size of the keys that it uses
    predicted_error  bound of the error that its noise adds to the outputs, relative to their range
    fits             the polynomials in place of its activation
    """

    name: str
    kind: str
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    ciphertexts: int
    level: int
    operand_level: int
    scale_bits: float
    operations: tuple[tuple[str, int], ...]
    rotations: int
    multiplications: int
    diagonals: int
    seconds: float
    weight_bytes: int
    key_bytes: int
    predicted_error: float
    fits: tuple[PolynomialReport, ...]

    @property
    def operations_text(self) -> str:
        """The operations, counted: "1 LinearTransform, 2 RotateAdd"; empty for the input."""
        return ", ".join(f"{count} {name}" for name, count in self.operations)

    @property
    def is_activation(self) -> bool:
        """True if a polynomial stands in for a function."""
        return "~" in self.kind or any(name == Polynomial.__name__ for name, _ in self.operations)

    @property
    def shape_text(self) -> str:
        """The shape as "4 x 8 x 8"."""
        return " x ".join(map(str, self.shape)) or "1"

    @property
    def costs_text(self) -> str:
        """Diagonals, rotations and products of ciphertexts, without those that it has none of."""
        counted = (
            (self.diagonals, "diagonal"),
            (self.rotations, "rotation"),
            (self.multiplications, "multiplication"),
        )
        return ", ".join(count_text(count, noun) for count, noun in counted if count)


def boxes_of(plan: Plan) -> tuple[Box, ...]:
    """Return the boxes of a plan, the input first."""
    layers = layers_of(plan)
    place = {layer.index: number for number, layer in enumerate(layers)}
    fits = _fits(plan, layers)
    return tuple(_box(plan, layer, place, fits[layer.index]) for layer in layers)


def _fits(plan: Plan, layers: Sequence[Layer]) -> dict[int, tuple[PolynomialReport, ...]]:
    """Return the polynomials of each layer, by its index; of an activation in several places each place has its own,
    where there are as many."""
    fits: dict[int, tuple[PolynomialReport, ...]] = {layer.index: () for layer in layers}
    activations = [layer for layer in layers if layer.is_polynomial]
    for name in {layer.name for layer in activations}:
        places = [layer.index for layer in activations if layer.name == name]
        of_name = tuple(fit for fit in plan.report.polynomials if fit.layer == name)
        for number, index in enumerate(places):
            fits[index] = of_name[number : number + 1] if len(of_name) == len(places) else of_name
    return fits


def _box(plan: Plan, layer: Layer, place: dict[int, int], fits: tuple[PolynomialReport, ...]) -> Box:
    program, weights = plan.program, plan.weights
    rows = _rows(plan, layer)
    result = program.values[layer.results[0]]
    own = {value for op in layer.operations for value in op.makes}
    operands = [v for op in layer.operations for v in op.reads if v not in own]
    return Box(
        name=printable(layer.name),
        kind=printable(layer.kind),
        sources=tuple(place[source] for source in layer.sources if source in place),
        shape=layer.layout.shape,
        ciphertexts=len(layer.results),
        level=result.level,
        operand_level=max((program.values[value].level for value in operands), default=result.level),
        scale_bits=math.log2(result.scale),
        operations=tuple(Counter(type(op).__name__ for op in layer.operations).items()),
        rotations=sum(op.rotation_count(program, weights) for op in layer.operations),
        multiplications=sum(row.multiplications for row in rows)
        if rows
        else sum(isinstance(op, Multiply) for op in layer.operations),
        diagonals=sum(row.diagonals for row in rows),
        seconds=sum(row.predicted_seconds for row in rows),
        weight_bytes=sum(op.weight_bytes(program, plan.parameters, weights) for op in layer.operations),
        key_bytes=max((row.key_bytes for row in rows), default=0),
        predicted_error=sum(row.predicted_error for row in rows),
        fits=fits,
    )


def _rows(plan: Plan, layer: Layer) -> Sequence[LayerReport]:
    """Return the report's rows of a layer; none for a plan that was not made by the compiler."""
    rows = plan.report.layers
    if len(rows) != len(plan.program.layers):
        return ()
    if layer.index == INPUT:
        return rows[:1] if rows and rows[0].kind == "encrypt" else ()
    return [rows[index] for index in sorted({op.layer for op in layer.operations})]


def printable(text: str) -> str:
    """Return text in which every character shows itself: no control of a terminal, and none that XML forbids."""
    return "".join(character if character.isprintable() else UNPRINTABLE for character in text)


def shortened(text: str, most: int) -> str:
    """Return text of at most `most` characters; the end, which tells layers apart, is kept whole."""
    if len(text) <= most:
        return text
    begin = (most - 1) // 3
    return f"{text[:begin]}…{text[len(text) - (most - 1 - begin) :]}"
