"""Pass: fuse runs of affine operations, and sums of affine maps of one value, into one map each.

*Assumes* a sound program, with activations or without.
*Ensures* the same function in real numbers, on operations that the output needs; names and kinds of fused layers are
joined.

Rules: W(Ax) = (WA)x; W(Ax + y) = (WA)x + Wy; Ax + Bx = (A + B)x; identities are removed. A product is formed only if it
does not hold many more non-zeros than its factors, so that a bottleneck stays one. With a growth of 0, no products are
formed: identities are removed, and maps of one value are added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import Add, Affine, TensorOp, TensorProgram, without_dead

GROWTHS = (2.0, 8.0)
"""Limits on the growth of a fused matrix: the ratio of its non-zeros to those of its factors. Raised, more maps are
fused: this takes more diagonals, but every fused pair saves a level in all operations before it. The pipeline tries
both limits and keeps the faster plan."""


def fuse_affine(program: TensorProgram, growth: float = GROWTHS[0]) -> TensorProgram:
    """Return the same function with as few affine operations as the rules allow.

    `growth`: the largest number of non-zeros of a fused matrix, in multiples of those of its factors.
    """
    fuser = Fuser(growth)
    number = {0: 0}
    for index, op in enumerate(program.operations):
        match op:
            case Affine():
                value = fuser.affine(number[op.input], op.matrix, op.bias, op.shape, op.name, op.kind)
            case Add():
                value = fuser.add(number[op.a], number[op.b], op.shape, op.name)
            case _:
                value = fuser.append(op.renumbered(number))
        number[index + 1] = value
    output = number[program.output]
    if output == 0 and program.output_shape != program.input_shape:
        # Only a reshape is left. One value cannot have two shapes, so the output becomes a copy.
        size = program.size(0)
        whole = sparse.csr_array(sparse.eye_array(size, format="csr"))
        output = fuser.append(Affine(0, whole, np.zeros(size), program.output_shape, "output", "reshape"))
    return without_dead(program.input_shape, fuser.operations, output, program.output_shape)


class Fuser:
    """A list of operations that is simplified as it grows. Reshapes of a value are dropped: only flat order matters."""

    def __init__(self, growth: float) -> None:
        self.growth = growth
        self.operations: list[TensorOp] = []

    def append(self, op: TensorOp) -> int:
        """Add an operation as it is, and return its value."""
        self.operations.append(op)
        return len(self.operations)

    def affine(
        self,
        source: int,
        matrix: sparse.csr_array,
        bias: NDArray[np.float64],
        shape: tuple[int, ...],
        name: str,
        kind: str,
    ) -> int:
        """Return the value matrix @ source + bias, fused with the operation that makes `source` if `growth` allows."""
        if is_identity(matrix) and not np.any(bias):
            return source
        before = self.operations[source - 1] if source else None
        if isinstance(before, Affine):
            product = compose(matrix, before.matrix)
            if product.nnz <= self.growth * (matrix.nnz + before.matrix.nnz):
                total = np.asarray(matrix @ before.bias + bias)
                names = join(before.name, before.kind, name, kind)
                return self.affine(before.input, product, total, shape, *names)
        if isinstance(before, Add):
            parts = [self.operations[value - 1] if value else None for value in (before.a, before.b)]
            worth = [
                isinstance(part, Affine)
                and compose(matrix, part.matrix).nnz <= self.growth * (matrix.nnz + part.matrix.nnz)
                for part in parts
            ]
            if any(worth):
                a = self.affine(before.a, matrix, bias, shape, name, kind)
                b = self.affine(before.b, matrix, np.zeros_like(bias), shape, name, kind)
                return self.add(a, b, shape, name)
        return self.append(Affine(source, matrix, bias, shape, name, kind))

    def add(self, a: int, b: int, shape: tuple[int, ...], name: str) -> int:
        """Return the value a + b; terms that are affine in the same value become one map."""
        terms = self._terms(a) + self._terms(b)
        gathered: dict[int, Affine | None] = {}  # by source; None for the source itself
        for value in terms:
            op = self.operations[value - 1] if value else None
            source = op.input if isinstance(op, Affine) else value
            if source not in gathered:
                gathered[source] = op if isinstance(op, Affine) else None
            else:
                first, second = gathered[source], op if isinstance(op, Affine) else None
                gathered[source] = _sum(source, first, second, shape, name)
        values: list[int] = []
        for source, term in gathered.items():
            if term is None:
                values.append(source)
            else:
                names = join(term.name, term.kind, name, "scale")
                values.append(self.affine(source, term.matrix, term.bias, shape, *names))
        total = values[0]
        for value in values[1:]:
            total = self.append(Add(total, value, shape, name))
        return total

    def _terms(self, value: int) -> list[int]:
        """Return the values that are added up into `value`."""
        op = self.operations[value - 1] if value else None
        return self._terms(op.a) + self._terms(op.b) if isinstance(op, Add) else [value]


def compose(outer: sparse.csr_array, inner: sparse.csr_array) -> sparse.csr_array:
    """Return the product outer @ inner in canonical form: sorted indices, no explicit zeros."""
    product = sparse.csr_array(outer @ inner)
    product.eliminate_zeros()
    product.sort_indices()
    return product


def is_identity(matrix: sparse.csr_array) -> bool:
    """Return whether `matrix` is exactly the identity."""
    rows, columns = matrix.shape
    return bool(
        rows == columns
        and matrix.nnz == rows
        and np.all(matrix.data == 1.0)
        and np.array_equal(matrix.indices, np.arange(rows))
        and np.array_equal(matrix.indptr, np.arange(rows + 1))
    )


def join(first: str, first_kind: str, second: str, second_kind: str) -> tuple[str, str]:
    """Return the name and kind of two fused layers, each part once.

    A map of kind `scale` (of a completed square, of a range) belongs to its activation: the other layer's name is kept.
    """
    if "scale" in (first_kind, second_kind):
        return (first, first_kind) if second_kind == "scale" else (second, second_kind)
    return _once(first, second), _once(first_kind, second_kind)


def _once(first: str, second: str) -> str:
    parts = first.split(" + ")
    return " + ".join(parts + [part for part in second.split(" + ") if part not in parts])


def _sum(
    source: int, first: Affine | None, second: Affine | None, shape: tuple[int, ...], name: str
) -> Affine:
    """Return the sum of two maps of `source`; None stands for the identity."""
    term = second if first is None else first
    if first is None or second is None:
        size = term.matrix.shape[1] if term is not None else int(np.prod(shape))
        identity = sparse.csr_array(sparse.eye_array(size, format="csr"))
        other, bias = identity, np.zeros(size)
    else:
        other, bias = second.matrix, second.bias
    if term is None:
        return Affine(source, sparse.csr_array(2.0 * other), bias, shape, name, "sum")
    matrix = sparse.csr_array(term.matrix + other)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    if first is None or second is None:
        names = join(term.name, term.kind, name, "scale")
    else:
        names = join(first.name, first.kind, second.name, second.kind)
    return Affine(source, matrix, term.bias + bias, shape, *names)
