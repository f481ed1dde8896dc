"""The part of an evaluation that many candidates share: layouts, the outlines of the maps, and the keys they use."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.choose_layouts import Layouts, choose_layouts
from hetorch.compiler.packing.lower import MapOutline, checked_diagonals
from hetorch.compiler.packing.map_costs import MapMemo
from hetorch.compiler.packing.row_packing import LARGEST_MIXTURE, largest_mixture, trace_mixtures
from hetorch.compiler.search.candidates import Candidate
from hetorch.compiler.search.feasibility import Infeasible, Limit
from hetorch.compiler.search.keys_of_maps import keys_of_maps
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.share_keys import HeldKey, PlacedMap, share_keys
from hetorch.compiler.search.variants import LoweredVariant
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Affine, TensorProgram


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The layouts of a variant, the outlines of its maps for them, and the evaluation keys that it then uses."""

    layouts: Layouts
    lowered: LoweredVariant
    keys: EvaluationKeySpec


@dataclass(slots=True, eq=False)
class Memo:
    """Results for earlier candidates of one variant that later ones use again.

    `maps`: facts about its affine maps. `least_bits`: lower bounds of log2(QP), by ring degree. `packed`: the result of
    pack for the last candidate, with its key. Only one is kept, since the enumeration tries all digit sizes and spare
    bits of a packing in a row.
    """

    maps: MapMemo = field(default_factory=MapMemo)
    least_bits: dict[int, float] = field(default_factory=dict)
    packed: tuple[tuple[object, ...], Packed | Infeasible] | None = None


def pack(candidate: Candidate, request: Request, memo: Memo) -> Packed | Infeasible:
    """Return the packing of a candidate, from `memo` if the candidate before had the same one.

    Returns:
        The packing, or Infeasible if no layouts were found.
    """
    key = (
        candidate.variant,
        candidate.key_weight,
        candidate.ring_degree,
        candidate.batch,
        candidate.fold_penalty,
        candidate.layout_digit_size,
    )
    if memo.packed is None or memo.packed[0] != key:
        memo.packed = (key, _pack(candidate, request, memo))
    return memo.packed[1]


def _pack(candidate: Candidate, request: Request, memo: Memo) -> Packed | Infeasible:
    """Choose layouts, outline the maps and count their keys."""
    variant, encrypted = request.variants[candidate.variant], request.options.encrypted_weights
    model = CostModel(
        candidate.layout_digit_size,
        candidate.layout_digit_size,
        candidate.ring_degree,
        request.machine,
        candidate.fold_penalty,
        encrypted,
        candidate.key_weight,
    )
    program, positions = variant.program, candidate.positions
    sensitivity, samples = variant.sensitivity, variant.sensitivity.samples
    try:
        layouts = choose_layouts(program, variant.levels, positions, model, memo=memo.maps)
        traced = trace_mixtures(program, layouts.placements, samples)
        if largest_mixture(traced, samples) <= LARGEST_MIXTURE:
            sensitivity = sensitivity.with_mixtures(traced)
        else:
            layouts = choose_layouts(
                program, variant.levels, positions, model, row_packing=False, memo=memo.maps
            )
        lowered = outlines(program, variant.levels, layouts, positions, model, memo.maps)
    except InfeasibleError as error:
        return Infeasible(candidate, Limit.LAYOUTS, detail=str(error))
    keys = keys_of_maps(
        program,
        variant.levels,
        lowered,
        candidate.ring_degree,
        candidate.batch,
        request.backend.slot_generator,
        encrypted=encrypted,
    )
    return Packed(layouts, LoweredVariant(variant, lowered, sensitivity), keys)


def outlines(
    program: TensorProgram,
    levels: tuple[int, ...],
    layouts: Layouts,
    positions: int,
    model: CostModel,
    maps: MapMemo,
    paired: Container[int] = (),
    held_keys: Sequence[HeldKey] = (),
) -> dict[int, MapOutline]:
    """Return the outlines of the affine maps between these placements, by index of operation.

    `paired`: the indices of those whose diagonals may be multiplied in pairs. `held_keys`: the keys that the program
    has anyway.
    """
    placements = layouts.placements
    placed = {}
    for index, op in enumerate(program.operations):
        if isinstance(op, Affine):
            maps.read(index, op, program.shape(op.input))
            source, result = placements[op.input], placements[index + 1]
            found = checked_diagonals(maps.find_all(index, source, result), op.matrix, source)
            placed[index] = PlacedMap(*found, source, result, levels[index + 1], index in paired)
    shared = share_keys(list(placed.values()), positions, model, held_keys, maps.outlines)
    return dict(zip(placed, shared, strict=True))
