"""Stage: place bootstraps, with the levels between them, the slots and the parameters for which a run is fastest.

*Assumes* a program without activations, and security at which bootstrapping is available.
*Ensures* a level for every value and a set of values that are bootstrapped: among all such choices, on these layouts,
the one of the least predicted time.

Layouts are chosen first, at the level at which most maps run: a bootstrap restores a value before its polynomial, which
runs high, and the map after it runs as low as a bootstrap starts, where it is cheap. A deep network has many diagonals,
so the costs are those of maps that keep coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.bootstraps.choose_levels import choose_levels
from hetorch.compiler.bootstraps.level_graph import LevelGraph
from hetorch.compiler.bootstraps.masks import MaskedProgram, maskable_values, with_masks
from hetorch.compiler.bootstraps.real_parts import values_with_free_imaginary_parts
from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.costs.model import KEY, CostModel
from hetorch.compiler.options import LARGEST_RING, CompileOptions
from hetorch.compiler.packing.choose_layouts import Layouts, choose_layouts
from hetorch.compiler.packing.lower import MapOutline
from hetorch.compiler.packing.map_costs import MapMemo
from hetorch.compiler.packing.placements import power_of_two
from hetorch.compiler.search.pack import outlines
from hetorch.compiler.search.program_costs import cost_model, layer_costs
from hetorch.compiler.search.share_keys import HeldKey
from hetorch.engine.bootstrap_keys import bootstrap_maps
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Affine, TensorProgram
from hetorch.params import ParameterSet, Security
from hetorch.params.bootstrap_set import SPARSE_WEIGHT, BootstrapSet, standard_bootstrap_set
from hetorch.params.bootstrap_sizes import STANDARD_RINGS, standard_sizes, standard_user_levels
from hetorch.params.security import max_log2_sparse

PARTS = (2, 1)
"""Shares of the ring's slots that are tried for a ciphertext and its bootstrap, as divisors. With half of them, values
repeat; a bootstrap is faster and has fewer keys, and larger values take more ciphertexts."""
USUAL_USER_LEVELS = 8
"""Levels between two bootstraps for which layouts are chosen."""
LAYOUT_KEY_WEIGHT = 3.0
"""Cost of a key in the choice of layouts, one for all weights in the splits of maps. Lowered, layouts have more keys: a
ResNet-20 then gains a third of a percent of its time, and loses the faster bootstraps that these keys pay for."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlacedBootstrap:
    """A bootstrap: the value, its name, the number of its ciphertexts, and the seconds of all of them."""

    value: int
    name: str
    ciphertexts: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class BootstrappedProgram:
    """A program with its bootstraps.

    `levels`: one per value, in the chain of `bootstrap_set`. `seconds`: the predicted time of a run, bootstraps
    included. `sources`: by value, the value of the program without masks that it stands for.
    """

    program: TensorProgram
    bootstrap_set: BootstrapSet
    layouts: Layouts
    lowered: Mapping[int, MapOutline]
    levels: tuple[int, ...]
    bootstraps: tuple[PlacedBootstrap, ...]
    seconds: float
    sources: tuple[int, ...]


