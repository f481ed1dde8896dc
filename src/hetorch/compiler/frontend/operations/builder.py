"""The builder with which handlers write a TensorProgram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.frontend.operations.call import Array, Call, Shape, Symbol, own_shape
from hetorch.compiler.frontend.operations.matrices import selection
from hetorch.ir.analysis import AnalysisRow
from hetorch.ir.tensor_program import (
    POLYNOMIAL,
    Activation,
    Add,
    Affine,
    ElementRange,
    Multiply,
    TensorOp,
    Wish,
)
from hetorch.plan.output_functions import OutputFunction


@dataclass(slots=True)
class Builder:
    """The program so far: its `operations`; `rows`, one for each call of the model, for the analysis; `notes`,
    sentences for the user; and `finishing`, the functions left to the client, in order, each with the positions of the
    model's outputs that it belongs to."""

    operations: list[TensorOp] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: list[AnalysisRow] = field(default_factory=list)
    finishing: list[tuple[frozenset[int], OutputFunction]] = field(default_factory=list)

    def functions(self, position: int) -> tuple[OutputFunction, ...]:
        """Return the functions left to the client for the output at that position of what the model returns."""
        return tuple(function for ends, function in self.finishing if position in ends)

    def affine(
        self,
        source: Symbol,
        matrix: sparse.csr_array,
        bias: Array | None,
        call: Call,
        shape: Shape | None = None,
    ) -> Symbol:
        """Append matrix @ source + bias; the result has `shape`, or that of the call."""
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
        """Append an element-wise function: the one that hetorch.ir.activations knows as `function`, or `definition`."""
        op = Activation(
            source.value, function, parameters, own_shape(source.shape), call.name, definition, call.wish
        )
        return self._append(op, source.shape)

    def polynomial(
        self,
        source: Symbol,
        definition: Callable[[Array], Array],
        degree: int,
        trained: ElementRange | None,
        call: Call,
    ) -> Symbol:
        """Append a polynomial of each element, which stays as it is; its last axis counts the elements."""
        shape = own_shape(source.shape)
        wish = Wish(degree=degree)
        op = Activation(source.value, POLYNOMIAL, (), shape, call.name, definition, wish, degree, trained)
        return self._append(op, source.shape)

    def note_range(self, begin: int, entered: int, trained: Callable[[Shape], ElementRange | None]) -> None:
        """Give the activations from operation `begin` on their range in training, `trained` of their shape.

        Only those get it that read a value made before operation `entered`, the first one of their module.
        """
        for index in range(begin, len(self.operations)):
            op = self.operations[index]
            if isinstance(op, Activation) and op.input <= entered and op.trained is None:
                self.operations[index] = replace(op, trained=trained((1, *op.shape)))

    def add(self, a: Symbol, b: Symbol, call: Call) -> Symbol:
        """Append a + b, of equal shapes."""
        return self._append(Add(a.value, b.value, own_shape(a.shape), call.name), a.shape)

    def multiply(self, a: Symbol, b: Symbol, call: Call) -> Symbol:
        """Append a * b, element by element, of equal shapes."""
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
        """Append values[i] * source[index[i]] + bias[i], where an index of -1 reads 0. The result has the shape of
        `index`. Nothing is appended if that is the source itself."""
        same = index.size == source.size and np.array_equal(index.reshape(-1), np.arange(source.size))
        if same and np.all(np.asarray(values) == 1.0) and (bias is None or not np.any(bias)):
            return Symbol(source.value, tuple(index.shape))
        return self.affine(source, selection(index, source.size, values), bias, call, tuple(index.shape))

    def scale(self, source: Symbol, factor: float, call: Call, offset: float = 0.0) -> Symbol:
        """Append factor * source + offset, with the same factor and offset for all elements."""
        index = np.arange(source.size, dtype=np.int64).reshape(source.shape)
        return self.move(source, index, call, factor, np.full(source.size, offset))

    def producer(self, symbol: Symbol) -> TensorOp | None:
        """Return the operation that computes a value; None for the input."""
        return self.operations[symbol.value - 1] if symbol.value else None

    def _append(self, op: TensorOp, shape: Shape) -> Symbol:
        self.operations.append(op)
        return Symbol(len(self.operations), tuple(shape))


Result = Symbol | tuple[Symbol | None, ...]
"""The result of a call; of several results None stands for one that cannot be computed (the indices of a maximum)."""
Handler = Callable[[Builder, Call], Result]


def broadcast_index(source: Symbol, shape: Shape) -> NDArray[np.int64]:
    """Return, for each element of a result of `shape`, the element of `source` that broadcasting puts there."""
    whole = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    return np.ascontiguousarray(np.broadcast_to(whole, shape))


def expanded(builder: Builder, source: Symbol, shape: Shape, call: Call) -> Symbol:
    """Return the value broadcast to `shape`."""
    return source if source.shape == shape else builder.move(source, broadcast_index(source, shape), call)


def plus_constant(builder: Builder, call: Call, source: Symbol, constant: Array) -> Symbol:
    """Return source + constant, of the same size; a Refusal if the constant is not finite."""
    if not np.all(np.isfinite(constant)):
        raise call.unsupported(
            "it adds an infinite number", "use scaled_dot_product_attention, whose mask is understood"
        )
    index: NDArray[np.int64] = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    return builder.move(source, index, call, bias=constant)
