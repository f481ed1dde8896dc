"""Pass: drop the elements that pruning left over, so that they take no slots: constants, and those that nothing reads.

*Assumes* a program without activations.
*Ensures* the same outputs, up to the rounding of floating point; the input and the output keep their elements.

A row without weights makes a constant, which goes into the biases of the maps that read it, also through polynomials. A
column without weights is read by nothing. Images lose whole channels only, and tensors of two axes whole rows and
columns, so that they still lie on a grid; vectors lose single elements.

Elements that are left move to other slots when others are dropped, and weights that were zero along a diagonal then lie
on many. So there is a second result, in which nothing is dropped: elements that nothing reads are zero in their places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorOp, TensorProgram
from hetorch.ir.value_groups import value_groups

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """The smaller program, and a sentence for the user about each layer that became smaller.

    `kept`: the elements of each value that are left, as masks over those that it had. `in_place`: the program without
    the weights of the other elements, which keep their places.
    """

    program: TensorProgram
    notes: tuple[str, ...]
    kept: tuple[Mask, ...]
    in_place: TensorProgram


def drop_pruned(program: TensorProgram) -> Pruned:
    """Return the same function with smaller tensors; the program itself if nothing can be dropped."""
    folded = _fold_constants(program)
    group = value_groups(folded)
    live = _live(folded, group)
    kept = {name: _whole_channels(folded, group, name, mask) for name, mask in live.items()}
    if all(mask.all() for mask in kept.values()):
        return Pruned(program, (), tuple(kept[name] for name in group), program)
    operations: list[TensorOp] = []
    in_place: list[TensorOp] = []
    notes: list[str] = []
    for index, op in enumerate(folded.operations):
        mask = kept[group[index + 1]]
        in_place.append(_emptied(op, mask, kept[group[op.input]]) if isinstance(op, Affine) else op)
        shape = _smaller(op.shape, mask)
        if isinstance(op, Affine):
            matrix = sparse.csr_array(op.matrix[mask][:, kept[group[op.input]]])
            matrix.sort_indices()
            operations.append(replace(op, matrix=matrix, bias=op.bias[mask], shape=shape))
            if not mask.all():
                notes.append(
                    f"{op.name}: {int((~mask).sum())} of {len(mask)} results are pruned and take neither slots nor time"
                )
        else:
            operations.append(replace(op, shape=shape))
    return Pruned(
        TensorProgram(folded.input_shape, tuple(operations), folded.output, folded.output_shape),
        tuple(notes),
        tuple(kept[name] for name in group),
        replace(folded, operations=tuple(in_place)),
    )


def _emptied(op: Affine, made: Mask, read: Mask) -> Affine:
    """Return the map without the weights of elements that are not kept, of its result and of its input."""
    rows, columns = (sparse.diags_array(mask.astype(np.float64)) for mask in (made, read))
    matrix = sparse.csr_array(rows @ op.matrix @ columns)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return replace(op, matrix=matrix, bias=np.where(made, op.bias, 0.0))


def _fold_constants(program: TensorProgram) -> TensorProgram:
    """Turn the weights of constant elements into biases."""
    constants: list[Mask] = [np.zeros(program.size(0), dtype=bool)]
    values: list[Array] = [np.zeros(program.size(0))]
    operations: list[TensorOp] = []
    for op in program.operations:
        folded: TensorOp = op
        match op:
            case Affine():
                known = constants[op.input]
                matrix, bias = op.matrix, op.bias
                if known.any():
                    bias = bias + np.asarray(matrix @ np.where(known, values[op.input], 0.0))
                    matrix = sparse.csr_array(matrix @ sparse.diags_array((~known).astype(np.float64)))
                    matrix.eliminate_zeros()
                    matrix.sort_indices()
                    folded = replace(op, matrix=matrix, bias=bias)
                constants.append(np.diff(matrix.indptr) == 0)
                values.append(np.asarray(bias, dtype=np.float64))
            case Chebyshev():
                constants.append(constants[op.input])
                values.append(np.asarray(chebyshev.chebval(values[op.input], op.coefficients)))
            case Add() | Multiply():
                constants.append(constants[op.a] & constants[op.b])
                a, b = values[op.a], values[op.b]
                values.append(a + b if isinstance(op, Add) else a * b)
            case _:
                raise AssertionError("activations are approximated before this pass")
        # Values of elements that are not constant are never used: zeros cannot overflow.
        values[-1] = np.where(constants[-1], values[-1], 0.0)
        operations.append(folded)
    return TensorProgram(program.input_shape, tuple(operations), program.output, program.output_shape)


def _live(program: TensorProgram, group: list[int]) -> dict[int, Mask]:
    """Return, for each group, the elements that the output depends on; for the input and the output, all elements."""
    live = {group[v]: np.zeros(program.size(v), dtype=bool) for v in range(program.value_count)}
    live[group[0]][:] = True
    live[group[program.output]][:] = True
    maps = [(index, op) for index, op in enumerate(program.operations) if isinstance(op, Affine)]
    count = -1
    while count != (count := sum(int(mask.sum()) for mask in live.values())):
        for index, op in reversed(maps):
            wanted = live[group[index + 1]].astype(np.float64)
            live[group[op.input]] |= np.asarray(abs(op.matrix).T @ wanted) > 0
    return live


def _whole_channels(program: TensorProgram, group: list[int], name: int, mask: Mask) -> Mask:
    """Extend `mask`, the elements of group `name` that are kept, to whole channels of an image, to whole rows and
    columns, and to one element."""
    shapes = {program.shape(v) for v in range(program.value_count) if group[v] == name}
    shape = next(iter(shapes))
    kept = mask.copy()
    if len(shapes) > 1:
        kept[:] = True  # the group has two shapes, which have no channels in common
    elif len(shape) > 1:
        rows = kept.reshape(shape[0], -1)
        columns = rows.any(axis=0) if len(shape) == 2 else np.ones(rows.shape[1], dtype=bool)
        kept = np.outer(rows.any(axis=1), columns).reshape(-1)
    if not kept.any():
        kept[: 1 if len(shape) < 3 else math.prod(shape[1:])] = True
    return np.asarray(kept)


def _smaller(shape: tuple[int, ...], mask: Mask) -> tuple[int, ...]:
    """Return the shape that a tensor of `shape` has when only the elements of `mask` are kept."""
    if mask.all():
        return shape
    if len(shape) == 1:
        return (int(mask.sum()),)
    rows = mask.reshape(shape[0], -1)
    if len(shape) == 2:
        return (int(rows.any(axis=1).sum()), int(rows.any(axis=0).sum()))
    return (int(rows.any(axis=1).sum()), *shape[1:])