@dataclass(slots=True, eq=False)
class LayoutMemo:
    """Layouts by program, ring and number of slots, and the programs with masks and their layouts; outlines by these,
    the key weight, the values whose maps are paired and those that are made high; and facts about the maps of each
    program, by its id. `alive` keeps these programs, so that no other one has their ids.
    `sets`: those to try, by ring, security, slots and least levels."""

    layouts: dict[tuple[int, int, int], Layouts] = field(default_factory=dict)
    masked: dict[tuple[int, int, int], MaskedProgram] = field(default_factory=dict)
    outlines: dict[tuple[int, int, int, float, frozenset[int], frozenset[int]], dict[int, MapOutline]] = (
        field(default_factory=dict)
    )
    maps: dict[int, MapMemo] = field(default_factory=dict)
    alive: list[TensorProgram] = field(default_factory=list)
    sets: dict[tuple[int, Security, int, int], tuple[BootstrapSet, ...]] = field(default_factory=dict)

    def of(self, program: TensorProgram) -> MapMemo:
        return self.maps.setdefault(id(program), MapMemo())

    def sets_of(self, slots: int, least_levels: int, setting: Setting) -> tuple[BootstrapSet, ...]:
        """Return the sets to try, as bootstrap_sets."""
        name = (setting.ring_degree, setting.security, slots, least_levels)
        if name not in self.sets:
            self.sets[name] = tuple(bootstrap_sets(slots, least_levels, setting))
        return self.sets[name]

    def with_masks(self, program: TensorProgram, values: Sequence[int]) -> MaskedProgram:
        """Return the program with masks; what is known about its maps is known about those of the result."""
        result = with_masks(program, values)
        number = {value - 1: made - 1 for value, made in result.made.items() if value}
        self.maps[id(result.program)] = self.of(program).renumbered(number)
        self.alive.append(result.program)
        return result


