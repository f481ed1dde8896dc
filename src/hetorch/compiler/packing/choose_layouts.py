"""Pass: where every tensor lies in the slots, for the least predicted time.

Values that are added, multiplied or passed through a polynomial together lie alike: they form a group. Every affine
map leads from a group to a group, and its cost is a function of the two placements. The search walks the maps in order
and keeps the best partial choices (a dynamic program: choices that agree on all groups still needed are compared and
only the cheapest stays), so on a chain of layers it is exact over the candidates unless the beam overflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.baby_giant import split
from hetorch.compiler.packing.convolution_structure import (
    Product,
    Terms,
    product_form,
    product_indices,
    terms_of,
)
from hetorch.compiler.packing.diagonals import Indices, blocks, coordinates, find_indices, fold_steps
from hetorch.compiler.packing.placements import (
    Placement,
    input_candidates,
    power_of_two,
    result_candidates,
    skewed,
    spatial_stride,
)
from hetorch.compiler.packing.row_packing import may_have_windows, window_between, windowed_candidates
from hetorch.errors import PlanError
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply, TensorProgram

BEAM = 32
"""Partial choices that are kept after each map."""
MOST_SEARCHED = 300_000
"""Weights of a map up to which the search looks at all of them: a few milliseconds for each pair of placements."""
MOST_CIPHERTEXTS = 1 << 14
"""Of one tensor: what fits in the memory of a machine."""


@dataclass(frozen=True, slots=True, eq=False)
class Layouts:
    """The placement of every value, and the cost of all affine maps with them."""

    placements: tuple[Placement, ...]
    cost: float


@dataclass(slots=True, eq=False)
class Maps:
    """What the searches for layouts of one program find out about its maps and need again, for other rings, digits or
    weights of keys."""

    entries: dict[int, tuple[Indices, Indices]] = field(default_factory=dict)
    samples: dict[int, tuple[Indices, Indices]] = field(default_factory=dict)
    products: dict[int, Product | None] = field(default_factory=dict)
    found: dict[tuple[int, object, object], tuple[Indices, int] | None] = field(default_factory=dict)
    terms: dict[tuple[object, int], Terms | None] = field(default_factory=dict)

    def read(self, index: int, op: Affine, shape: tuple[int, ...]) -> None:
        """The non-zeros of `op`, the operation number `index`, on an input of `shape`."""
        if index not in self.entries:
            self.entries[index] = coordinates(op.matrix)
            self.products[index] = product_form(*self.entries[index], op.shape, shape)
            self.samples[index] = sample_pixels(*self.entries[index], op.shape)

    def find(self, index: int, source: Placement, result: Placement) -> tuple[Indices, int] | None:
        """The diagonals of map `index` between two placements, as find_indices."""
        key = (index, source.name, result.name)
        if key not in self.found:
            self.found[key] = self._find(index, source, result)
        return self.found[key]

    def _find(self, index: int, source: Placement, result: Placement) -> tuple[Indices, int] | None:
        if source.positions.shape[0] > 1:
            # The cover of a skewed input must be the one that is lowered later: it is found on all weights.
            return find_indices(*self.entries[index], source, result)
        product = self.products[index]
        if product is not None and window_between(source, result) is None:
            before = self._terms(source, product.column_pixels)
            after = self._terms(result, product.row_pixels)
            if before is not None and after is not None:
                found = product_indices(product, source, result, before, after)
                if found is not None:
                    return found
        return find_indices(*self.samples[index], source, result)

    def _terms(self, placement: Placement, pixels: int) -> Terms | None:
        key = (placement.name, pixels)
        if key not in self.terms:
            self.terms[key] = terms_of(placement, pixels)
        return self.terms[key]


@dataclass(slots=True, eq=False)
class _Search:
    """Costs of maps between placements, each computed once. Placements are kept alive, so their ids are names."""

    slot_count: int
    model: CostModel
    maps: Maps
    costs: dict[tuple[int, int, int], float] = field(default_factory=dict)
    splits: dict[tuple[int, int, bytes], tuple[int, int]] = field(default_factory=dict)
    alive: list[Placement] = field(default_factory=list)

    def cost(
        self, index: int, op: Affine, shape: tuple[int, ...], level: int, source: Placement, result: Placement
    ) -> float:
        """Of `op` (operations[index]) on an input of `shape` at `level`."""
        key = (index, id(source), id(result))
        if key not in self.costs:
            self.alive += [source, result]
            self.maps.read(index, op, shape)
            self.costs[key] = self._cost(index, level, source, result)
        return self.costs[key]

    def _cost(self, index: int, level: int, source: Placement, result: Placement) -> float:
        folds = len(fold_steps(source, result))
        found = self.maps.find(index, source, result)
        if found is None:
            return np.inf
        indices, modulus = found
        name = (modulus, source.parts, indices.tobytes())
        if name not in self.splits:
            outputs, inputs, k = blocks(indices, modulus, source)
            parts = split(k, modulus, outputs, inputs, self.model.key_weight)
            self.splits[name] = (parts.baby_count, parts.giant_count)
        babies, giants = self.splits[name]
        return self.model.transform(
            level, len(indices), babies, giants, folds, source.parts, result.parts, self.slot_count == 1
        )


def choose_layouts(
    program: TensorProgram,
    levels: tuple[int, ...],
    slot_count: int,
    model: CostModel | None = None,
    *,
    windows: bool = True,
    maps: Maps | None = None,
) -> Layouts:
    """For ciphertexts of `slot_count` slots, several for a tensor that does not fit in one; without `windows`, all
    unused slots hold zero. `maps`: what earlier searches found out about this program. PlanError if a tensor needs more
    than MOST_CIPHERTEXTS."""
    for value in range(program.value_count):
        needed = -(-program.size(value) // slot_count)
        if needed > MOST_CIPHERTEXTS:
            raise PlanError(
                f"a tensor of shape {program.shape(value)} needs {needed} ciphertexts of {slot_count} slots, at most "
                f"{MOST_CIPHERTEXTS} are allowed; use a larger ring_degree, a smaller batch_size or a smaller model"
            )
    group = groups_of(program)
    affine = [(index, op) for index, op in enumerate(program.operations) if isinstance(op, Affine)]
    strides = {index: spatial_stride(op.matrix, program.shape(op.input), op.shape) for index, op in affine}
    search = _Search(slot_count, model or CostModel(), maps or Maps())
    extra = _elementwise_costs(program, levels, group, search.model)
    last_use = {group[0]: -1, group[program.output]: len(affine)}
    for position, (index, op) in enumerate(affine):
        for value in (op.input, index + 1):
            last_use[group[value]] = max(last_use.get(group[value], -1), position)
    states: list[tuple[float, dict[int, Placement]]] = [
        (0.0, {group[0]: placement}) for placement in _inputs(program, group, strides, slot_count)
    ]
    made: dict[tuple[int, int], list[Placement]] = {}
    windowed = may_have_windows(program, group) if windows else set()
    for position, (index, op) in enumerate(affine):
        source_group, result_group = group[op.input], group[index + 1]
        level = levels[index + 1] + 1
        following: list[tuple[float, dict[int, Placement]]] = []
        for total, chosen in states:
            source = chosen[source_group]
            if result_group in chosen:
                candidates = [chosen[result_group]]
            else:
                key = (index, id(source))
                if key not in made:
                    made[key] = result_candidates(op.shape, source, strides[index], slot_count)
                    if result_group in windowed and op.matrix.shape[0] == op.shape[-1]:
                        made[key] += windowed_candidates(op.shape[-1], source, slot_count)
                candidates = made[key]
            for result in candidates:
                cost = total + search.cost(index, op, program.shape(op.input), level, source, result)
                if result_group not in chosen:
                    cost += extra.get(result_group, 0.0) * (result.parts - 1)
                following.append((cost, {**chosen, result_group: result}))
        states = _best(following, {g for g, last in last_use.items() if last > position})
    total, chosen = states[0]
    if not np.isfinite(total):
        raise PlanError("no layout of the network was found")
    return Layouts(tuple(chosen[group[value]] for value in range(program.value_count)), total)


def _elementwise_costs(
    program: TensorProgram, levels: tuple[int, ...], group: list[int], model: CostModel
) -> dict[int, float]:
    """For each group, what its products and polynomials cost for one ciphertext."""
    costs: dict[int, float] = {}
    for index, op in enumerate(program.operations):
        name, level = group[index + 1], levels[index + 1]
        if isinstance(op, Multiply):
            costs[name] = costs.get(name, 0.0) + model.multiply(level + 1)
        elif isinstance(op, Chebyshev):
            costs[name] = costs.get(name, 0.0) + model.polynomial(level + op.depth, len(op.coefficients) - 1)
    return costs


def sample_pixels(rows: Indices, columns: Indices, shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Of a large map to an image only the weights of pixels near two corners and in the middle: a convolution repeats
    its diagonals at every pixel, so few of them tell what placements cost. All weights of any other map."""
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


