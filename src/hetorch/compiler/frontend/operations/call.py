"""One call of a torch operation, as its handler sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.errors import UnsupportedModelError
from hetorch.ir.matrix_memory import SMALLER, too_large
from hetorch.ir.tensor_program import Wish

Array = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value that will be encrypted: its number in the program, and its shape as torch sees it for a batch of one
    sample. The batch axis may lie anywhere in the shape, or be missing."""

    value: int
    shape: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Refusal(UnsupportedModelError):
    """An operation that cannot be compiled: `problem` is the reason, `nearest` the nearest thing that works."""

    def __init__(self, message: str, problem: str, nearest: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the torch operation `target`, with its arguments bound to the names of its schema.

    `op` is the operation's name without its overload. `shape` is the shape of the result; an operation of several
    results has their `shapes`. `name` and `kind` are the path and the class of the module that makes the call, `where`
    is file:line of the user's code (or empty). `wish` is what the user asked for its approximation; `real` is True
    unless the result has whole numbers.
    """

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
        """Raise a Refusal if a matrix of `weights` non-zero entries does not fit the available memory."""
        problem = too_large([weights])
        if problem is not None:
            raise self.unsupported(problem, SMALLER)

    def unsupported(self, problem: str, nearest: str) -> Refusal:
        """Return the error to raise; its message names the operation, the module, the problem and what works."""
        place = f" at {self.where}" if self.where else ""
        # A functional call is named after its operation: the line says more.
        module = (
            f" in {self.name} ({self.kind})" if self.kind != self.op else "" if place else f" in {self.name}"
        )
        return Refusal(f"{self.op}{module}{place}: {problem}; {nearest}", problem, nearest)

    def symbol(self, argument: str) -> Symbol:
        """Return an argument that must be encrypted data; a Refusal if it is a constant."""
        value = self.arguments[argument]
        if not isinstance(value, Symbol):
            raise self.unsupported(f"{argument} does not depend on the input", "exchange the operands")
        return value

    def constant(self, argument: str) -> Array | None:
        """Return an argument that must be known at compile time, as float64 (or None); a Refusal if it is encrypted."""
        value = self.arguments[argument]
        if isinstance(value, Symbol):
            raise self.unsupported(f"{argument} depends on the input", "only fixed weights can stand here")
        return None if value is None else as_array(value)

    def integers(self, argument: str, count: int, default: int) -> list[int]:
        """Return `count` integers, one a spatial axis, from an argument that holds one integer, `count` of them, or
        none (then each is `default`)."""
        value = self.arguments.get(argument)
        if isinstance(value, int):
            return [value] * count
        if value is None or len(value) == 0:
            return [default] * count
        integers = [int(item) for item in value]
        return integers * count if len(integers) == 1 else integers

    def axes(self, argument: str, rank: int) -> list[int]:
        """Return the axes that an argument names (one, several, or all if it is empty), sorted and within 0..rank-1."""
        value = self.arguments.get(argument)
        if isinstance(value, int):
            value = [value]
        if value is None or len(value) == 0:
            return list(range(rank))
        return sorted({int(axis) % rank for axis in value})

    def reduced_axes(self, argument: str, shape: Shape) -> list[int]:
        """Return the axes over which a tensor of `shape` is reduced; a Refusal if the batch axis is one of them."""
        axes = self.axes(argument, len(shape))
        if 0 in axes and shape[0] == 1 and len(shape) > 1:
            raise self.unsupported("it mixes the samples of a batch", "give it the axes, without axis 0")
        return axes


def own_shape(shape: Sequence[int]) -> Shape:
    """Return the shape in a TensorProgram, which has no batch axis: a leading axis of length 1 is dropped."""
    inner = tuple(shape[1:] if len(shape) > 1 and shape[0] == 1 else shape)
    return inner or (1,)


def as_array(value: Any) -> Array:
    """Return a constant (tensor or number) as float64."""
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().cpu().to(torch.float64).numpy())
    return np.asarray(value, dtype=np.float64)
