"""Derive the cleartext network of a plan's program: affine maps without slots, and element-wise steps between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.bootstrap_noise import bootstrap_noise
from hetorch.engine.noise import NoiseModel
from hetorch.engine.polynomial_noise import polynomial_noise
from hetorch.ir.cleartext_network.affine_value import AffineValue
from hetorch.ir.cleartext_network.needs import Needs
from hetorch.ir.cleartext_network.network import CleartextNetwork, Result, Source, last_uses
from hetorch.ir.cleartext_network.series import SplitSeries
from hetorch.ir.cleartext_network.sparse_map import SparseMap, Triplets
from hetorch.ir.cleartext_network.steps import (
    CopyStep,
    MapStep,
    Operand,
    ProductStep,
    SeriesStep,
    SineStep,
    Step,
    SumStep,
)
from hetorch.ir.he_operations import (
    Add,
    AddBias,
    Bootstrap,
    DropLevel,
    LinearTransform,
    Multiply,
    Operation,
    Polynomial,
    Rescale,
    RotateAdd,
)
from hetorch.ir.he_program import HeProgram
from hetorch.params import ParameterSet

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Weights = Mapping[str, NDArray[np.generic]]

POINTS = np.linspace(-1.0, 1.0, 129)
"""Points at which the noise of a polynomial is known; between them that of the nearest one is taken."""


def derive(program: HeProgram, weights: Weights, parameters: ParameterSet) -> CleartextNetwork:
    """Return the network that `program` computes with `weights`, with the noise that `parameters` give."""
    builder = _Builder(program, weights, parameters, Needs.of(program, weights), NoiseModel.of(parameters))
    sources = tuple(builder.source(value) for value in program.inputs)
    for op in program.operations:
        if any(value in builder.needs.positions for value in op.makes):
            builder.add(op)
    results = tuple(builder.result(value) for value in program.outputs)
    steps = tuple(builder.steps)
    return CleartextNetwork(
        program.input_layout.size,
        program.output_layout.size,
        sources,
        steps,
        results,
        last_uses(steps, results),
        max(1, *builder.sizes.values()),
    )


@dataclass(slots=True, eq=False)
class _Builder:
    """A network under construction.

    `affine`: the values that have no register yet. `places`: the register of each other value, and the row of each of
    its needed positions. `sizes`: the number of rows of each register.
    """

    program: HeProgram
    weights: Weights
    parameters: ParameterSet
    needs: Needs
    model: NoiseModel
    steps: list[Step] = field(default_factory=list)
    affine: dict[int, AffineValue] = field(default_factory=dict)
    places: dict[int, tuple[int, Indices]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    tables: dict[tuple[object, ...], Array] = field(default_factory=dict)
    readers: Counter[int] = field(init=False)

    def __post_init__(self) -> None:
        self.readers = Counter(value for op in self.program.operations for value in op.reads)
        self.readers.update(self.program.outputs)

    def source(self, value: int) -> Source:
        """Return the register of an input."""
        at = self.program.values[value]
        positions = self.needs.positions[value]
        elements = self.program.input_layout.index_of_slot[at.part][positions].astype(np.int64)
        self._placed(value, np.arange(len(positions)))
        return Source(value, elements, float(np.sqrt(self._variance(value, self.model.fresh()))))

    def result(self, value: int) -> Result:
        """Return where the elements of an output lie; an element in two ciphertexts is taken from the last one."""
        self._materialise(value)
        register, rows = self.places[value]
        elements = self.program.output_layout.index_of_slot[self.program.values[value].part]
        return Result(register, rows, elements[self.needs.positions[value]].astype(np.int64))

    def add(self, op: Operation) -> None:
        """Add the steps of one operation."""
        match op:
            case LinearTransform():
                for value in op.results:
                    if value in self.needs.positions:
                        self.affine[value] = self._transform(op, value)
            case RotateAdd(result=result, input=source, steps=steps):
                positions = self.needs.positions[result]
                turned = (positions + steps // self.program.batch) % self.needs.width
                total = self._affine_at(source, positions) + self._affine_at(source, turned)
                self._noisy(result, total, self.model.key_switch(self.program.values[source].level))
            case AddBias(result=result, input=source, weight=weight):
                positions = self.needs.positions[result]
                bias = np.asarray(self.weights[weight], dtype=np.float64)
                total = self._affine_at(source, positions)
                message = self.model.public() if self.program.encrypted_weights else self.model.encoding()
                self._noisy(result, replace(total, bias=total.bias + bias[positions % len(bias)]), message)
            case Rescale(result=result, input=source) if source in self.affine:
                total = self._affine_at(source, self.needs.positions[result])
                self._noisy(result, total, self.model.rounding())
            case DropLevel(result=result, input=source) if source in self.affine:
                self.affine[result] = self._affine_at(source, self.needs.positions[result])
            case DropLevel(result=result, input=source):
                self.places[result] = self.places[source][0], self._rows(source, self.needs.positions[result])
            case _ if self._rescales_product(op):
                pass
            case _:
                self._element_wise(op)

    def _element_wise(self, op: Operation) -> None:
        result = op.makes[0]
        operands = self._operands(result, op.reads)
        match op:
            case Rescale():
                self.steps.append(
                    CopyStep(result, operands[0], self._deviation(result, self.model.rounding()))
                )
            case Add():
                self.steps.append(SumStep(result, operands[0], operands[1]))
            case Multiply():
                switch = self.model.key_switch(self.program.values[result].level)
                deviation = self._deviation(result, switch)
                self.steps.append(ProductStep(result, operands[0], operands[1], deviation))
            case Polynomial():
                table = self._table(op) / np.sqrt(self.needs.copies[result])
                self.steps.append(SeriesStep(result, operands[0], SplitSeries.of(op.coefficients), table))
            case Bootstrap():
                planned = op.planned(self.program, self.parameters)
                deviation = bootstrap_noise(planned) / float(np.sqrt(self.needs.copies[result]))
                self.steps.append(SineStep(result, operands[0], op.bound, deviation))
            case _:
                raise AssertionError("Needs refuses other operations")

    def _rescales_product(self, op: Operation) -> bool:
        """Add the noise of a rescale to the product before it, if nothing else reads that one; return True if so."""
        if not self.steps or not isinstance(op, Rescale):
            return False
        last = self.steps[-1]
        if not isinstance(last, ProductStep) or last.result != op.input or self.readers[op.input] > 1:
            return False
        deviation = float(np.hypot(last.deviation, self._deviation(op.result, self.model.rounding())))
        self.steps[-1] = replace(last, deviation=deviation)
        self.places[op.result] = self.places[op.input]
        return True

    def _operands(self, result: int, sources: Sequence[int]) -> list[Operand]:
        """Return the operands of an element-wise operation, and place its result in the order of the first one."""
        positions = self.needs.positions[result]
        rows = []
        for source in sources:
            self._materialise(source)
            rows.append(self._rows(source, positions))
        order = np.argsort(rows[0], kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        self._placed(result, place)
        return [
            self._operand(self.places[source][0], own[order])
            for source, own in zip(sources, rows, strict=True)
        ]

    def _operand(self, register: int, rows: Indices) -> Operand:
        whole = len(rows) == self.sizes[register] and np.array_equal(rows, np.arange(len(rows)))
        return Operand(register, None if whole else rows)

    def _rows(self, value: int, positions: Indices) -> Indices:
        """Return the rows of a value's register in which its `positions` lie."""
        standing = self.needs.standing(value, positions)
        return self.places[value][1][np.searchsorted(self.needs.positions[value], standing)]

    def _placed(self, value: int, rows: Indices) -> None:
        self.places[value] = value, rows
        self.sizes[value] = len(rows)

    def _affine_at(self, value: int, positions: Indices) -> AffineValue:
        """Return some positions of a value as an affine map; if it has a register, as the identity on this."""
        if value in self.affine:
            standing = self.needs.standing(value, positions)
            return self.affine[value].rows_at(np.searchsorted(self.needs.positions[value], standing))
        count = len(positions)
        ones = Triplets(
            np.arange(count), self.needs.standing(value, positions), np.ones(count), (count, self.needs.width)
        )
        return AffineValue((value,), ones, np.zeros(count), np.zeros(count), np.zeros((count, 1)))

    def _transform(self, op: LinearTransform, value: int) -> AffineValue:
        """Return the map of one result, with the noise of hetorch.engine.cleartext or of encrypted weights."""
        entries, model, encrypted = self.needs.entries[value], self.model, self.program.encrypted_weights
        source = self.program.values[op.inputs[0]]
        prime = self.parameters.modulus_chain[source.level]
        turned = model.key_switch(source.level) if encrypted else model.switched(source.level)
        divisions = 2 * entries.giants + 1 if encrypted else entries.giants
        divided = divisions * (model.key_switch(source.level) / prime) ** 2
        own = self._variance(value, float(np.sqrt(model.rounding() ** 2 + divided)))
        switched = (turned / source.scale) ** 2 * entries.rotated / self.needs.copies[value]
        # Diagonals are encoded at the scale result scale * prime / source scale.
        message = model.public() if encrypted else model.encoding()
        encoded = self._variance(value, message * source.scale / prime) * entries.terms
        count = len(self.needs.positions[value])
        return AffineValue(
            op.inputs, entries.triplets, np.zeros(count), own + switched, np.tile(encoded, (count, 1))
        )

    def _noisy(self, value: int, total: AffineValue, noise: float) -> None:
        self.affine[value] = replace(total, variance=total.variance + self._variance(value, noise))

    def _variance(self, value: int, noise: float) -> float:
        """Return the variance of `noise`, in units of 1 / scale, that the output sees of a value."""
        return (noise / self.program.values[value].scale) ** 2 / self.needs.copies.get(value, 1.0)

    def _deviation(self, value: int, noise: float) -> float:
        return float(np.sqrt(self._variance(value, noise)))

    def _table(self, op: Polynomial) -> Array:
        """Return the standard deviation of a polynomial's noise at POINTS."""
        source, result = self.program.values[op.input], self.program.values[op.result]
        key = (op.coefficients, source.level, source.scale, result.scale)
        if key not in self.tables:
            sources = polynomial_noise(
                self.model,
                op.coefficients,
                POINTS,
                level=source.level,
                input_scale=source.scale,
                output_scale=result.scale,
                modulus_chain=self.parameters.modulus_chain,
            )
            self.tables[key] = np.sqrt(np.sum(sources**2, axis=0))
        return self.tables[key]

    def _materialise(self, value: int) -> None:
        """Give an affine value a register."""
        if value not in self.affine:
            return
        total = self.affine.pop(value)
        for source in total.inputs:
            self._materialise(source)
        number, position = np.divmod(total.triplets.columns, self.needs.width)
        columns = np.empty_like(number)
        operands, used, offset = [], [], 0
        for i, source in enumerate(total.inputs):
            own = number == i
            if not own.any():
                continue
            rows, column = np.unique(self._rows(source, position[own]), return_inverse=True)
            columns[own] = offset + column.reshape(-1)
            offset += len(rows)
            operands.append(self._operand(self.places[source][0], rows))
            used.append(i)
        shape = (len(total.bias), offset)
        matrix = SparseMap.of(Triplets(total.triplets.rows, columns, total.triplets.values, shape))
        place = np.empty_like(matrix.rows)
        place[matrix.rows] = np.arange(len(place))
        self._placed(value, place)
        bias = total.bias[matrix.rows] if np.any(total.bias) else None
        encoded = total.encoded[matrix.rows][:, used]
        if not operands:  # constants: any register gives the number of samples
            operands, encoded = (
                [Operand(next(iter(self.places.values()))[0], np.zeros(0, np.int64))],
                np.zeros((shape[0], 1)),
            )
        self.steps.append(MapStep(value, tuple(operands), matrix, bias, total.variance[matrix.rows], encoded))
