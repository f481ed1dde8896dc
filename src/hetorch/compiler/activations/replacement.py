"""The operations that stand in for one activation, while they are written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import Activation, Add, Affine, Chebyshev, Multiply, TensorOp

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Form:
    """The polynomial that was written: degree, method and reach as in Fit."""

    degree: int
    method: str
    reach: float


@dataclass(slots=True)
class Replacement:
    """Operations in place of `op`, which reads value `source`. The result of the last one is the result of all.

    Values are numbered as in the program that the operations will belong to: `written` operations exist before them.
    """

    op: Activation
    source: int
    written: int
    operations: list[TensorOp] = field(default_factory=list)

    def append(self, op: TensorOp) -> int:
        """Add an operation and return the number of its value."""
        self.operations.append(op)
        return self.written + len(self.operations)

    def scale(
        self, value: int, factor: Array | float, offset: Array | float = 0.0, kind: str = "scale"
    ) -> int:
        """Add factor * value + offset, element by element; `kind` is "scale" or SIDE."""
        size = math.prod(self.op.shape)
        diagonal = np.ascontiguousarray(np.broadcast_to(factor, (size,)), dtype=np.float64)
        matrix = sparse.csr_array(sparse.diags_array(diagonal, format="csr"))
        matrix.eliminate_zeros()
        bias = np.array(np.broadcast_to(offset, (size,)), dtype=np.float64)
        return self.append(Affine(value, matrix, bias, self.op.shape, self.op.name, kind))

    def multiply(self, a: int, b: int, kind: str) -> int:
        """Add a * b; `kind` is its name in reports."""
        return self.append(Multiply(a, b, self.op.shape, self.op.name, kind))

    def add(self, a: int, b: int) -> int:
        """Add a + b."""
        return self.append(Add(a, b, self.op.shape, self.op.name))

    def series(self, value: int, coefficients: Array | tuple[float, ...], kind: str) -> int:
        """Add the Chebyshev series of `value`; `kind` is its name in reports."""
        numbers = tuple(float(c) for c in coefficients)
        return self.append(Chebyshev(value, numbers, self.op.shape, self.op.name, kind))

    def depth(self) -> int:
        """Return the number of multiplications one after the other, from the source to the result."""
        depths: dict[int, int] = {self.source: 0}
        for number, op in enumerate(self.operations, self.written + 1):
            own = op.depth if isinstance(op, Chebyshev) else int(isinstance(op, Multiply))
            depths[number] = own + max(depths[value] for value in op.reads)
        return depths[self.written + len(self.operations)]

    def run(self, x: Array) -> Array:
        """Return the result for values `x` (batch, size) of the source; it may overflow."""
        values: dict[int, Array] = {self.source: x}
        with np.errstate(over="ignore", invalid="ignore"):
            for number, op in enumerate(self.operations, self.written + 1):
                values[number] = op.evaluate(values)
        return values[self.written + len(self.operations)]
