"""Pass: runs of affine operations become one; sums of affine maps of one value become one.

Assumes that sums and affine maps are exact on the values that flow (they are: everything is linear algebra).
Rules: W(Ax) = (WA)x; W(Ax + y) = (WA)x + Wy; Ax + Bx = (A + B)x; an identity disappears. A product is formed only if it
does not hold many more non-zeros than its factors, so that a bottleneck stays one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import Add, Affine, TensorOp, TensorProgram, without_dead

GROWTHS = (2.0, 8.0)
"""How many times the non-zeros of its factors a fused matrix may hold. More non-zeros are more diagonals, but every
fused pair saves a level in all that comes before: the pipeline tries both and keeps the faster plan."""


def fuse_affine(program: TensorProgram, growth: float = GROWTHS[0]) -> TensorProgram:
    """The same function with as few affine operations as the rules give."""
    fuser = Fuser(program.input_shape, growth)
    number = {0: 0}
    for index, op in enumerate(program.operations):
        match op:
            case Affine():
                made = fuser.affine(number[op.input], op.matrix, op.bias, op.shape, op.name, op.kind)
            case Add():
                made = fuser.add(number[op.a], number[op.b], op.shape, op.name)
            case _:
                made = fuser.append(op.renumbered(number))
        number[index + 1] = made
    output = number[program.output]
    if output == 0 and program.output_shape != program.input_shape:
        # Nothing but a reshape is left. One value cannot have two shapes, so the output becomes a copy.
        size = program.size(0)
        whole = sparse.csr_array(sparse.eye_array(size, format="csr"))
        output = fuser.append(Affine(0, whole, np.zeros(size), program.output_shape, "output", "reshape"))
    return without_dead(program.input_shape, fuser.operations, output, program.output_shape)


class Fuser:
    """Builds operations, simplifying as it goes. Reshapes of a value are forgotten: only flat order matters."""

    def __init__(self, input_shape: tuple[int, ...], growth: float) -> None:
        self.input_shape = input_shape
        self.growth = growth
        self.operations: list[TensorOp] = []

    def append(self, op: TensorOp) -> int:
        """As it is."""
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
        """The value matrix @ source + bias."""
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
        """The value a + b, with the terms that are affine in one value gathered."""
        terms = self._terms(a) + self._terms(b)
        gathered: dict[int, Affine | None] = {}
        for value in terms:
            op = self.operations[value - 1] if value else None
            source = op.input if isinstance(op, Affine) else value
            if source not in gathered:
                gathered[source] = op if isinstance(op, Affine) else None
            else:
                first, second = gathered[source], op if isinstance(op, Affine) else None
                gathered[source] = _sum(source, first, second, shape, name)
        made: list[int] = []
        for source, term in gathered.items():
            if term is None:
                made.append(source)
            else:
                made.append(
                    self.affine(
                        source, term.matrix, term.bias, shape, *join(term.name, term.kind, name, "scale")
                    )
                )
        total = made[0]
        for value in made[1:]:
            total = self.append(Add(total, value, shape, name))
        return total

    def _terms(self, value: int) -> list[int]:
        op = self.operations[value - 1] if value else None
        return self._terms(op.a) + self._terms(op.b) if isinstance(op, Add) else [value]


def compose(outer: sparse.csr_array, inner: sparse.csr_array) -> sparse.csr_array:
    """The product outer @ inner in canonical form."""
    product = sparse.csr_array(outer @ inner)
    product.eliminate_zeros()
    product.sort_indices()
    return product


def is_identity(matrix: sparse.csr_array) -> bool:
    """Whether matrix is exactly the identity."""
    rows, columns = matrix.shape
    return bool(
        rows == columns
        and matrix.nnz == rows
        and np.all(matrix.data == 1.0)
        and np.array_equal(matrix.indices, np.arange(rows))
        and np.array_equal(matrix.indptr, np.arange(rows + 1))
    )


def join(first: str, first_kind: str, second: str, second_kind: str) -> tuple[str, str]:
    """Name and kind of two fused layers, each part once. A `scale` (of a completed square, of a range) belongs to its
    activation and gives way to the other one's name."""
    if "scale" in (first_kind, second_kind):
        return (first, first_kind) if second_kind == "scale" else (second, second_kind)
    return _once(first, second), _once(first_kind, second_kind)


def _once(first: str, second: str) -> str:
    parts = first.split(" + ")
    return " + ".join(parts + [part for part in second.split(" + ") if part not in parts])


def _sum(
    source: int, first: Affine | None, second: Affine | None, shape: tuple[int, ...], name: str
) -> Affine:
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