def groups_of(program: TensorProgram) -> list[int]:
    """For each value the name of its group: values joined by element-wise operations."""
    parent = list(range(program.value_count))

    def find(value: int) -> int:
        while parent[value] != value:
            value = parent[value]
        return value

    for index, op in enumerate(program.operations):
        if not isinstance(op, Affine):
            for value in op.reads:
                low, high = sorted((find(value), find(index + 1)))
                parent[high] = low
    return [find(value) for value in range(program.value_count)]


def _inputs(
    program: TensorProgram, group: list[int], strides: dict[int, int], slot_count: int
) -> list[Placement]:
    """Candidates for the input, skewed ones too: the client packs as it is told, for nothing."""
    readers = [
        (index, op)
        for index, op in enumerate(program.operations)
        if isinstance(op, Affine) and group[op.input] == group[0]
    ]
    found = input_candidates(program.input_shape, {strides[index] for index, _ in readers}, slot_count)
    # Skewing is for an input that is only read by maps: a value made by a map cannot be skewed.
    if not readers or any(group[index + 1] == group[0] for index in range(len(program.operations))):
        return found
    sizes = {power_of_two(int(np.prod(op.shape))) for _, op in readers}
    turned: list[Placement] = []
    for base in found:
        replicas = slot_count // base.period
        if replicas < 2 or base.parts > 1:
            continue
        steps = {max(size * factor // replicas, 1) for size in sizes for factor in (1, 2, 4)}
        if base.grid is not None:
            steps |= {base.grid.pitch * rows for rows in (1, 2, 3)}
        turned += [skewed(base, step, slot_count) for step in sorted(steps) if step < base.period]
    return found + turned


def _best(
    states: list[tuple[float, dict[int, Placement]]], needed: set[int]
) -> list[tuple[float, dict[int, Placement]]]:
    """The cheapest state for each choice of the groups still needed; at most BEAM of them, cheapest first."""
    order = sorted(range(len(states)), key=lambda i: (states[i][0], i))
    kept: dict[tuple[int, ...], tuple[float, dict[int, Placement]]] = {}
    for i in order:
        cost, chosen = states[i]
        key = tuple(id(chosen[g]) for g in sorted(needed) if g in chosen)
        kept.setdefault(key, (cost, chosen))
        if len(kept) >= BEAM:
            break
    return list(kept.values())
