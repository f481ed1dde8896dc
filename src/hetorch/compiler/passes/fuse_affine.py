"""Pass: fuse runs of affine operations, and sums of affine maps of one value, into one map each.

*Assumes* a sound program, with activations or without.
*Ensures* the same function in real numbers, on operations that the output needs; names and kinds of fused layers are
joined.

Rules: W(Ax) = (WA)x; W(Ax + y) = (WA)x + Wy, where that saves a level or non-zeros; Ax + Bx = (A + B)x; identities are
removed. A product is formed only if it does not hold many more non-zeros than its factors, so that a bottleneck stays
one, and not for a map of kind SIDE, whose source something else reads at a higher level. With a growth of 0, no
products are formed: identities are removed, and maps of one value are added up.

Without activations, also Dx + y = D(x + D^-1 y), where the diagonal map D reads the deepest value of the sum: D then
joins the map that reads the sum, which saves the same level as W(Dx + y) = (WD)x + Wy and takes W once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import SIDE, Activation, Add, Affine, TensorOp, TensorProgram, without_dead

GROWTHS = (2.0, 8.0)
"""Limits on the growth of a fused matrix: the ratio of its non-zeros to those of its factors. Raised, more maps are
fused: this takes more diagonals, but every fused pair saves a level in all operations before it. The pipeline tries
both limits and keeps the faster plan."""


WIDEST_SCALE = 2.0**10
"""Largest ratio of two factors of a diagonal map that a sum is divided by. Raised, more maps are saved, and values may
be larger by that factor."""


def fuse_affine(program: TensorProgram, growth: float = GROWTHS[0]) -> TensorProgram:
    """Return the same function with as few affine operations as the rules allow.

    `growth`: the largest number of non-zeros of a fused matrix, in multiples of those of its factors.
    """
    fuser = Fuser(growth)
    number = {0: 0}
    readers = program.consumers()
    pulls = _sums_to_pull(program, readers) if growth > 0 else [False] * len(program.operations)
    for index, op in enumerate(program.operations):
        match op:
            case Affine():
                value = fuser.affine(number[op.input], op.matrix, op.bias, op.shape, op.name, op.kind)
            case Add():
                value = fuser.add(number[op.a], number[op.b], op.shape, op.name, pulls=pulls[index])
            case _:
                value = fuser.append(op.renumbered(number))
        number[index + 1] = value
        if len(readers[index + 1]) > 1:
            fuser.share(value)
    output = number[program.output]
    if output == 0 and program.output_shape != program.input_shape:
        # Only a reshape is left. One value cannot have two shapes, so the output becomes a copy.
        size = program.size(0)
        whole = sparse.csr_array(sparse.eye_array(size, format="csr"))
        output = fuser.append(Affine(0, whole, np.zeros(size), program.output_shape, "output", "reshape"))
    return without_dead(program.input_shape, fuser.operations, output, program.output_shape)


def _sums_to_pull(program: TensorProgram, readers: list[list[int]]) -> list[bool]:
    """Return the sums, by index of operation, that maps read which a diagonal map of the sum joins: not diagonal ones,
    to which the terms are as good as the sum. In a program with activations there are none."""
    pulls = [False] * len(program.operations)
    if any(isinstance(op, Activation) for op in program.operations):
        return pulls
    for index in range(len(program.operations) - 1, -1, -1):
        for reader in readers[index + 1]:
            op = program.operations[reader]
            mixes = isinstance(op, Affine) and not is_diagonal(op.matrix)
            pulls[index] |= mixes or (isinstance(op, Add) and pulls[reader])
    return pulls


class Fuser:
    """A list of operations that is simplified as it grows. Reshapes of a value are dropped: only flat order matters.

    `depth` is the number of levels on the longest path to each value. `shared` are values that more than one operation
    reads.
    """

    def __init__(self, growth: float) -> None:
        self.growth = growth
        self.operations: list[TensorOp] = []
        self.depth = [0]
        self.shared: set[int] = set()

    def append(self, op: TensorOp) -> int:
        """Add an operation as it is, and return its value."""
        self.operations.append(op)
        self.depth.append(max(self.depth[value] for value in op.reads) + op.depth)
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
        if kind == SIDE:
            return self.append(Affine(source, matrix, bias, shape, name, kind))
        before = self.operations[source - 1] if source else None
        if isinstance(before, Affine):
            product = compose(matrix, before.matrix)
            if product.nnz <= self.growth * (matrix.nnz + before.matrix.nnz):
                total = np.asarray(matrix @ before.bias + bias)
                names = join(before.name, before.kind, name, kind)
                return self.affine(before.input, product, total, shape, *names)
        if isinstance(before, Add) and self._goes_through(matrix, source):
            a = self.affine(before.a, matrix, bias, shape, name, kind)
            b = self.affine(before.b, matrix, np.zeros_like(bias), shape, name, kind)
            return self.add(a, b, shape, name)
        return self.append(Affine(source, matrix, bias, shape, name, kind))

    def share(self, value: int) -> None:
        """Record that more than one operation reads a value: a map that makes it is fused with each of them."""
        self.shared.add(value)
        op = self.operations[value - 1] if value else None
        if isinstance(op, Affine):
            self.share(op.input)

    def _goes_through(self, matrix: sparse.csr_array, total: int) -> bool:
        """Return whether `matrix` is applied to each term of the sum `total`.

        That saves a level if it fuses with all of the deepest terms. Otherwise it is done only for fewer non-zeros, in
        a sum that nothing else reads.
        """
        terms = self._terms(total)
        deepest = max(self.depth[value] for value in terms)
        deep = {value for value in terms if self.depth[value] == deepest}
        saves = all(value and isinstance(self.operations[value - 1], Affine) for value in deep)
        if not saves and total in self.shared:
            return False
        fuses, before, after = False, float(matrix.nnz), 0.0
        for value in terms:
            op = self.operations[value - 1] if value else None
            factor = op.matrix.nnz if isinstance(op, Affine) else 0
            product = self._nonzeros(matrix, op.matrix) if isinstance(op, Affine) else np.inf
            fits = product <= self.growth * (matrix.nnz + factor)
            saves &= fits or value not in deep
            fuses |= fits
            before += factor
            after += product if fits else matrix.nnz + factor
        return fuses and (saves or (after < before and total not in self.shared))

    def _nonzeros(self, outer: sparse.csr_array, inner: sparse.csr_array) -> int:
        """Return the number of non-zeros of outer @ inner, or an upper bound of it that `growth` allows."""
        terms = int(np.diff(inner.indptr)[outer.indices].sum())
        bound = min(terms, outer.shape[0] * inner.shape[1])
        return bound if bound <= self.growth * (outer.nnz + inner.nnz) else int(compose(outer, inner).nnz)

    def add(self, a: int, b: int, shape: tuple[int, ...], name: str, *, pulls: bool = False) -> int:
        """Return the value a + b; terms that are affine in the same value become one map.

        With `pulls`, a diagonal map is pulled out of the sum where that is possible.
        """
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
        if pulls and (pulled := self._pulled(values, shape, name)) is not None:
            return pulled
        return self._chain(values, shape, name)

    def _chain(self, values: list[int], shape: tuple[int, ...], name: str) -> int:
        total = values[0]
        for value in values[1:]:
            total = self.append(Add(total, value, shape, name))
        return total

    def _pulled(self, values: list[int], shape: tuple[int, ...], name: str) -> int | None:
        """Return the sum of `values` as a diagonal map of a sum that takes one level less; None if there is none."""
        deepest = max(self.depth[value] for value in values)
        deep = [value for value in values if self.depth[value] == deepest]
        op = self.operations[deep[0] - 1] if deep[0] else None
        if len(deep) > 1 or len(values) < 2 or not isinstance(op, Affine) or not is_diagonal(op.matrix):
            return None
        factors = op.matrix.diagonal()
        used = np.abs(factors[factors != 0])
        if not used.size or used.max() > WIDEST_SCALE * used.min():
            return None
        inverse = np.divide(1.0, factors, out=np.zeros_like(factors), where=factors != 0)
        scaled, bias = [op.input], op.bias
        for value in values:
            term = self.operations[value - 1] if value else None
            if value == deep[0]:
                continue
            if not isinstance(term, Affine):
                if self.depth[value] + 1 >= deepest:
                    return None
                term = Affine(
                    value,
                    sparse.csr_array(sparse.eye_array(len(factors), format="csr")),
                    np.zeros(len(factors)),
                    shape,
                    name,
                    "scale",
                )
            if np.any(np.diff(term.matrix.indptr)[factors == 0]):
                return None
            bias = bias + term.bias
            matrix = compose(sparse.csr_array(sparse.diags_array(inverse, format="csr")), term.matrix)
            scaled.append(
                self.append(Affine(term.input, matrix, np.zeros_like(bias), shape, term.name, term.kind))
            )
        total = self._chain(scaled, shape, name)
        if is_identity(op.matrix) and not np.any(bias):
            return total
        return self.append(Affine(total, op.matrix, bias, shape, op.name, op.kind))

    def _terms(self, value: int) -> list[int]:
        """Return the values that are added up into `value`."""
        op = self.operations[value - 1] if value else None
        return self._terms(op.a) + self._terms(op.b) if isinstance(op, Add) else [value]


def compose(outer: sparse.csr_array, inner: sparse.csr_array) -> sparse.csr_array:
    """Return the product outer @ inner in canonical form: sorted indices, no explicit zeros.

    A product with a diagonal matrix shares the indices of the other factor: those of a deep network are large.
    """
    scaled = None
    if is_diagonal(outer):
        rows = np.repeat(outer.diagonal(), np.diff(inner.indptr))
        scaled = sparse.csr_array((inner.data * rows, inner.indices, inner.indptr), shape=inner.shape)
    elif is_diagonal(inner):
        columns = inner.diagonal().take(outer.indices)
        scaled = sparse.csr_array((outer.data * columns, outer.indices, outer.indptr), shape=outer.shape)
    if scaled is not None and np.all(scaled.data):
        return scaled
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


def is_diagonal(matrix: sparse.csr_array) -> bool:
    """Return whether `matrix` is square, with non-zeros on its diagonal only."""
    rows, columns = matrix.shape
    return rows == columns and bool(
        np.array_equal(matrix.indices, np.flatnonzero(np.diff(matrix.indptr) == 1))
    )


def join(first: str, first_kind: str, second: str, second_kind: str) -> tuple[str, str]:
    """Return the name and kind of two fused layers, each part once.

    A map of kind `scale` (of a completed square, of a range) or SIDE belongs to its activation: the name of the other
    layer is kept.
    """
    for inner in ("scale", SIDE):
        if inner in (first_kind, second_kind):
            return (first, first_kind) if second_kind == inner else (second, second_kind)
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
