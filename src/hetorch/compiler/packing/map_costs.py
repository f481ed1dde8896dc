"""The cost of an affine map between two placements; intermediate results are kept for the next pair of placements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import ceil, sqrt

import numpy as np

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.baby_giant import StepCosts, split
from hetorch.compiler.packing.convolution_structure import (
    Product,
    Terms,
    product_form,
    product_indices,
    terms_of,
)
from hetorch.compiler.packing.diagonals import blocks, coordinates, find_indices
from hetorch.compiler.packing.lower import MapOutline, fold_steps
from hetorch.compiler.packing.pairing import Pairs, pair_step, paired
from hetorch.compiler.packing.placements import Indices, Placement, image_shape, is_image, unskewed
from hetorch.compiler.packing.row_packing import row_packing_between
from hetorch.compiler.packing.runs import spread_steps
from hetorch.ir.tensor_program import Affine

MOST_SEARCHED = 300_000
"""Number of weights from which on the search looks at a few pixels of a map to an image only (sample_pixels). Raised,
the search is slower: a map of this many weights takes a few milliseconds for each pair of placements."""

Found = tuple[Indices, int] | None
"""The result of find_indices: the diagonals and their modulus, or None."""


@dataclass(frozen=True, slots=True, eq=False)
class MapMemo:
    """Facts about the affine maps of one program that do not depend on ring and digits.

    One search for layouts fills it, and the next ones use it. Keys have the index of the map's operation and the names
    of placements. `maps`: the maps themselves, whose non-zeros are listed anew where they are needed: the list is
    larger than the matrix. `products`: the product form of a convolution. `samples`: the non-zeros of other maps from
    which the cost is computed (sample_pixels). `diagonals`: the result of find_indices between two placements, and True
    if all non-zeros were looked at. `terms`: the result of terms_of for a placement. `splits`: the numbers of baby and
    giant steps of sets of diagonals, by their hash. `outlines`: the splits of maps at the prices of keys
    (search.share_keys).
    """

    maps: dict[int, Affine] = field(default_factory=dict)
    samples: dict[int, tuple[Indices, Indices]] = field(default_factory=dict)
    products: dict[int, Product | None] = field(default_factory=dict)
    diagonals: dict[tuple[int, object, object], tuple[Found, bool]] = field(default_factory=dict)
    terms: dict[tuple[object, int], Terms | None] = field(default_factory=dict)
    splits: dict[tuple[object, ...], tuple[int, int]] = field(default_factory=dict)
    outlines: dict[tuple[object, ...], MapOutline] = field(default_factory=dict)

    def read(self, index: int, op: Affine, shape: tuple[int, ...]) -> None:
        """Record `op`, the operation number `index`, on an input of `shape`."""
        if index not in self.maps:
            self.maps[index] = op
            self.products[index] = product_form(*coordinates(op.matrix), op.shape, shape)

    def renumbered(self, number: Mapping[int, int]) -> MapMemo:
        """Return the facts for a program in which map i is operation `number`[i]; large arrays are not copied."""
        return MapMemo(
            maps={number[index]: op for index, op in self.maps.items()},
            samples={number[index]: fact for index, fact in self.samples.items()},
            products={number[index]: fact for index, fact in self.products.items()},
            diagonals={
                (number[index], source, result): fact
                for (index, source, result), fact in self.diagonals.items()
            },
            terms=self.terms,
            splits=self.splits,
            outlines=self.outlines,
        )

    def find(self, index: int, source: Placement, result: Placement) -> Found:
        """Return the diagonals of map `index` between two placements as find_indices does, of a large map to an image
        perhaps only those of a few pixels."""
        return self._found(index, source, result)[0]

    def find_all(self, index: int, source: Placement, result: Placement) -> Found:
        """Return all diagonals of map `index` between two placements, as find_indices does."""
        found, is_whole = self._found(index, source, result)
        return found if is_whole else find_indices(*self._entries(index), source, result)

    def _found(self, index: int, source: Placement, result: Placement) -> tuple[Found, bool]:
        key = (index, source.name, result.name)
        if key not in self.diagonals:
            self.diagonals[key] = self._find(index, source, result)
        return self.diagonals[key]

    def _find(self, index: int, source: Placement, result: Placement) -> tuple[Found, bool]:
        if source.positions.shape[0] > 1:
            # The cover of a skewed input must be the one that is lowered later, which is found on all weights. One with
            # more diagonals than an input takes that is not skewed is of no use.
            flat = self.find(index, unskewed(source), result)
            most = None if flat is None else len(flat[0])
            return find_indices(*self._entries(index), source, result, most), most is None
        product = self.products[index]
        if product is not None and row_packing_between(source, result) is None:
            before = self._terms(source, product.column_pixels)
            after = self._terms(result, product.row_pixels)
            if before is not None and after is not None:
                indices = product_indices(product, source, result, before, after)
                if indices is not None:
                    return indices, True
        if index not in self.samples:
            self.samples[index] = sample_pixels(*self._entries(index), self.maps[index].shape)
        rows, columns = self.samples[index]
        return find_indices(rows, columns, source, result), len(rows) == self.maps[index].matrix.nnz

    def _entries(self, index: int) -> tuple[Indices, Indices]:
        return coordinates(self.maps[index].matrix)

    def _terms(self, placement: Placement, pixels: int) -> Terms | None:
        key = (placement.name, pixels)
        if key not in self.terms:
            self.terms[key] = terms_of(placement, pixels)
        return self.terms[key]


@dataclass(frozen=True, slots=True, eq=False)
class MapCosts:
    """Costs of maps between placements for one cost model, and lower `bounds` of them, each computed once.

    Both have the ids of placements as keys, so `alive` keeps these objects alive.
    """

    slot_count: int
    model: CostModel
    memo: MapMemo
    costs: dict[tuple[int, int, int], float] = field(default_factory=dict)
    bounds: dict[tuple[int, int, int], float] = field(default_factory=dict)
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

    def least(
        self, index: int, op: Affine, shape: tuple[int, ...], level: int, source: Placement, result: Placement
    ) -> float:
        """Return a lower bound of `cost`, in less time: that of the fewest rotations with which there can be as many
        diagonals."""
        key = (index, id(source), id(result))
        if key not in self.bounds:
            self.alive.extend((source, result))
            self.memo.read(index, op, shape)
            diagonals = self.memo.find(index, source, result)
            if diagonals is None:
                self.bounds[key] = np.inf
            else:
                # Each diagonal is a pair of a baby step of an input and a giant step of an output.
                pairs, turns = self._paired(*diagonals, level, source, result)
                ciphertexts = source.parts + result.parts
                rotations = max(ceil(2 * sqrt(len(pairs.indices))) - ciphertexts, 0)
                self.bounds[key] = min(
                    self._transform(
                        level, len(pairs.indices), babies, rotations - babies, turns, source, result
                    )
                    for babies in {0, rotations}
                )
        return self.bounds[key]

    def _cost(self, index: int, level: int, source: Placement, result: Placement) -> float:
        diagonals = self.memo.find(index, source, result)
        if diagonals is None:
            return np.inf
        pairs, turns = self._paired(*diagonals, level, source, result)
        indices, modulus = pairs.indices, pairs.modulus
        weight = self.model.key_weight
        digest = blake2b(indices.tobytes(), digest_size=16).digest()
        key = (modulus, source.parts, weight, pairs.babies, digest)
        if key not in self.memo.splits:
            outputs, inputs, k = blocks(indices, modulus, source)
            parts = split(k, modulus, outputs, inputs, StepCosts(key=weight), pairs.babies)
            self.memo.splits[key] = (parts.baby_count, parts.giant_count)
        babies, giants = self.memo.splits[key]
        return self._transform(level, len(indices), babies, giants, turns, source, result)

    def _paired(
        self, indices: Indices, modulus: int, level: int, source: Placement, result: Placement
    ) -> tuple[Pairs, int]:
        """Return the diagonals that are multiplied, and the number of inputs that are made complex."""
        step = pair_step(indices, modulus, source, result, level, self.model) if self.model.pairs else 0
        return (paired(indices, modulus, step), source.parts) if step else (Pairs(indices, modulus, None), 0)

    def _transform(
        self,
        level: int,
        diagonals: int,
        babies: int,
        giants: int,
        turns: int,
        source: Placement,
        result: Placement,
    ) -> float:
        folds, spreads = len(fold_steps(source, result)), len(spread_steps(source, result, self.slot_count))
        constants = self.slot_count == 1
        seconds = self.model.transform(
            *(level, diagonals, babies, giants, folds, source.parts, result.parts, constants, turns, spreads)
        )
        if self.model.coefficients:
            # A diagonal of period p in the slots has 2 p coefficients.
            share = min(1.0, 2 * max(source.period, result.period) / self.model.ring_degree)
            seconds += self.model.transformed_on_use(level, diagonals, share)
        return seconds


def sample_pixels(rows: Indices, columns: Indices, shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Return the weights from which the cost of placements is computed.

    For a large map to an image these are the weights of a few output pixels: a convolution repeats its diagonals at
    every pixel, so pixels near two corners and in the middle are enough. For any other map they are all weights.

    Args:
        rows: the rows of the non-zeros.
        columns: their columns.
        shape: the shape of the map's result.
    """
    if not is_image(shape) or len(rows) < MOST_SEARCHED:
        return rows, columns
    _, height, width = image_shape(shape)
    y, x = rows // width % height, rows % width
    near = np.zeros((2, max(height, width)), dtype=bool)
    for axis, size in enumerate((height, width)):
        middle = max(size // 2 - 2, 0)
        near[axis, :2] = near[axis, max(size - 2, 0) : size] = near[axis, middle : middle + 4] = True
    kept = np.flatnonzero(near[0].take(y) & near[1].take(x))
    return rows.take(kept), columns.take(kept)
