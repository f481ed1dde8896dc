"""Pass: choose the placement of every value, for the least predicted time.

*Assumes* a program without activations, in which the operands of sums and products have equal shapes.
*Ensures* a placement for every value, equal within each group of values (hetorch.ir.value_groups), with diagonals for
every affine map; unused slots hold equal numbers in all groups but the row-packed and the mixed ones. Only values that
masks read are mixed.

Every affine map leads from a group to a group, and its cost is a function of the two placements. The search is a
dynamic program with a beam: it walks the maps in order, and among the partial choices that agree on all groups still
needed it keeps the cheapest. So on a chain of layers it finds the best candidates unless the beam overflows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from math import prod

import numpy as np

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.map_costs import MapCosts, MapMemo
from hetorch.compiler.packing.placement_candidates import (
    first_tap,
    input_candidates,
    result_candidates,
    skewed_candidates,
    spatial_stride,
)
from hetorch.compiler.packing.placements import Placement
from hetorch.compiler.packing.row_packing import row_packable_groups, row_packed_candidates
from hetorch.compiler.packing.runs import masked, run_candidates, unmasked
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import MASK, Add, Affine, Chebyshev, Multiply, TensorProgram
from hetorch.ir.value_groups import value_groups
from hetorch.quantities import count_text

BEAM = 32
"""Number of partial choices that are kept after each map. Raised, networks with branches may find cheaper layouts, and
the search takes longer in proportion."""
RESERVED = 4
"""Number of partial choices of each kind (_Best) that are kept before others. Raised, fewer of the cheapest kinds are
kept, and a layout that pays off only in later maps is found more often."""
MOST_CIPHERTEXTS = 1 << 14
"""Largest number of ciphertexts of one tensor: at 0.5 MB each (ring 2^13, four primes), 8 GB of memory. Raised, larger
tensors are accepted."""

State = tuple[float, dict[int, Placement]]
"""A partial choice: its cost in seconds, and the placement of each group that has one."""


@dataclass(frozen=True, slots=True, eq=False)
class Layouts:
    """The placement of every value, and the predicted cost of the program with them.

    `cost`: the seconds of the affine maps, and those of products and polynomials on all ciphertexts of a tensor but the
    first.
    """

    placements: tuple[Placement, ...]
    cost: float


def choose_layouts(
    program: TensorProgram,
    levels: tuple[int, ...],
    slot_count: int,
    model: CostModel | None = None,
    *,
    row_packing: bool = True,
    memo: MapMemo | None = None,
) -> Layouts:
    """Choose the placements for ciphertexts of `slot_count` slots, several for a tensor that one does not hold.

    Args:
        program: the network, without activations.
        levels: one per value.
        slot_count: the number of positions of a ciphertext, a power of two.
        model: the cost model; the default one if left out.
        row_packing: False if all unused slots must hold zero.
        memo: facts about the maps of this program that earlier searches found.

    Raises:
        InfeasibleError: a tensor needs more than MOST_CIPHERTEXTS, or no placements have diagonals for a map.
    """
    _check_ciphertexts(program, slot_count)
    search = _Search(
        program, levels, MapCosts(slot_count, model or CostModel(), memo or MapMemo()), row_packing
    )
    states = search.first()
    for position in range(len(search.maps)):
        states = search.extended(states, position)
    total, chosen = states[0]
    if not np.isfinite(total):
        raise InfeasibleError("no layout of the network was found")
    return Layouts(tuple(chosen[search.group[value]] for value in range(program.value_count)), total)


def _check_ciphertexts(program: TensorProgram, slot_count: int) -> None:
    for value in range(program.value_count):
        needed = -(-program.size(value) // slot_count)
        if needed > MOST_CIPHERTEXTS:
            raise InfeasibleError(
                f"a tensor of shape {program.shape(value)} needs {count_text(needed, 'ciphertext')} of "
                f"{count_text(slot_count, 'slot')}, at most {MOST_CIPHERTEXTS} are allowed"
            )


class _Search:
    """One walk over the affine maps of a program.

    `maps` are pairs (index, operation). `last_use` is, for each group, the position in `maps` of the last map that
    reads or makes its values.
    """

    def __init__(
        self, program: TensorProgram, levels: tuple[int, ...], costs: MapCosts, row_packing: bool
    ) -> None:
        self.program, self.levels, self.costs = program, levels, costs
        self.group = group = value_groups(program)
        self.maps = [(index, op) for index, op in enumerate(program.operations) if isinstance(op, Affine)]
        self.strides = {
            index: spatial_stride(op.matrix, program.shape(op.input), op.shape) for index, op in self.maps
        }
        self.elementwise = _elementwise_costs(program, levels, group, costs.model)
        self.row_packable = row_packable_groups(program, group) if row_packing else set()
        self.mixable = _mixable_groups(program, group)
        self.last_use = {group[0]: -1, group[program.output]: len(self.maps)}
        for position, (index, op) in enumerate(self.maps):
            for value in (op.input, index + 1):
                self.last_use[group[value]] = max(self.last_use.get(group[value], -1), position)
        self._results: dict[tuple[int, int], list[Placement]] = {}
        self._shared: dict[tuple[int, object], Placement] = {}

    def first(self) -> list[State]:
        """Return the partial choices before any map: one for each placement of the input."""
        return [(0.0, {self.group[0]: placement}) for placement in self._inputs()]

    def extended(self, states: list[State], position: int) -> list[State]:
        """Return the best partial choices after maps[position]."""
        index, op = self.maps[position]
        source_group, result_group = self.group[op.input], self.group[index + 1]
        level, shape = self.levels[index + 1] + 1, self.program.shape(op.input)
        following: list[tuple[float, int, State]] = []
        for total, chosen in states:
            source = chosen[source_group]
            placed = chosen.get(result_group)
            for result in self._results_of(index, op, source) if placed is None else [placed]:
                sofar = total
                if placed is None:
                    sofar += self.elementwise.get(result_group, 0.0) * (result.parts - 1)
                bound = sofar + self.costs.least(index, op, shape, level, source, result)
                following.append((bound, len(following), (sofar, {**chosen, result_group: result})))
        best = _Best({g for g, last in self.last_use.items() if last > position})
        for bound, order, (sofar, chosen) in sorted(following, key=lambda entry: entry[:2]):
            if not best.wants(bound, chosen):
                continue
            source, result = chosen[source_group], chosen[result_group]
            cost = sofar + self.costs.cost(index, op, shape, level, source, result)
            best.add(cost, order, chosen)
        return best.states()

    def _results_of(self, index: int, op: Affine, source: Placement) -> list[Placement]:
        """Return the candidates for the result of `op`.

        Equal candidates are one object, from whatever sources they come: costs go by their ids, and partial choices
        that agree on them share a place in the beam.
        """
        key = (index, id(source))
        if key not in self._results:
            slot_count = self.costs.slot_count
            candidates = self._placements_of(op, index, source)
            if self.group[index + 1] in self.row_packable and op.matrix.shape[0] == op.shape[-1]:
                candidates += row_packed_candidates(op.shape[-1], source, slot_count)
            self._results[key] = [self._shared.setdefault((index, p.name), p) for p in candidates]
        return self._results[key]

    def _placements_of(self, op: Affine, index: int, source: Placement) -> list[Placement]:
        """Return the candidates that are not row-packed."""
        if op.kind == MASK:
            return [masked(source)]
        slot_count, mixable = self.costs.slot_count, self.group[index + 1] in self.mixable
        candidates = result_candidates(op.shape, source, self.strides[index], slot_count)
        if mixable:
            candidates += run_candidates(candidates, source, slot_count)
        if source.runs is not None and op.matrix.shape[0] == op.matrix.shape[1]:
            candidates.append(unmasked(source) if mixable else source)
        return candidates

    def _inputs(self) -> list[Placement]:
        """Return the candidates for the input, skewed ones too."""
        program, group, slot_count = self.program, self.group, self.costs.slot_count
        readers = [(index, op) for index, op in self.maps if group[op.input] == group[0]]
        taps = [
            first_tap(op.matrix, program.input_shape, op.shape, self.strides[index]) for index, op in readers
        ]
        candidates = input_candidates(
            program.input_shape,
            {self.strides[index] for index, _ in readers},
            slot_count,
            (max((up for up, _ in taps), default=0), max((left for _, left in taps), default=0)),
        )
        if self.costs.model.pairs:
            # The first of equally fast ones is chosen. On a shifted grid, steps go to one side, as in bootstraps, whose
            # keys serve some of them.
            candidates.sort(key=lambda placement: placement.grid is None)
        # The input may be skewed if only maps read it. Otherwise its group has results of operations, which cannot be.
        if not readers or any(group[index + 1] == group[0] for index in range(len(program.operations))):
            return candidates
        return candidates + skewed_candidates(candidates, [prod(op.shape) for _, op in readers], slot_count)


def _mixable_groups(program: TensorProgram, group: list[int]) -> set[int]:
    """Return the groups that only masks and sums read, so that unused slots may hold anything."""
    mixable = {group[op.input] for op in program.operations if isinstance(op, Affine) and op.kind == MASK}
    for index, op in enumerate(program.operations):
        if isinstance(op, Affine):
            mixable -= set() if op.kind == MASK else {group[op.input]}
        elif not isinstance(op, Add):
            mixable -= {group[index + 1], *(group[value] for value in op.reads)}
    return mixable - {group[0], group[program.output]}


def _elementwise_costs(
    program: TensorProgram, levels: tuple[int, ...], group: list[int], model: CostModel
) -> dict[int, float]:
    """Return, for each group, the seconds that its products and polynomials take on one ciphertext."""
    costs: dict[int, float] = {}
    for index, op in enumerate(program.operations):
        name, level = group[index + 1], levels[index + 1]
        if isinstance(op, Multiply):
            costs[name] = costs.get(name, 0.0) + model.multiply(level + 1)
        elif isinstance(op, Chebyshev):
            costs[name] = costs.get(name, 0.0) + model.polynomial(level + op.depth, op.coefficients)
    return costs


class _Best:
    """The cheapest partial choice for each choice of the groups still `needed`, at most BEAM of them.

    The first RESERVED of each kind are among them. The kind of a partial choice is the periods of the groups needed:
    the time of later maps depends on the periods more than on the places in them.
    """

    def __init__(self, needed: set[int]) -> None:
        self.needed = sorted(needed)
        self._kept: dict[tuple[int, ...], tuple[float, int, dict[int, Placement]]] = {}
        self._worst = np.inf
        self._costs: dict[tuple[int, ...], dict[tuple[int, ...], float]] = {}

    def wants(self, bound: float, chosen: dict[int, Placement]) -> bool:
        """Return False if a partial choice that costs `bound` or more would not be kept."""
        costs = self._costs.get(self._kind(chosen), {})
        return (
            bound <= self._worst or len(costs) < RESERVED or bound <= nsmallest(RESERVED, costs.values())[-1]
        )

    def add(self, cost: float, order: int, chosen: dict[int, Placement]) -> None:
        """Add a partial choice; among those of equal cost, the one with the least `order` comes first."""
        key = tuple(id(chosen[g]) for g in self.needed if g in chosen)
        if key not in self._kept or (cost, order) < self._kept[key][:2]:
            self._kept[key] = (cost, order, chosen)
            self._costs.setdefault(self._kind(chosen), {})[key] = cost
            if len(self._kept) >= BEAM:
                self._worst = nsmallest(BEAM, (cost for cost, _, _ in self._kept.values()))[-1]

    def states(self) -> list[State]:
        """Return the partial choices that are kept, cheapest first."""
        ordered = sorted(self._kept.values(), key=lambda kept: kept[:2])
        seen: Counter[tuple[int, ...]] = Counter()
        first: list[tuple[float, int, dict[int, Placement]]] = []
        others: list[tuple[float, int, dict[int, Placement]]] = []
        for kept in ordered:
            kind = self._kind(kept[2])
            seen[kind] += 1
            (first if seen[kind] <= RESERVED else others).append(kept)
        best = sorted([*first, *others][:BEAM], key=lambda kept: kept[:2])
        return [(cost, chosen) for cost, _, chosen in best]

    def _kind(self, chosen: dict[int, Placement]) -> tuple[int, ...]:
        return tuple(chosen[g].period for g in self.needed if g in chosen)
