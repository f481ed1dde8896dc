"""Models that return several tensors, or one with a name: dictionaries, objects with attributes, tuples.

The plan returns one row that holds all outputs, each flattened; its Interface tells the client their names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.frontend.graph.user_code import described
from hetorch.compiler.frontend.operations.builder import Builder
from hetorch.compiler.frontend.operations.call import Symbol
from hetorch.compiler.frontend.operations.matrices import selection
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.analysis import Analysis
from hetorch.ir.tensor_program import Add, Affine, TensorProgram
from hetorch.plan.heads import MOST_AXES, Head
from hetorch.plan.output_functions import OutputFunction

Array = NDArray[np.float64]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The tensors in what a model returns: the `paths` to them (the keys, attributes and positions), their `names`, and
    `by_name`, False if they form a tuple. `left_out` are names of results that are no real numbers.

    A model that returns one tensor has the path () and no name.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    by_name: bool = True
    left_out: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """True if the model returns one tensor."""
        return self.paths == ((),)

    @property
    def note(self) -> str:
        """A sentence for the user on the results that are left out, or nothing."""
        if not self.left_out:
            return ""
        names = ", ".join(self.left_out)
        return (
            f"the model's output {names} holds whole numbers, which the client computes"
            if len(self.left_out) == 1
            else f"the model's outputs {names} hold whole numbers, which the client computes"
        )

    def pick(self, result: object) -> tuple[torch.Tensor, ...]:
        """Return the tensors in a result."""
        tensors: list[Any] = []
        for path in self.paths:
            value: Any = result
            for step in path:
                value = _children(value)[step]
            tensors.append(value)
        return tuple(tensors)

    def chosen(self, wanted: Sequence[str] | None, name: str) -> Outputs:
        """Return those of the outputs that the option `outputs` names, in its order; all if it is None.

        InputError if the model `name` has no such output.
        """
        if wanted is None:
            return self
        known = dict(zip(self.names, self.paths, strict=True)) if self.names else {}
        missing = [text for text in wanted if text not in known]
        if missing:
            whole = ", ".join(text for text in missing if text in self.left_out)
            raise InputError(
                f"outputs= names {', '.join(missing)}, and {name} returns "
                f"{', '.join(known) or 'one tensor without a name'}"
                + (f"; {whole} holds whole numbers, which the client computes" if whole else "")
            )
        return dataclasses.replace(
            self, paths=tuple(known[text] for text in wanted), names=tuple(wanted), by_name=self.by_name
        )


class Picked(torch.nn.Module):
    """A module that returns a tuple of the tensors in what `model` returns."""

    def __init__(self, model: torch.nn.Module, outputs: Outputs) -> None:
        super().__init__()
        self.model = model
        self.outputs = outputs

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tensors on `x`."""
        return self.outputs.pick(self.model(x))


def find_outputs(result: object, batch: int, name: str) -> Outputs:
    """Return the outputs in the result of the model `name` on a batch.

    Raises:
        UnsupportedModelError: there are none (batch, ...).
    """
    paths: dict[Path, Any] = {}
    _collect(result, (), paths)
    tensors = {path: value for path, value in paths.items() if isinstance(value, torch.Tensor)}
    real = {path: value for path, value in tensors.items() if value.is_floating_point() or path == ()}
    wrong = [value for value in real.values() if value.ndim < 1 or value.shape[0] != batch]
    if not real or wrong or any(value.ndim - 1 > MOST_AXES for value in real.values()):
        seen = described(wrong[0]) if wrong else described(result)
        problem = (
            f"{name} must return a tensor (batch, ...), or several in a dictionary, a tuple or an object with "
            f"attributes; got {seen}"
        )
        raise UnsupportedModelError(problem, Analysis(name, (), problem))
    if tuple(real) == ((),):
        return Outputs(((),), ())
    by_name = not (isinstance(result, tuple | list) and not hasattr(result, "_fields"))
    names = {
        path: ".".join(map(str, path)) if by_name else f"output_{'_'.join(map(str, path))}"
        for path in tensors
    }
    left = tuple(names[path] for path in tensors if path not in real)
    return Outputs(tuple(real), tuple(names[path] for path in real), by_name, left)


