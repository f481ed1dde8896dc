"""What the handlers of torch's operations build a TensorProgram with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from hetorch.errors import UnsupportedModelError
from hetorch.frontend.matrices import selection
from hetorch.ir.tensor_program import Activation, Add, Affine, Multiply, TensorOp

Array = NDArray[np.float64]
BATCH = 2
"""Batch size that models are exported with: the smallest one at which an operation that mixes samples shows itself."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value that will be encrypted: its number in the program, and its shape without the batch axis. `final` names
    the operation (softmax, argmax) that was left to the client, after which nothing may follow."""

    value: int
    shape: tuple[int, ...]
    final: str = ""

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a torch operation, its arguments bound to the names of its schema."""

    target: Any
    op: str
    arguments: Mapping[str, Any]
    shape: tuple[int, ...]
    name: str
    kind: str

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def unsupported(self, problem: str, nearest: str) -> UnsupportedModelError:
        """The error that names the operation, the module and what works."""
        return UnsupportedModelError(f"{self.op} in {self.name} ({self.kind}): {problem}; {nearest}")

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

    def pair(self, argument: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """An argument of one or two integers, as (height, width)."""
        value = self.arguments[argument]
        if isinstance(value, int):
            return (value, value)
        if not value and default is not None:
            return default
        return (int(value[0]), int(value[-1]))


@dataclass(slots=True)
class Builder:
    """Collects operations. `notes` are sentences for the user; `finishing` what was left to the client, in order."""

    operations: list[TensorOp] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finishing: list[Callable[[torch.Tensor], torch.Tensor]] = field(default_factory=list)

    def affine(
        self,
        source: Symbol,
        matrix: sparse.csr_array,
        bias: Array | None,
        call: Call,
        shape: tuple[int, ...] | None = None,
    ) -> Symbol:
        """Matrix @ source + bias."""
        out = call.shape if shape is None else shape
        offset = np.zeros(matrix.shape[0]) if bias is None else np.ascontiguousarray(bias, dtype=np.float64)
        return self._append(Affine(source.value, matrix, offset, out, call.name, call.kind))

    def activation(self, source: Symbol, function: str, parameters: tuple[float, ...], call: Call) -> Symbol:
        """A function of ir.activations on each element."""
        return self._append(Activation(source.value, function, parameters, source.shape, call.name))

    def add(self, a: Symbol, b: Symbol, call: Call) -> Symbol:
        """A + b, equal shapes."""
        return self._append(Add(a.value, b.value, a.shape, call.name))

    def multiply(self, a: Symbol, b: Symbol, call: Call) -> Symbol:
        """A * b, equal shapes."""
        kind = "square" if a.value == b.value else "product"
        return self._append(Multiply(a.value, b.value, a.shape, call.name, kind))

    def move(
        self, source: Symbol, index: NDArray[np.int64], call: Call, values: Array | float = 1.0
    ) -> Symbol:
        """Element i of the result is values[i] * source[index[i]] (0 where index[i] is -1)."""
        same = index.size == source.size and np.array_equal(index.reshape(-1), np.arange(source.size))
        if same and np.all(np.asarray(values) == 1.0):
            return Symbol(source.value, tuple(index.shape))
        return self.affine(source, selection(index, source.size, values), None, call, tuple(index.shape))

    def _append(self, op: TensorOp) -> Symbol:
        self.operations.append(op)
        return Symbol(len(self.operations), op.shape)


def as_array(value: Any) -> Array:
    """A constant (tensor or number) as float64."""
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().cpu().to(torch.float64).numpy())
    return np.asarray(value, dtype=np.float64)


def without_batch(constant: Array, shape: tuple[int, ...], call: Call) -> Array:
    """A constant broadcast to (batch, *shape), then one sample of it; it must be the same for every sample."""
    whole = np.broadcast_to(constant, (BATCH, *shape))
    if not all(np.array_equal(whole[0], sample) for sample in whole[1:]):
        raise call.unsupported("a constant differs between the samples of a batch", "use one for all samples")
    return np.ascontiguousarray(whole[0])
