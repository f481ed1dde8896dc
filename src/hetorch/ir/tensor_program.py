"""A network as a program of few operations on flat tensors: sparse affine maps, activations, sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.engine.polynomial import polynomial_depth
from hetorch.errors import PlanFormatError
from hetorch.ir.activations import ACTIVATIONS
from hetorch.params.bootstrap_set import MESSAGE_RATIO

Array = NDArray[np.float64]

DENSE = 0.25
"""Share of non-zeros from which on a matrix is multiplied as a dense one: its product with a batch then reads memory
once, and not once per row. Raised, traces of large dense layers take longer and less memory."""

BLOCK = 1 << 14
"""Number of elements on which a series is evaluated at a time, so that its terms stay in the processor's cache. Raised,
they leave it; lowered, numpy's own steps take longer than the numbers."""


class _OfOneValue:
    __slots__ = ()
    input: int

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.input,)

    @property
    def depth(self) -> int:
        return 1


class _OfTwoValues:
    __slots__ = ()
    a: int
    b: int

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.a, self.b)

    @property
    def depth(self) -> int:
        return 1


MASK = "mask"
"""Kind of an identity map that sets the unused slots of its input to zero."""
SIDE = "line"
"""Kind of a map beside the longest path of its activation, which reads a value that its polynomial needs anyway. It is
not fused with the map that makes this value, which would run twice then."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine(_OfOneValue):
    """The affine map matrix @ input + bias.

    `matrix` is CSR float64 (m, n) without explicit zeros, `bias` float64 (m,).
    """

    input: int
    matrix: sparse.csr_array
    bias: Array
    shape: tuple[int, ...]
    name: str
    kind: str

    def renumbered(self, number: Mapping[int, int]) -> Affine:
        return replace(self, input=number[self.input])

    def problem(self, sizes: Sequence[int]) -> str | None:
        size = math.prod(self.shape)
        if self.matrix.shape != (size, sizes[0]) or self.bias.shape != (size,):
            return f"matrix {self.matrix.shape} and bias {self.bias.shape} do not map {sizes[0]} to {size} elements"
        if not (np.all(np.isfinite(self.matrix.data)) and np.all(np.isfinite(self.bias))):
            return "a weight is NaN or infinite"
        return None

    def evaluate(self, values: Sequence[Array] | Mapping[int, Array]) -> Array:
        rows, columns = self.matrix.shape
        dense = self.matrix.nnz >= rows * columns * DENSE and len(values[self.input]) > 1
        matrix = self.matrix.toarray() if dense else self.matrix
        result = np.asarray(matrix @ values[self.input].T)
        result += self.bias[:, None]
        return result.T


@dataclass(frozen=True, slots=True)
class Wish:
    """The user's request for one approximation; a field that is None is chosen by the compiler.

    `degree`: the degree of the polynomial. `precision`: its largest error, relative to the function's largest absolute
    value in the range.
    """

    degree: int | None = None
    precision: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ElementRange:
    """The least and the largest value of each element, (size,) each."""

    low: Array
    high: Array


POLYNOMIAL = "polynomial"
"""Name of the function of an activation that is a polynomial already."""


@dataclass(frozen=True, slots=True)
class Activation(_OfOneValue):
    """An element-wise function, before it is approximated.

    With a `definition`, it is this function, which maps float64 arrays to float64 arrays of the same shape. Otherwise
    it is ACTIVATIONS[function] with `parameters`.

    With an `exact_degree` it is a polynomial of this degree for each element, and stays what it is: the definition then
    takes arrays whose last axis counts the elements. `trained` is the range that its input had in training.
    """

    input: int
    function: str
    parameters: tuple[float, ...]
    shape: tuple[int, ...]
    name: str
    definition: Callable[[Array], Array] | None = None
    wish: Wish | None = None
    exact_degree: int | None = None
    trained: ElementRange | None = None

    def renumbered(self, number: Mapping[int, int]) -> Activation:
        return replace(self, input=number[self.input])

    def problem(self, sizes: Sequence[int]) -> str | None:
        if self.definition is None and self.function not in ACTIVATIONS:
            return f"unknown activation {self.function!r}"
        return _element_wise(self.shape, sizes)

    def apply(self, x: Array) -> Array:
        """Return the function at `x`."""
        if self.definition is not None:
            return self.definition(x)
        return np.asarray(ACTIVATIONS[self.function](x, *self.parameters))

    def evaluate(self, values: Sequence[Array] | Mapping[int, Array]) -> Array:
        return self.apply(values[self.input])


@dataclass(frozen=True, slots=True)
class Chebyshev(_OfOneValue):
    """The Chebyshev series sum_i coefficients[i] * T_i of each element, which calibration keeps in [-1, 1]."""

    input: int
    coefficients: tuple[float, ...]
    shape: tuple[int, ...]
    name: str
    kind: str

    @property
    def depth(self) -> int:
        return polynomial_depth(len(self.coefficients) - 1)

    def renumbered(self, number: Mapping[int, int]) -> Chebyshev:
        return replace(self, input=number[self.input])

    def problem(self, sizes: Sequence[int]) -> str | None:
        if len(self.coefficients) < 2:
            return "a polynomial needs degree >= 1"
        return _element_wise(self.shape, sizes)

    def evaluate(self, values: Sequence[Array] | Mapping[int, Array]) -> Array:
        x = values[self.input]
        # Maps leave their results sample by sample; numbers are taken in the order in which they lie in memory.
        by_columns = x.flags.f_contiguous
        flat = (x.T if by_columns else x).reshape(-1)
        result = np.empty_like(flat)
        for start in range(0, flat.size, BLOCK):
            block = slice(start, start + BLOCK)
            result[block] = _series(flat[block], self.coefficients)
        return result.reshape(x.shape[::-1]).T if by_columns else result.reshape(x.shape)


def _series(x: Array, coefficients: Sequence[float]) -> Array:
    """Return the Chebyshev series at `x`; one without odd terms but T_1 in half the time, by T_2k(x) = T_k(2x² - 1)."""
    if len(coefficients) < 4 or any(coefficients[3::2]):
        return np.asarray(chebyshev.chebval(x, coefficients))
    return np.asarray(chebyshev.chebval(2 * x * x - 1, coefficients[::2]) + coefficients[1] * x)


@dataclass(frozen=True, slots=True)
class Add(_OfTwoValues):
    """The sum a + b of values with equal shapes."""

    a: int
    b: int
    shape: tuple[int, ...]
    name: str

    @property
    def depth(self) -> int:
        return 0

    def renumbered(self, number: Mapping[int, int]) -> Add:
        return replace(self, a=number[self.a], b=number[self.b])

    def problem(self, sizes: Sequence[int]) -> str | None:
        return _element_wise(self.shape, sizes)

    def evaluate(self, values: Sequence[Array] | Mapping[int, Array]) -> Array:
        return values[self.a] + values[self.b]


@dataclass(frozen=True, slots=True)
class Multiply(_OfTwoValues):
    """The element-wise product a * b of values with equal shapes; a and b may be one value (a square)."""

    a: int
    b: int
    shape: tuple[int, ...]
    name: str
    kind: str = "product"

    def renumbered(self, number: Mapping[int, int]) -> Multiply:
        return replace(self, a=number[self.a], b=number[self.b])

    def problem(self, sizes: Sequence[int]) -> str | None:
        return _element_wise(self.shape, sizes)

    def evaluate(self, values: Sequence[Array] | Mapping[int, Array]) -> Array:
        return values[self.a] * values[self.b]


@dataclass(frozen=True, slots=True)
class Bootstrap(_OfOneValue):
    """The input at a high level, as a sine that stands for the identity: values up to `bound` keep within 1e-4 of it.

    Unlike that of other operations, its result is at a higher level than its input.
    """

    input: int
    bound: float
    shape: tuple[int, ...]
    name: str

    @property
    def depth(self) -> int:
        return 0

    def renumbered(self, number: Mapping[int, int]) -> Bootstrap:
        return replace(self, input=number[self.input])

    def problem(self, sizes: Sequence[int]) -> str | None:
        if not (self.bound > 0 and math.isfinite(self.bound)):
            return f"a bootstrap needs a bound above 0, got {self.bound}"
        return _element_wise(self.shape, sizes)

    def evaluate(self, values: Sequence[Array] | Mapping[int, Array]) -> Array:
        period = self.bound * MESSAGE_RATIO
        return np.asarray(np.sin(values[self.input] * (2 * np.pi / period)) * (period / (2 * np.pi)))


TensorOp = Affine | Activation | Chebyshev | Add | Multiply | Bootstrap
"""An operation of a TensorProgram.