def _collect(value: object, path: Path, found: dict[Path, Any]) -> None:
    children = {} if isinstance(value, torch.Tensor) else _children(value)
    if not children:
        found[path] = value
    for step, child in children.items():
        _collect(child, (*path, step), found)


def _children(value: Any) -> dict[str | int, Any]:
    """Return the parts of a result by name or position: of a dictionary, a dataclass, a named tuple, a tuple, or an
    object with attributes; none of anything else."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if hasattr(value, "_fields"):
        return {name: getattr(value, name) for name in value._fields}
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if value is None or isinstance(value, str | bytes | int | float | complex | type):
        return {}
    return {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("_")}


def heads_of(
    outputs: Outputs,
    shapes: Sequence[tuple[int, ...]],
    row: Array,
    functions: Callable[[int], tuple[OutputFunction, ...]],
) -> tuple[Head, ...]:
    """Return the heads of a model's outputs, whose values on the calibration inputs are the parts of `row` (batch,
    elements), and whose `functions` are those of their positions.

    A tensor without a name has none. Of several outputs, each is brought to a range of at most 1 around 0 by a power of
    two and its middle; one stays as it is.
    """
    if outputs.is_plain:
        return ()
    heads, begin = [], 0
    for position, (name, shape) in enumerate(zip(outputs.names, shapes, strict=True)):
        head = Head(name, shape, functions=functions(position))
        part = row[:, begin : begin + head.size]
        if len(shapes) > 1:
            low, high = float(part.min()), float(part.max())
            span = high - low or abs(high) or 1.0
            scale = 2.0 ** float(np.ceil(np.log2(span)))
            head = dataclasses.replace(head, scale=scale, offset=(low + high) / 2)
        heads.append(head)
        begin += head.size
    return tuple(heads)


def side_by_side(builder: Builder, outputs: Sequence[Symbol]) -> Symbol:
    """Append the row (1, elements) of several outputs, each flattened."""
    total: Symbol | None = None
    size = sum(output.size for output in outputs)
    begin = 0
    for output in outputs:
        index = np.full(size, -1, dtype=np.int64)
        index[begin : begin + output.size] = np.arange(output.size)
        begin += output.size
        op = Affine(output.value, selection(index, output.size), np.zeros(size), (size,), "outputs", "concat")
        builder.operations.append(op)
        part = Symbol(len(builder.operations), (1, size))
        if total is not None:
            builder.operations.append(Add(total.value, part.value, (size,), "outputs"))
            part = Symbol(len(builder.operations), (1, size))
        total = part
    assert total is not None
    return total


def scaled(program: TensorProgram, heads: Sequence[Head]) -> TensorProgram:
    """Return the program of a row of outputs with each output scaled as its head says, for the client to undo."""
    factors, offsets = _scaling(heads)
    matrix = sparse.csr_array(sparse.diags_array(factors))
    op = Affine(program.output, matrix, offsets, program.output_shape, "outputs", "scale")
    return TensorProgram(
        program.input_shape, (*program.operations, op), len(program.operations) + 1, program.output_shape
    )


def scaled_row(row: Array, heads: Sequence[Head]) -> Array:
    """Return the row (batch, elements) of outputs as the program of `scaled` computes it."""
    factors, offsets = _scaling(heads)
    return np.asarray(row * factors + offsets)


def _scaling(heads: Sequence[Head]) -> tuple[Array, Array]:
    factors = np.concatenate([np.full(head.size, 1 / head.scale) for head in heads])
    offsets = np.concatenate([np.full(head.size, -head.offset / head.scale) for head in heads])
    return factors, offsets
