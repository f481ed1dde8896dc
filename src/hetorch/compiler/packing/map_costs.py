"""The cost of an affine map between two placements; intermediate results are kept for the next pair of placements."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.baby_giant import Splits, try_splits
from hetorch.compiler.packing.convolution_structure import (
    Product,
    Terms,
    product_form,
    product_indices,
    terms_of,
)
from hetorch.compiler.packing.diagonals import blocks, coordinates, find_indices
from hetorch.compiler.packing.lower import fold_steps
from hetorch.compiler.packing.placements import Indices, Placement
from hetorch.compiler.packing.row_packing import row_packing_between
from hetorch.ir.tensor_program import Affine

MOST_SEARCHED = 300_000
"""Number of weights from which on the search looks at a few pixels of a map to an image only (sample_pixels). Raised,
the search is slower: a map of this many weights takes a few milliseconds for each pair of placements."""


@dataclass(frozen=True, slots=True, eq=False)
class MapMemo:
    """Facts about the affine maps of one program that do not depend on ring, digits or key weight.

    One search for layouts fills it, and the next ones use it. Keys have the index of the map's operation and the names
    of placements. `entries`: the non-zeros of a map. `samples`: those from which the cost is computed (sample_pixels).
    `products`: the product form of a convolution. `diagonals`: the result of find_indices between two placements.
    `terms`: the result of terms_of for a placement. `splits`: the result of try_splits for diagonals.
    """

    entries: dict[int, tuple[Indices, Indices]] = field(default_factory=dict)
    samples: dict[int, tuple[Indices, Indices]] = field(default_factory=dict)
    products: dict[int, Product | None] = field(default_factory=dict)
    diagonals: dict[tuple[int, object, object], tuple[Indices, int] | None] = field(default_factory=dict)
    terms: dict[tuple[object, int], Terms | None] = field(default_factory=dict)
    splits: dict[tuple[int, int, bytes], Splits] = field(default_factory=dict)

    def read(self, index: int, op: Affine, shape: tuple[int, ...]) -> None:
        """Record the non-zeros of `op`, the operation number `index`, on an input of `shape`."""
        if index not in self.entries:
            self.entries[index] = coordinates(op.matrix)
            self.products[index] = product_form(*self.entries[index], op.shape, shape)
            self.samples[index] = sample_pixels(*self.entries[index], op.shape)

    def find(self, index: int, source: Placement, result: Placement) -> tuple[Indices, int] | None:
        """Return the diagonals of map `index` between two placements, as find_indices does."""
        key = (index, source.name, result.name)
        if key not in self.diagonals:
            self.diagonals[key] = self._find(index, source, result)
        return self.diagonals[key]

    def split(self, indices: Indices, modulus: int, source: Placement) -> Splits:
        """Return the splits of diagonals that were found for an input at `source`."""
        key = (modulus, source.parts, indices.tobytes())
        if key not in self.splits:
            outputs, inputs, k = blocks(indices, modulus, source)
            self.splits[key] = try_splits(k, modulus, outputs, inputs)
        return self.splits[key]

    def _find(self, index: int, source: Placement, result: Placement) -> tuple[Indices, int] | None:
        if source.positions.shape[0] > 1:
            # The cover of a skewed input must be the one that is lowered later, which is found on all weights.
            return find_indices(*self.entries[index], source, result)
        product = self.products[index]
        if product is not None and row_packing_between(source, result) is None:
            before = self._terms(source, product.column_pixels)
            after = self._terms(result, product.row_pixels)
            if before is not None and after is not None:
                indices = product_indices(product, source, result, before, after)
                if indices is not None:
                    return indices
        return find_indices(*self.samples[index], source, result)

    def _terms(self, placement: Placement, pixels: int) -> Terms | None:
        key = (placement.name, pixels)
        if key not in self.terms:
            self.terms[key] = terms_of(placement, pixels)
        return self.terms[key]


@dataclass(frozen=True, slots=True, eq=False)
class MapCosts:
    """Costs of maps between placements for one cost model, each computed once.

    `costs` has the ids of placements as keys, so `alive` keeps these objects alive.
    """

    slot_count: int
    model: CostModel
    memo: MapMemo
    costs: dict[tuple[int, int, int], float] = field(default_factory=dict)
    alive: list[Placement] = field(default_factory=list)

    def cost(
        self, index: int, op: Affine, shape: tuple[int, ...], level: int, source: Placement, result: Placement
    ) -> float:
        """Return the seconds of `op` (operations[index]) on an input of `shape` at `level`.

        The result is infinite if no diagonals are found between the placements.
        """
        key = (index, id(source), id(result))
        if key not in self.costs:
            self.alive.extend((source, result))
            self.memo.read(index, op, shape)
            self.costs[key] = self._cost(index, level, source, result)
        return self.costs[key]

    def _cost(self, index: int, level: int, source: Placement, result: Placement) -> float:
        folds = len(fold_steps(source, result))
        diagonals = self.memo.find(index, source, result)
        if diagonals is None:
            return np.inf
        indices, modulus = diagonals
        splits = self.memo.split(indices, modulus, source)
        babies, giants, _ = splits.counts[splits.cheapest(self.model.key_weight)].tolist()
        return self.model.transform(
            level, len(indices), babies, giants, folds, source.parts, result.parts, self.slot_count == 1
        )


def sample_pixels(rows: Indices, columns: Indices, shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Return the weights from which the cost of placements is computed.

    For a large map to an image these are the weights of a few output pixels: a convolution repeats its diagonals at
    every pixel, so pixels near two corners and in the middle are enough. For any other map they are all weights.

    Args:
        rows: the rows of the non-zeros.
        columns: their columns.
        shape: the shape of the map's result.
    """
    if len(shape) != 3 or len(rows) < MOST_SEARCHED:
        return rows, columns
    _, height, width = shape
    y, x = rows // width % height, rows % width
    near = np.zeros((2, max(height, width)), dtype=bool)
    for axis, size in enumerate((height, width)):
        middle = max(size // 2 - 2, 0)
        near[axis, :2] = near[axis, max(size - 2, 0) : size] = near[axis, middle : middle + 4] = True
    kept = np.flatnonzero(near[0].take(y) & near[1].take(x))
    return rows.take(kept), columns.take(kept)
