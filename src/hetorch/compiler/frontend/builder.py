"""What the handlers of torch's operations build a TensorProgram with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.frontend.matrices import selection
from hetorch.errors import UnsupportedModelError
from hetorch.ir.analysis import AnalysisRow
from hetorch.ir.matrix_memory import SMALLER, too_large
from hetorch.ir.tensor_program import Activation, Add, Affine, Multiply, TensorOp, Wish

Array = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value that will be encrypted: its number in the program, and its shape as torch sees it, for a batch of one
    sample: the axis of the batch may lie anywhere, or be gone."""

    value: int
    shape: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Refusal(UnsupportedModelError):
    """One operation that cannot be compiled: `problem`, and `nearest`, what works instead."""

    def __init__(self, message: str, problem: str, nearest: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a torch operation, its arguments bound to the names of its schema. `shape` is that of its result,
    `shapes` those of its results if it has several; `where` is file:line of the user's module, or empty; `wish` what
    the user asked for its approximation; `real` whether its result has real numbers."""

    target: Any
    op: str
    arguments: Mapping[str, Any]
    shape: Shape
    shapes: tuple[Shape, ...]
    name: str
    kind: str
    where: str = ""
    wish: Wish | None = None
    real: bool = True

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def check_memory(self, weights: int) -> None:
        """A refusal if a matrix of so many weights cannot be compiled in the memory that is there."""
        problem = too_large([weights])
        if problem is not None:
            raise self.unsupported(problem, SMALLER)

    def unsupported(self, problem: str, nearest: str) -> Refusal:
        """The error that names the operation, the module and what works."""
        place = f" at {self.where}" if self.where else ""
        # A functional call is named after its operation: the line says more.
        named = (
            f" in {self.name} ({self.kind})" if self.kind != self.op else "" if place else f" in {self.name}"
        )
        return Refusal(f"{self.op}{named}{place}: {problem}; {nearest}", problem, nearest)

    def symbol(self, argument: str) -> Symbol:
        """An argument that must be encrypted data."""
        value = self.arguments[argument]
        if not isinstance(value, Symbol):
            raise self.unsupported(f"{argument} does not depend on the input", "exchange the operands")
        return value

    def constant(self, argument: str) -> Array | None:
        """An argument that must be known when compiling: float64, or None."""
        value = self.arguments[argument]
        if isinstance(value, Symbol):
            raise self.unsupported(f"{argument} depends on the input", "only fixed weights can stand here")
        return None if value is None else as_array(value)

    def integers(self, argument: str, count: int, default: int) -> list[int]:
        """An argument of one or `count` integers, or none: one for each spatial axis."""
        value = self.arguments.get(argument)
        if isinstance(value, int):
            return [value] * count
        if value is None or len(value) == 0:
            return [default] * count
        found = [int(item) for item in value]
        return found * count if len(found) == 1 else found

    def axes(self, argument: str, rank: int) -> list[int]:
        """An argument of axes (one, several, or none for all), counted from 0, in order."""
        value = self.arguments.get(argument)
        if isinstance(value, int):
            value = [value]
        if value is None or len(value) == 0:
            return list(range(rank))
        return sorted({int(axis) % rank for axis in value})

    def reduced_axes(self, argument: str, shape: Shape) -> list[int]:
        """The axes over which something of `shape` is reduced; a Refusal if the batch is one of them."""
        axes = self.axes(argument, len(shape))
        if 0 in axes and shape[0] == 1 and len(shape) > 1:
            raise self.unsupported("it mixes the samples of a batch", "give it the axes, without axis 0")
        return axes


@dataclass(slots=True)
class Builder:
    """Collects operations, and `rows`, what became of each call. `notes` are sentences for the user; `finishing` what
    was left to the client, in order."""

    operations: list[TensorOp] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: list[AnalysisRow] = field(default_factory=list)
    finishing: list[Callable[[torch.Tensor], torch.Tensor]] = field(default_factory=list)

    def affine(
        self,
        source: Symbol,
        matrix: sparse.csr_array,
        bias: Array | None,
        call: Call,
        shape: Shape | None = None,
    ) -> Symbol:
        """Matrix @ source + bias."""
        out = call.shape if shape is None else shape
        offset = np.zeros(matrix.shape[0]) if bias is None else np.ascontiguousarray(bias, dtype=np.float64)
        return self._append(
            Affine(source.value, matrix, offset.reshape(-1), own_shape(out), call.name, call.kind), out
        )

    def activation(
        self,
        source: Symbol,
        function: str,
        parameters: tuple[float, ...],
        call: Call,
        definition: Callable[[Array], Array] | None = None,
    ) -> Symbol:
        """A function of ir.activations, or `definition`, on each element."""
        op = Activation(
            source.value, function, parameters, own_shape(source.shape), call.name, definition, call.wish
        )
        return self._append(op, source.shape)

    def add(self, a: Symbol, b: Symbol, call: Call) -> Symbol:
        """A + b, equal shapes."""
        return self._append(Add(a.value, b.value, own_shape(a.shape), call.name), a.shape)

    def multiply(self, a: Symbol, b: Symbol, call: Call) -> Symbol:
        """A * b, equal shapes."""
        kind = "square" if a.value == b.value else "product"
        return self._append(Multiply(a.value, b.value, own_shape(a.shape), call.name, kind), a.shape)

    def move(
        self,
        source: Symbol,
        index: NDArray[np.int64],
        call: Call,
        values: Array | float = 1.0,
        bias: Array | None = None,
    ) -> Symbol:
        """Element i of the result is values[i] * source[index[i]] (0 where index[i] is -1) + bias[i]."""
        same = index.size == source.size and np.array_equal(index.reshape(-1), np.arange(source.size))
        if same and np.all(np.asarray(values) == 1.0) and (bias is None or not np.any(bias)):
            return Symbol(source.value, tuple(index.shape))
        return self.affine(source, selection(index, source.size, values), bias, call, tuple(index.shape))

    def scale(self, source: Symbol, factor: float, call: Call, offset: float = 0.0) -> Symbol:
        """Factor * source + offset, the same for all elements."""
        index = np.arange(source.size, dtype=np.int64).reshape(source.shape)
        return self.move(source, index, call, factor, np.full(source.size, offset))

    def made_by(self, symbol: Symbol) -> TensorOp | None:
        """The operation that made a value, None for the input."""
        return self.operations[symbol.value - 1] if symbol.value else None

    def _append(self, op: TensorOp, shape: Shape) -> Symbol:
        self.operations.append(op)
        return Symbol(len(self.operations), tuple(shape))


def own_shape(shape: Sequence[int]) -> Shape:
    """The shape in a TensorProgram, where no batch axis is: without a leading axis of length 1."""
    inner = tuple(shape[1:] if len(shape) > 1 and shape[0] == 1 else shape)
    return inner or (1,)


def as_array(value: Any) -> Array:
    """A constant (tensor or number) as float64."""
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().cpu().to(torch.float64).numpy())
    return np.asarray(value, dtype=np.float64)


def broadcast_index(source: Symbol, shape: Shape) -> NDArray[np.int64]:
    """For each element of a result of `shape`, the element of `source` that torch's broadcasting puts there."""
    whole = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    return np.ascontiguousarray(np.broadcast_to(whole, shape))


def expanded(builder: Builder, source: Symbol, shape: Shape, call: Call) -> Symbol:
    """The value broadcast to `shape`."""
    return source if source.shape == shape else builder.move(source, broadcast_index(source, shape), call)
