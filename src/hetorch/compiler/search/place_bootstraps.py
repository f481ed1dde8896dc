"""Stage: place bootstraps, with the levels between them, the slots and the parameters for which a run is fastest.

*Assumes* a program without activations, and security at which bootstrapping is available.
*Ensures* a level for every value and a set of values that are bootstrapped: among all such choices, on these layouts,
the one of the least predicted time.

Layouts are chosen first, at the level at which most maps run: a bootstrap restores a value before its polynomial, which
runs high, and the map after it runs low, where it is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.bootstraps.choose_levels import choose_levels
from hetorch.compiler.bootstraps.level_graph import LevelGraph
from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.packing.choose_layouts import Layouts, choose_layouts
from hetorch.compiler.packing.lower import MapOutline
from hetorch.compiler.packing.map_costs import MapMemo
from hetorch.compiler.search.pack import outlines
from hetorch.compiler.search.program_costs import cost_model, layer_costs
from hetorch.errors import InfeasibleError, SecurityError
from hetorch.ir.tensor_program import Affine, TensorProgram
from hetorch.params.bootstrap_set import BootstrapSet, standard_bootstrap_set
from hetorch.quantities import count_text, time_text

SLOTS = (1 << 14, 1 << 15)
"""Numbers of slots that are tried for a ciphertext and its bootstrap. With fewer, values repeat along the slots of the
ring; a bootstrap is faster and has fewer keys, and larger values take more ciphertexts."""
USUAL_USER_LEVELS = 8
"""Levels between two bootstraps for which layouts are chosen."""
MAP_LEVEL = 1
"""Level above the lowest for which layouts are chosen."""

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
    included.
    """

    program: TensorProgram
    bootstrap_set: BootstrapSet
    layouts: Layouts
    lowered: Mapping[int, MapOutline]
    levels: tuple[int, ...]
    bootstraps: tuple[PlacedBootstrap, ...]
    seconds: float


def place_bootstraps(program: TensorProgram, machine: Machine) -> BootstrappedProgram:
    """Return the program with the bootstraps and parameters of the least predicted time.

    Raises:
        InfeasibleError: an operation takes more levels than any bootstrap leaves, or there are no layouts.
    """
    best: BootstrappedProgram | None = None
    problem: InfeasibleError | None = None
    deepest = max(op.depth for op in program.operations)
    for slots in SLOTS:
        layouts, lowered = _layouts(program, standard_bootstrap_set(slots, USUAL_USER_LEVELS), machine)
        for boot in bootstrap_sets(slots, deepest):
            try:
                placed = _placed(program, boot, layouts, lowered, machine)
            except InfeasibleError as error:
                problem = error
                continue
            if best is None or placed.seconds < best.seconds:
                best = placed
    if best is None:
        raise problem or InfeasibleError(
            "an operation takes more levels than any bootstrap leaves; use a lower activation_degree="
        )
    return best


def bootstrap_sentences(placed: BootstrappedProgram) -> tuple[str, ...]:
    """Return sentences for the user: the number and time of the bootstraps, and the place of each."""
    boot, seconds = placed.bootstrap_set, sum(bootstrap.seconds for bootstrap in placed.bootstraps)
    ciphertexts = sum(bootstrap.ciphertexts for bootstrap in placed.bootstraps)
    places = ", ".join(
        f"{bootstrap.name} (to level {boot.output_level}, {time_text(bootstrap.seconds)})"
        for bootstrap in placed.bootstraps
    )
    return (
        f"{count_text(ciphertexts, 'bootstrap')}, each of 2^{boot.slots.bit_length() - 1} slots and leaving "
        f"{count_text(boot.user_levels, 'level')}: {time_text(seconds)} of {time_text(placed.seconds)} that a run is "
        f"predicted to take",
        f"bootstrapped values: {places}",
    )


def bootstrap_sets(slots: int, least_levels: int) -> Iterator[BootstrapSet]:
    """Yield the sets to try for a number of slots, from `least_levels` user levels up to the security bound."""
    levels = max(1, least_levels)
    while True:
        try:
            yield standard_bootstrap_set(slots, levels)
        except SecurityError:
            return
        levels += 1


def level_graph(
    program: TensorProgram,
    boot: BootstrapSet,
    layouts: Layouts,
    lowered: Mapping[int, MapOutline],
    machine: Machine,
) -> LevelGraph:
    """Return the problem of placement for these parameters.

    Products and polynomials are within the levels between two bootstraps, whose primes have the size of their scales.
    Maps have free scales: one may take the prime above these levels on a fresh input, and the last ones may take those
    below, which SlotsToCoeffs has no more use for.
    """
    model = cost_model(boot.parameters, machine)
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
        bootstraps=_bootstrap_costs(layouts, bootstrap_time(boot, machine).total),
        start=boot.input_level,
        refreshed=boot.output_level,
    )


def _bootstrap_costs(layouts: Layouts, seconds: float) -> Array:
    """Return the seconds to bootstrap each value; infinity for the fresh input."""
    costs = [seconds * placement.parts for placement in layouts.placements]
    costs[0] = np.inf
    return np.array(costs)


def _layouts(
    program: TensorProgram, boot: BootstrapSet, machine: Machine
) -> tuple[Layouts, dict[int, MapOutline]]:
    """Return layouts whose values repeat after boot.slots, and the outlines of the maps; unused slots hold zero."""
    model = cost_model(boot.parameters, machine)
    levels = (boot.input_level + MAP_LEVEL,) * program.value_count
    memo = MapMemo()
    layouts = choose_layouts(program, levels, boot.slots, model, row_packing=False, memo=memo)
    return layouts, outlines(program, levels, layouts, boot.slots, model, memo)


def _placed(
    program: TensorProgram,
    boot: BootstrapSet,
    layouts: Layouts,
    lowered: Mapping[int, MapOutline],
    machine: Machine,
) -> BootstrappedProgram:
    graph = level_graph(program, boot, layouts, lowered, machine)
    choice = choose_levels(graph)
    bootstraps = tuple(
        PlacedBootstrap(
            value,
            program.operations[value - 1].name,
            layouts.placements[value].parts,
            float(graph.bootstraps[value]),
        )
        for value in sorted(choice.bootstrapped)
    )
    return BootstrappedProgram(program, boot, layouts, lowered, choice.levels, bootstraps, choice.cost)
