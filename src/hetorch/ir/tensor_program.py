"""The network as few operations on flat tensors: sparse affine maps, activations, sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.errors import PlanError
from hetorch.ir.activations import ACTIVATIONS


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """matrix @ input + bias. `matrix` is CSR float64 (m, n) without explicit zeros, `bias` float64 (m,)."""

    input: int
    matrix: sparse.csr_array
    bias: NDArray[np.float64]
    shape: tuple[int, ...]
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for one approximation: its degree, or its largest error relative to the largest absolute
    value in the range; None to choose."""

    degree: int | None = None
    precision: float | None = None


@dataclass(frozen=True, slots=True)
class Activation:
    """A function on each element: that of ACTIVATIONS called `function`, or else `definition`, which maps float64
    arrays to float64 arrays of the same shape."""

    input: int
    function: str
    parameters: tuple[float, ...]
    shape: tuple[int, ...]
    name: str
    definition: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    wish: Wish | None = None

    def apply(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The function at `x`."""
        if self.definition is not None:
            return self.definition(x)
        return np.asarray(ACTIVATIONS[self.function](x, *self.parameters))


@dataclass(frozen=True, slots=True)
class Chebyshev:
    """sum_i coefficients[i] * T_i on each element, which calibration keeps in [-1, 1]."""

    input: int
    coefficients: tuple[float, ...]
    shape: tuple[int, ...]
    name: str
    kind: str

    @property
    def depth(self) -> int:
        """Levels that it uses: ceil(log2(degree + 1))."""
        return (len(self.coefficients) - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Add:
    """a + b, equal shapes."""

    a: int
    b: int
    shape: tuple[int, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Multiply:
    """a * b on each element, equal shapes; a and b may be one value: a square."""

    a: int
    b: int
    shape: tuple[int, ...]
    name: str
    kind: str = "product"


TensorOp = Affine | Activation | Chebyshev | Add | Multiply


def reads(op: TensorOp) -> tuple[int, ...]:
    """The values that an operation reads."""
    return (op.a, op.b) if isinstance(op, Add | Multiply) else (op.input,)


@dataclass(frozen=True, slots=True, eq=False)
class TensorProgram:
    """Value 0 is the input, of `input_shape` (no batch axis); value i + 1 is made by operations[i]; `output` is a
    value, given out in `output_shape`. Operations read only values made before. Values are flat (C order): their shapes
    only say how images lie, and a reshape is no operation. verify_tensor_program says whether all of that holds."""

    input_shape: tuple[int, ...]
    operations: tuple[TensorOp, ...]
    output: int
    output_shape: tuple[int, ...]

    @property
    def value_count(self) -> int:
        return len(self.operations) + 1

    def shape(self, value: int) -> tuple[int, ...]:
        """The shape of a value."""
        return self.operations[value - 1].shape if value else self.input_shape

    def size(self, value: int) -> int:
        """The number of elements of a value."""
        return math.prod(self.shape(value))

    def consumers(self) -> list[list[int]]:
        """For each value the indices of the operations that read it (twice if they read it twice)."""
        found: list[list[int]] = [[] for _ in range(self.value_count)]
        for index, op in enumerate(self.operations):
            for value in reads(op):
                found[value].append(index)
        return found

    def __str__(self) -> str:
        lines = [f"v0: {self.input_shape}"]
        for index, op in enumerate(self.operations):
            read = ", ".join(f"v{value}" for value in reads(op))
            detail = f" nnz={op.matrix.nnz}" if isinstance(op, Affine) else ""
            lines.append(f"v{index + 1}: {op.shape} = {type(op).__name__}({read}){detail}  # {op.name}")
        return "\n".join([*lines, f"output v{self.output}"])


def verify_tensor_program(program: TensorProgram, stage: str) -> None:
    """PlanError, with the neighbourhood, if an operation is malformed; `stage` names the pass that made the program."""
    for index, op in enumerate(program.operations):
        problem = _problem(program, index, op)
        if problem:
            lines = str(program).splitlines()[max(0, index - 1) : index + 3]
            raise PlanError(f"after {stage}: operation {index} ({op.name}): {problem}\n" + "\n".join(lines))
    if not 0 <= program.output < program.value_count:
        raise PlanError(f"after {stage}: the output v{program.output} does not exist")
    if program.size(program.output) != math.prod(program.output_shape):
        raise PlanError(
            f"after {stage}: the output v{program.output} has not the shape {program.output_shape}"
        )


def _problem(program: TensorProgram, index: int, op: TensorOp) -> str | None:
    if any(not 0 <= value <= index for value in reads(op)):
        return f"reads {reads(op)}, but only values 0..{index} are made"
    sizes = [program.size(value) for value in reads(op)]
    size = math.prod(op.shape)
    if isinstance(op, Affine):
        if op.matrix.shape != (size, sizes[0]) or op.bias.shape != (size,):
            return (
                f"matrix {op.matrix.shape} and bias {op.bias.shape} do not map {sizes[0]} to {size} elements"
            )
        if not (np.all(np.isfinite(op.matrix.data)) and np.all(np.isfinite(op.bias))):
            return "a weight is NaN or infinite"
        return None
    if isinstance(op, Activation) and op.definition is None and op.function not in ACTIVATIONS:
        return f"unknown activation {op.function!r}"
    if isinstance(op, Chebyshev) and len(op.coefficients) < 2:
        return "a polynomial needs degree >= 1"
    if any(other != size for other in sizes):
        return f"element-wise on {sizes} elements, result {size}"
    return None


def without_dead(
    input_shape: tuple[int, ...], operations: Sequence[TensorOp], output: int, output_shape: tuple[int, ...]
) -> TensorProgram:
    """The program that keeps only what the output needs, renumbered."""
    needed = {output}
    for index in range(len(operations) - 1, -1, -1):
        if index + 1 in needed:
            needed.update(reads(operations[index]))
    number = {0: 0}
    kept: list[TensorOp] = []
    for index, op in enumerate(operations):
        if index + 1 in needed:
            kept.append(renumbered(op, number))
            number[index + 1] = len(kept)
    return TensorProgram(input_shape, tuple(kept), number[output], output_shape)


def renumbered(op: TensorOp, number: dict[int, int]) -> TensorOp:
    """The same operation on the values that `number` maps its operands to."""
    match op:
        case Affine():
            return Affine(number[op.input], op.matrix, op.bias, op.shape, op.name, op.kind)
        case Activation():
            return replace(op, input=number[op.input])
        case Chebyshev():
            return Chebyshev(number[op.input], op.coefficients, op.shape, op.name, op.kind)
        case Add():
            return Add(number[op.a], number[op.b], op.shape, op.name)
        case Multiply():
            return Multiply(number[op.a], number[op.b], op.shape, op.name, op.kind)
