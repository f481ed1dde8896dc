"""The groups of weights that share a diagonal in the layouts which the compiler chooses.

A fused map is before @ layer @ after in the captured program: the maps with which the layer was fused on either side.
So each weight of the layer reaches some entries of the fused matrix, and each entry lies on a diagonal. A diagonal goes
when all weights that reach it are zero. With pooling fused to a convolution, one weight reaches several diagonals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from hetorch.compiler.options import CompileOptions
from hetorch.compiler.packing.diagonals import coordinates, find_diagonals
from hetorch.compiler.packing.lower import MapOutline
from hetorch.compiler.passes.fuse_affine import is_diagonal
from hetorch.errors import InputError
from hetorch.ir.tensor_program import Add, Affine, TensorProgram
from hetorch.train.pruning.chosen_layout import ChosenLayout
from hetorch.train.pruning.weight_entries import Entries, prunable_layers, tagged_model

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_TERMS = 1 << 25
"""Largest number of (entry of a layer, entry of its fused map) pairs that are followed: about ten seconds. Raised, more
layers that are fused with large maps are pruned."""
TERMS_AT_ONCE = 1 << 20
"""Number of such pairs in memory, at 8 bytes and about ten numbers each. Raised, it takes more memory."""


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalGroups:
    """The prunable diagonals of a model.

    layers     names of the layers, in order
    offsets    place of the first weight of each layer among all weights, and at the end the number of all weights
    weights    Boolean (diagonals, weights): the weights that must be zero for a diagonal to go
    maps       the map that each diagonal belongs to, as a number
    seconds    predicted seconds of the product with each diagonal
    rotations  Boolean (rotations, diagonals): the diagonals that need a rotation; it goes with the last of them
    rotation_seconds  predicted seconds of each rotation
    """

    layers: tuple[str, ...]
    offsets: tuple[int, ...]
    weights: sparse.csr_array
    maps: Indices
    seconds: Array
    rotations: sparse.csr_array
    rotation_seconds: Array

    def slices(self) -> Iterator[tuple[str, slice]]:
        """Return each layer's name with the range of its weights."""
        for number, name in enumerate(self.layers):
            yield name, slice(self.offsets[number], self.offsets[number + 1])


@dataclass(frozen=True, slots=True, eq=False)
class _MapGroups:
    """The groups of one map; `pairs` are the (diagonal, weight) pairs, of those diagonals that are `complete`."""

    pairs: tuple[Indices, Indices]
    complete: NDArray[np.bool_]


def find_groups(
    model: nn.Module,
    example_inputs: object,
    layout: ChosenLayout,
    options: CompileOptions,
    layers: Sequence[str] | None = None,
) -> DiagonalGroups:
    """Return the diagonals of a layout with the weights behind them.

    Args:
        model: the model.
        example_inputs: those with which the layout was chosen.
        layout: the compiler's choice for the model.
        options: those with which the layout was chosen.
        layers: names of the layers to prune; all convolutions and linear layers if None.

    Raises:
        InputError: no weights can be pruned in this way.
    """
    sizes = {name: module.weight.numel() for name, module in prunable_layers(model).items()}
    wanted = list(sizes) if layers is None else list(layers)
    unknown = [name for name in wanted if name not in sizes]
    if unknown:
        raise InputError(
            f"layers: {unknown[0]!r} has no weights to prune; those that have: {', '.join(sizes)}"
        )
    tagged = tagged_model(model, example_inputs, options)
    offsets = np.cumsum([0, *(sizes[name] for name in wanted)])
    builder = _Builder(layout)
    for index, lowered in layout.choice.lowered.items():
        found = _map_groups(
            tagged.program, index, layout, [tagged.entries.get(n, ()) for n in wanted], offsets
        )
        if found is not None:
            builder.add(index, lowered, found)
    return builder.groups(tuple(wanted), tuple(int(offset) for offset in offsets))