Each class has `reads` (the values that it reads), `depth` (the number of levels that it uses), `renumbered` (the same
operation on operands with new numbers), `problem` (the reason why it is malformed for operands of these sizes, or None)
and `evaluate` (its result on a batch; a value is a float64 array of shape (batch, size of the value)).
"""


def _element_wise(shape: tuple[int, ...], sizes: Sequence[int]) -> str | None:
    size = math.prod(shape)
    return f"element-wise on {sizes} elements, result {size}" if any(n != size for n in sizes) else None


@dataclass(frozen=True, slots=True, eq=False)
class TensorProgram:
    """A network: value 0 is the input, of `input_shape` (no batch axis), and operations[i] makes value i + 1.

    `output` is the value that the network returns, in `output_shape`. Operations read only values made before them.
    Values are flat (C order): their shapes only tell how images lie, so a reshape is not an operation.
    verify_tensor_program checks these rules.
    """

    input_shape: tuple[int, ...]
    operations: tuple[TensorOp, ...]
    output: int
    output_shape: tuple[int, ...]

    @property
    def value_count(self) -> int:
        return len(self.operations) + 1

    def shape(self, value: int) -> tuple[int, ...]:
        """Return the shape of a value."""
        return self.operations[value - 1].shape if value else self.input_shape

    def size(self, value: int) -> int:
        """Return the number of elements of a value."""
        return math.prod(self.shape(value))

    def consumers(self) -> list[list[int]]:
        """Return, for each value, the indices of the operations that read it (twice if they read it twice)."""
        readers: list[list[int]] = [[] for _ in range(self.value_count)]
        for index, op in enumerate(self.operations):
            for value in op.reads:
                readers[value].append(index)
        return readers

    def __str__(self) -> str:
        lines = [f"v0: {self.input_shape}"]
        for index, op in enumerate(self.operations):
            read = ", ".join(f"v{value}" for value in op.reads)
            detail = f" nnz={op.matrix.nnz}" if isinstance(op, Affine) else ""
            lines.append(f"v{index + 1}: {op.shape} = {type(op).__name__}({read}){detail}  # {op.name}")
        return "\n".join([*lines, f"output v{self.output}"])


def verify_tensor_program(program: TensorProgram, stage: str) -> None:
    """Raise PlanFormatError if an operation is malformed; the message shows the operations around it.

    `stage`: the name of the pass that made the program.
    """
    for index, op in enumerate(program.operations):
        problem = _problem(program, index, op)
        if problem:
            lines = str(program).splitlines()[max(0, index - 1) : index + 3]
            raise PlanFormatError(
                f"after {stage}: operation {index} ({op.name}): {problem}\n" + "\n".join(lines)
            )
    if not 0 <= program.output < program.value_count:
        raise PlanFormatError(f"after {stage}: the output v{program.output} does not exist")
    if program.size(program.output) != math.prod(program.output_shape):
        raise PlanFormatError(
            f"after {stage}: the output v{program.output} has not the shape {program.output_shape}"
        )


def _problem(program: TensorProgram, index: int, op: TensorOp) -> str | None:
    if any(not 0 <= value <= index for value in op.reads):
        return f"reads {op.reads}, but only values 0..{index} are made"
    return op.problem([program.size(value) for value in op.reads])


def without_dead(
    input_shape: tuple[int, ...], operations: Sequence[TensorOp], output: int, output_shape: tuple[int, ...]
) -> TensorProgram:
    """Return the program of the operations that the output needs, renumbered."""
    needed = {output}
    for index in range(len(operations) - 1, -1, -1):
        if index + 1 in needed:
            needed.update(operations[index].reads)
    number = {0: 0}
    kept: list[TensorOp] = []
    for index, op in enumerate(operations):
        if index + 1 in needed:
            kept.append(op.renumbered(number))
            number[index + 1] = len(kept)
    return TensorProgram(input_shape, tuple(kept), number[output], output_shape)
