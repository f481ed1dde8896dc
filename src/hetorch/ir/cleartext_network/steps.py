"""The steps of a cleartext network: each fills one register and adds the noise that the engines' model gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.bootstrapping import bootstrap_sine
from hetorch.ir.cleartext_network.noise import Noise
from hetorch.ir.cleartext_network.series import SplitSeries
from hetorch.ir.cleartext_network.sparse_map import SparseMap

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Registers = dict[int, Array]
"""Arrays of shape (numbers, samples) by the number of the register."""

LEVEL = 4.0
"""Ratio of a polynomial's largest and smallest deviation up to which their root mean square is taken everywhere, as the
prediction of errors does. Raised, more polynomials get their noise faster, and less as it depends on the operand."""


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """The `rows` of a register, or all of them in their order if it is None."""

    register: int
    rows: Indices | None

    def of(self, registers: Registers) -> Array:
        """Return the operand's numbers."""
        whole = registers[self.register]
        return whole if self.rows is None else whole.take(self.rows, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class MapStep:
    """An affine map of several registers, one below the other.

    `bias`: (rows,) or None. `variance`: of the noise of each row. `encoded`: (rows, operands), the variance for each
    unit of an operand's mean square, from the rounding of the diagonals.
    """

    result: int
    operands: tuple[Operand, ...]
    matrix: SparseMap
    bias: Array | None
    variance: Array
    encoded: Array

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(operand.register for operand in self.operands)

    def run(self, registers: Registers, noise: Noise | None) -> None:
        inputs = [operand.of(registers) for operand in self.operands]
        x = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
        values = self.matrix.multiply(x)
        if self.bias is not None:
            values += self.bias[:, None]
        if noise is not None:
            power = np.array([_usual_power(one) for one in inputs])
            noise.add(values, np.sqrt(self.variance + self.encoded @ power))
        registers[self.result] = values


def _usual_power(values: Array) -> float:
    """Return the median over the samples of the mean square of `values`, (numbers, samples).

    A sample that explodes so adds no noise to the others, which are computed apart from it.
    """
    squares = np.einsum("ij,ij->j", values, values) / max(len(values), 1)
    return float(np.median(np.nan_to_num(squares, nan=np.inf))) if squares.size else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SeriesStep:
    """A Chebyshev series of each number.

    `deviations`: those of its noise at points evenly spaced over [-1, 1], both ends included.
    """

    result: int
    operand: Operand
    series: SplitSeries
    deviations: Array
    limit: ClassVar[float] = 1.0
    """The largest magnitude of an operand for which the step is made."""

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.operand.register,)

    def run(self, registers: Registers, noise: Noise | None) -> None:
        x = self.operand.of(registers)
        values = self.series.evaluate(x)
        if noise is not None and self.deviations.max() <= LEVEL * self.deviations.min():
            noise.add(values, float(np.sqrt(np.mean(self.deviations**2))))
        elif noise is not None:
            noise.add_at(x, values, self.deviations)
        registers[self.result] = values


@dataclass(frozen=True, slots=True, eq=False)
class SineStep:
    """A bootstrap: the sine that stands for the identity up to `bound`, with noise of `deviation`."""

    result: int
    operand: Operand
    bound: float
    deviation: float

    @property
    def limit(self) -> float:
        """The largest magnitude of an operand for which the step is made."""
        return self.bound

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.operand.register,)

    def run(self, registers: Registers, noise: Noise | None) -> None:
        values = bootstrap_sine(self.operand.of(registers), self.bound)
        if noise is not None:
            noise.add(values, self.deviation)
        registers[self.result] = values


@dataclass(frozen=True, slots=True, eq=False)
class SumStep:
    """The sum of two operands; it adds no noise."""

    result: int
    a: Operand
    b: Operand

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.a.register, self.b.register)

    def run(self, registers: Registers, noise: Noise | None) -> None:
        registers[self.result] = self.a.of(registers) + self.b.of(registers)


@dataclass(frozen=True, slots=True, eq=False)
class ProductStep:
    """The product of two operands, with noise of `deviation`."""

    result: int
    a: Operand
    b: Operand
    deviation: float

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.a.register, self.b.register)

    def run(self, registers: Registers, noise: Noise | None) -> None:
        values = self.a.of(registers) * self.b.of(registers)
        if noise is not None:
            noise.add(values, self.deviation)
        registers[self.result] = values


@dataclass(frozen=True, slots=True, eq=False)
class CopyStep:
    """The operand itself, with noise of `deviation`: a rescaled value."""

    result: int
    operand: Operand
    deviation: float

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.operand.register,)

    def run(self, registers: Registers, noise: Noise | None) -> None:
        values = self.operand.of(registers)
        if noise is not None and self.deviation:
            values = values.copy()
            noise.add(values, self.deviation)
        registers[self.result] = values


Step = MapStep | SeriesStep | SineStep | SumStep | ProductStep | CopyStep