def _map_groups(
    program: TensorProgram,
    index: int,
    layout: ChosenLayout,
    layers: Sequence[Sequence[Entries]],
    offsets: Indices,
) -> _MapGroups | None:
    """Return the groups of operation `index` of the chosen variant; None if no weights are found behind its entries."""
    variant, placements = layout.choice.variant, layout.choice.layouts.placements
    op = variant.program.operations[index]
    assert isinstance(op, Affine)
    if is_diagonal(op.matrix):
        return None
    rows, columns = coordinates(op.matrix)
    diagonals = find_diagonals(rows, columns, placements[op.input], placements[index + 1])
    assert diagonals is not None
    finder = _Finder(
        program,
        frozenset(op.name.split(" + ")),
        _numbers(variant.kept[index + 1]),
        _numbers(variant.kept[op.input]),
        rows * op.matrix.shape[1] + columns,
        op.matrix.shape[1],
    )
    total = np.bincount(diagonals.chosen, minlength=len(diagonals.indices))
    assigned = np.zeros(len(total), dtype=bool)
    pairs: list[tuple[Indices, Indices]] = []
    for number, entries in enumerate(layers):
        reached = np.zeros(len(rows), dtype=bool)
        own: list[Indices] = []
        count = int(offsets[-1])
        for places, weights in finder.reached_entries(entries):
            reached[places] = True
            own.append(np.unique(diagonals.chosen[places] * count + weights + offsets[number]))
        # A diagonal belongs to the first layer that reaches all of its entries.
        complete = np.bincount(diagonals.chosen[reached], minlength=len(total)) == total
        complete &= ~assigned & (total > 0)
        if own and complete.any():
            diagonal, weight = np.divmod(np.unique(np.concatenate(own)), count)
            pairs.append((diagonal[complete[diagonal]], weight[complete[diagonal]]))
            assigned |= complete
    if not pairs:
        return None
    joined = (np.concatenate([d for d, _ in pairs]), np.concatenate([w for _, w in pairs]))
    return _MapGroups(joined, assigned)