@dataclass(frozen=True, slots=True)
class Setting:
    """The ring, samples and costs for which bootstraps are placed.

    `batch`: samples side by side, a power of two. `key_weight`: the cost of a key (compiler.packing.baby_giant).
    """

    machine: Machine = field(default=DEFAULT)
    ring_degree: int = LARGEST_RING
    security: Security = Security.CLASSICAL_128
    batch: int = 1
    key_weight: float = KEY

    @classmethod
    def all_of(
        cls, options: CompileOptions, machine: Machine, key_weight: float = KEY
    ) -> tuple[Setting, ...]:
        """Return the settings that the options allow, one for each ring."""
        batch = power_of_two(options.batch_size or 1)
        rings = STANDARD_RINGS if options.ring_degree is None else (options.ring_degree,)
        return tuple(cls(machine, ring, options.security, batch, key_weight) for ring in rings)

    @property
    def slot_counts(self) -> tuple[int, ...]:
        """The numbers of slots of a bootstrap, where the sparse secret has a bound and the batch has room."""
        counts = (self.ring_degree // 2 // part for part in PARTS)
        return tuple(
            slots
            for slots in counts
            if slots >= self.batch and max_log2_sparse(2 * slots, SPARSE_WEIGHT, self.security)
        )

    def model(self, parameters: ParameterSet) -> CostModel:
        return replace(cost_model(parameters, self.machine), key_weight=self.key_weight)

    def usual_set(self, slots: int) -> BootstrapSet:
        """Return the set for whose levels layouts are chosen."""
        return standard_bootstrap_set(
            *(slots, USUAL_USER_LEVELS),
            ring_degree=self.ring_degree,
            security=self.security,
            babies=standard_sizes(self.ring_degree, USUAL_USER_LEVELS).babies[0],
        )


def place_bootstraps(program: TensorProgram, *settings: Setting) -> BootstrappedProgram:
    """Return the program with the bootstraps and parameters of the least predicted time.

    Raises:
        InfeasibleError: as for placements.
    """
    return min(placements(program, settings), key=lambda placed: placed.seconds)


def placements(
    program: TensorProgram,
    settings: Sequence[Setting],
    memo: LayoutMemo | None = None,
    sizes: Sequence[float] | None = None,
    wanted: Callable[[BootstrapSet], bool] = lambda boot: True,
) -> list[BootstrappedProgram]:
    """Return the program with the bootstraps of the least predicted time, for each set of parameters that has room.

    If masks let maps take fewer products, the program comes with masks too.

    Args:
        program: the network, without activations.
        settings: the rings and the costs.
        memo: the layouts that calls with other key weights found, for reuse.
        sizes: the largest absolute value of each value in calibration, a limit for what masks may hide; None if they
            are not known.
        wanted: the sets to place, all by default. If it refuses some, the list may be empty.

    Raises:
        InfeasibleError: an operation takes more levels than any bootstrap leaves, or there are no layouts.
    """
    placed: list[BootstrappedProgram] = []
    refused = False
    problem: InfeasibleError | None = None
    deepest = max(op.depth for op in program.operations)
    memo = memo or LayoutMemo()
    for setting, slots in [(each, slots) for each in settings for slots in each.slot_counts]:
        every = memo.sets_of(slots, deepest, setting)
        boots = [boot for boot in every if wanted(boot)]
        refused |= len(boots) < len(every)
        if every and not boots:
            continue
        try:
            plain = MaskedProgram(program, tuple(range(program.value_count)), {}, {})
            _layouts(program, slots, setting, memo)
            variants = [plain, *_masked(program, slots, setting, memo, sizes)]
        except InfeasibleError as error:
            problem = error
            continue
        for boot in boots:
            for variant in variants:
                try:
                    placed.append(_placed(variant, boot, setting, memo))
                except InfeasibleError as error:
                    problem = error
    if not placed and not refused:
        raise problem or InfeasibleError(
            "an operation takes more levels than any bootstrap leaves; use a lower activation_degree="
        )
    return placed


def bootstrap_sets(slots: int, least_levels: int, setting: Setting) -> Iterator[BootstrapSet]:
    """Yield the sets to try for a number of slots, from `least_levels` user levels up to the security bound."""
    ring = setting.ring_degree
    for levels in standard_user_levels(ring):
        if levels < least_levels:
            continue
        for babies in standard_sizes(ring, levels).babies:
            yield standard_bootstrap_set(
                *(slots, levels), ring_degree=ring, security=setting.security, babies=babies
            )


def level_graph(
    program: TensorProgram,
    boot: BootstrapSet,
    layouts: Layouts,
    lowered: Mapping[int, MapOutline],
    setting: Setting,
) -> LevelGraph:
    """Return the problem of placement for these parameters.

    Products and polynomials are within the levels between two bootstraps, whose primes have the size of their scales.
    Maps have free scales: one may take the prime above these levels on a fresh input, and the last ones may take those
    below, which SlotsToCoeffs has no more use for.
    """
    model = setting.model(boot.parameters)
    parts = [placement.parts for placement in layouts.placements]
    costs = np.zeros((program.value_count, boot.output_level + 2))
    for level in range(costs.shape[1]):
        costs[1:, level] = layer_costs(program, lowered, [level] * program.value_count, parts, model)
        for index, op in enumerate(program.operations):
            free = isinstance(op, Affine) or op.depth == 0
            most = boot.output_level - (0 if free else op.depth)
            if level > most or (level < boot.input_level and not free):
                costs[index + 1, level] = np.inf
    return LevelGraph(
        reads=((), *(op.reads for op in program.operations)),
        depths=(0, *(op.depth for op in program.operations)),
        costs=costs,
        bootstraps=_bootstrap_costs(layouts, bootstrap_time(boot, setting.machine).total),
        start=boot.input_level,
        refreshed=boot.output_level,
    )


def _bootstrap_costs(layouts: Layouts, seconds: float) -> Array:
    """Return the seconds to bootstrap each value; infinity for the fresh input."""
    costs = [seconds * placement.parts for placement in layouts.placements]
    costs[0] = np.inf
    return np.array(costs)


def _layouts(program: TensorProgram, slots: int, setting: Setting, memo: LayoutMemo) -> Layouts:
    """Return layouts whose values repeat after `slots`; unused slots hold zero."""
    name = (id(program), setting.ring_degree, slots)
    if name not in memo.layouts:
        boot = setting.usual_set(slots)
        levels = (boot.input_level,) * program.value_count
        memo.layouts[name] = choose_layouts(
            *(program, levels, slots // setting.batch),
            replace(_deep_model(boot, setting), key_weight=LAYOUT_KEY_WEIGHT),
            row_packing=False,
            memo=memo.of(program),
        )
    return memo.layouts[name]


def _masked(
    program: TensorProgram, slots: int, setting: Setting, memo: LayoutMemo, sizes: Sequence[float] | None
) -> list[MaskedProgram]:
    """Return the program with those masks that layouts make use of; nothing if they use none."""
    name = (id(program), setting.ring_degree, slots)
    if name not in memo.masked:
        values = maskable_values(program, slots // setting.batch, USUAL_USER_LEVELS, sizes)
        every = memo.with_masks(program, values)
        layouts = _layouts(every.program, slots, setting, memo) if values else None
        used = [
            value for value in values if layouts is not None and layouts.placements[every.made[value]].mixed
        ]
        memo.masked[name] = masks = memo.with_masks(program, used)
        if layouts is not None and used:
            places = [0] * masks.program.value_count
            for value, number in masks.made.items():
                places[number] = every.made[value]
            for value, number in masks.masks.items():
                places[number] = every.masks[value]
            kept = tuple(layouts.placements[place] for place in places)
            memo.layouts[(id(masks.program), setting.ring_degree, slots)] = Layouts(kept, layouts.cost)
    return [memo.masked[name]] if memo.masked[name].masks else []


def _outlines(
    program: TensorProgram,
    slots: int,
    layouts: Layouts,
    setting: Setting,
    memo: LayoutMemo,
    paired: frozenset[int],
    high: frozenset[int] = frozenset(),
) -> dict[int, MapOutline]:
    """Return the outlines of the maps; those of the `paired` values may multiply their diagonals in pairs.

    Steps are those of the ring, of which the values fill a part. Maps are taken to run where a bootstrap starts, but
    for those of the `high` values, where one ends. The keys of a usual bootstrap are there anyway.
    """
    name = (id(program), setting.ring_degree, slots, setting.key_weight, paired, high)
    if name not in memo.outlines:
        boot = setting.usual_set(slots)
        levels = tuple(
            boot.output_level if value in high else boot.input_level for value in range(program.value_count)
        )
        memo.outlines[name] = outlines(
            *(program, levels, layouts, boot.parameters.slot_count // setting.batch),
            *(_deep_model(boot, setting), memo.of(program)),
            *(frozenset(value - 1 for value in paired), _held_keys(boot, setting.batch)),
        )
    return memo.outlines[name]


def _held_keys(boot: BootstrapSet, batch: int) -> list[HeldKey]:
    """Return the rotation keys of a bootstrap that maps of `batch` samples can use: those of the dense secret."""
    count = boot.parameters.slot_count
    return [
        HeldKey(step // batch, one.family, one.level)
        for one in bootstrap_maps(boot)
        for step in one.steps(count)
        if one.babies and step % batch == 0
    ]


def _deep_model(boot: BootstrapSet, setting: Setting) -> CostModel:
    """Return the costs of maps with so many diagonals that they keep coefficients."""
    return replace(setting.model(boot.parameters), coefficients=True, pairs=True)


def _placed(
    variant: MaskedProgram, boot: BootstrapSet, setting: Setting, memo: LayoutMemo
) -> BootstrappedProgram:
    program = variant.program
    layouts = _layouts(program, boot.slots, setting, memo)
    every = frozenset(range(1, program.value_count))
    lowered = _outlines(program, boot.slots, layouts, setting, memo, every)
    choice = choose_levels(level_graph(program, boot, layouts, lowered, setting))
    # Where no bootstrap follows, imaginary parts would count, so diagonals are not paired.
    free = values_with_free_imaginary_parts(program, choice.levels)
    high = frozenset(value for value, level in enumerate(choice.levels) if level > boot.input_level)
    lowered = _outlines(program, boot.slots, layouts, setting, memo, free, high)
    graph = level_graph(program, boot, layouts, lowered, setting)
    bootstraps = tuple(
        PlacedBootstrap(
            value,
            program.operations[value - 1].name,
            layouts.placements[value].parts,
            float(graph.bootstraps[value]),
        )
        for value in sorted(choice.bootstrapped)
    )
    seconds = graph.cost(choice.levels, choice.bootstrapped)
    return BootstrappedProgram(
        *(program, boot, layouts, lowered, choice.levels, bootstraps, seconds, variant.sources)
    )