def _numbers(kept: NDArray[np.bool_]) -> Indices:
    """Return the place of each element among those that are kept, -1 for the others."""
    return np.where(kept, np.cumsum(kept) - 1, -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Finder:
    """Finds the entries of one fused map that a layer's entries reach.

    `parts`: the names of the layers that were fused. `rows` and `columns`: the place of each element of the result and
    of the input in the map's matrix. `keys`: the matrix's non-zeros, ascending, as row * `width` + column.
    """

    program: TensorProgram
    parts: frozenset[str]
    rows: Indices
    columns: Indices
    keys: Indices
    width: int

    def reached_entries(self, layer: Sequence[Entries]) -> Iterator[tuple[Indices, Indices]]:
        """Return places among the map's non-zeros and the weights that reach them, some at a time."""
        for entries in layer:
            op = self.program.operations[entries.index]
            if op.name not in self.parts:
                continue
            assert isinstance(op, Affine)
            before = self._before(op.input).get(len(self.columns))
            after = self._after(entries.index + 1).get(len(self.rows))
            if before is not None and after is not None:
                yield from self._expanded(entries, before, sparse.csr_array(after.T))

    def _expanded(
        self, entries: Entries, before: sparse.csr_array, after: sparse.csr_array
    ) -> Iterator[tuple[Indices, Indices]]:
        """Follow each entry to the elements that `before` reads for it and those that `after` makes of it."""
        width = np.diff(before.indptr)[entries.columns].astype(np.int64)
        count = width * np.diff(after.indptr)[entries.rows]
        ends = np.cumsum(count)
        if not len(ends) or ends[-1] > MOST_TERMS:
            return
        cuts = np.searchsorted(ends, np.arange(TERMS_AT_ONCE, ends[-1], TERMS_AT_ONCE), side="right")
        for part in np.split(np.arange(len(count)), cuts):
            each = np.repeat(part, count[part])
            inside = np.arange(len(each)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
            made, read = np.divmod(inside, np.maximum(width[each], 1))
            row = self.rows[after.indices[after.indptr[entries.rows[each]] + made]]
            column = self.columns[before.indices[before.indptr[entries.columns[each]] + read]]
            key = row * self.width + column
            place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
            there = (row >= 0) & (column >= 0) & (self.keys[place] == key)
            yield place[there], entries.weights[each[there]]

    def _before(self, value: int) -> dict[int, sparse.csr_array]:
        """Return, by size of the value at which the fused map begins, the elements of it that `value` depends on."""
        op = self.program.operations[value - 1] if value else None
        if isinstance(op, Affine) and op.name in self.parts:
            pattern = _pattern(op.matrix)
            return {size: _pattern(pattern @ inner) for size, inner in self._before(op.input).items()}
        if isinstance(op, Add):
            return _joined(self._before(op.a), self._before(op.b))
        return {self.program.size(value): _identity(self.program.size(value))}

    def _after(self, value: int) -> dict[int, sparse.csr_array]:
        """Return, by size of the value at which the fused map ends, the elements of it that depend on `value`."""
        ends: dict[int, sparse.csr_array] = {}
        for index in self.program.consumers()[value]:
            op = self.program.operations[index]
            if isinstance(op, Add):
                ends = _joined(ends, self._after(index + 1))
            elif isinstance(op, Affine) and op.name in self.parts:
                pattern = _pattern(op.matrix)
                own = {size: _pattern(outer @ pattern) for size, outer in self._after(index + 1).items()}
                ends = _joined(ends, own)
        return ends or {self.program.size(value): _identity(self.program.size(value))}


def _pattern(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return the matrix with ones as its non-zeros."""
    ones = np.ones(len(matrix.data), dtype=np.float32)
    return sparse.csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def _identity(size: int) -> sparse.csr_array:
    return sparse.csr_array(sparse.eye_array(size, format="csr", dtype=np.float32))


def _joined(
    first: dict[int, sparse.csr_array], second: dict[int, sparse.csr_array]
) -> dict[int, sparse.csr_array]:
    """Return the union of the patterns of each size."""
    joined = dict(first)
    for size, pattern in second.items():
        joined[size] = _pattern(sparse.csr_array(joined[size] + pattern)) if size in joined else pattern
    return joined


class _Builder:
    """Collects the groups of all maps."""

    def __init__(self, layout: ChosenLayout) -> None:
        self.layout = layout
        self.pairs: list[tuple[Indices, Indices]] = []
        self.maps: list[int] = []
        self.seconds: list[float] = []
        self.rotations: list[Indices] = []
        self.rotation_seconds: list[float] = []

    def add(self, index: int, lowered: MapOutline, found: _MapGroups) -> None:
        """Add the prunable diagonals of operation `index`, and the rotations that they alone need."""
        first = len(self.maps)
        place = np.cumsum(found.complete) - 1 + first
        self.pairs.append((place[found.pairs[0]], found.pairs[1]))
        product, baby, giant = self._prices(index, lowered)
        count = int(found.complete.sum())
        self.maps += [index] * count
        self.seconds += [product] * count
        steps = lowered.transform
        for side, step, price in (
            (steps.inputs, steps.babies, baby),
            (steps.outputs, steps.giants, giant),
        ):
            key = side.astype(np.int64) * steps.slot_count + step
            for rotation in np.unique(key[step != 0]):
                members = np.flatnonzero(key == rotation)
                if found.complete[members].all():
                    self.rotations.append(place[members])
                    self.rotation_seconds.append(price)

    def _prices(self, index: int, lowered: MapOutline) -> tuple[float, float, float]:
        """Return the seconds of a product, of a baby step and of a giant step of the map."""
        choice, costs = self.layout.choice, self.layout.costs
        level = choice.variant.levels[index + 1] + 1
        counts = np.array([lowered.diagonals, lowered.babies, lowered.giants])

        def seconds(diagonals: int, babies: int, giants: int) -> float:
            steps = lowered.transform
            return costs.transform(
                level,
                diagonals,
                babies,
                giants,
                len(lowered.folds),
                steps.input_count,
                steps.output_count,
                steps.slot_count == 1,
            )

        whole = seconds(*counts.tolist())
        more = [seconds(*(counts + own).tolist()) - whole for own in np.eye(3, dtype=np.int64)]
        return more[0], more[1], more[2]

    def groups(self, layers: tuple[str, ...], offsets: tuple[int, ...]) -> DiagonalGroups:
        """Return the groups of all maps that were added."""
        if not self.pairs:
            raise InputError(
                "no weights were found whose zeros would remove a diagonal of the compiled model"
            )
        rows, columns = (np.concatenate([pair[side] for pair in self.pairs]) for side in (0, 1))
        count = len(self.maps)
        members = np.concatenate([*self.rotations, np.zeros(0, dtype=np.int64)])
        starts = np.cumsum([0, *(len(rotation) for rotation in self.rotations)])
        return DiagonalGroups(
            layers,
            offsets,
            sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, offsets[-1])),
            np.array(self.maps, dtype=np.int64),
            np.array(self.seconds),
            sparse.csr_array((np.ones(len(members)), members, starts), shape=(len(self.rotations), count)),
            np.array(self.rotation_seconds),
        )
