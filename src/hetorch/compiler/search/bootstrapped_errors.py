"""A program with its bootstraps as operations: scales, predicted errors, and the share of each bootstrap in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.bootstraps.choose_levels import LevelChoice
from hetorch.compiler.bootstraps.insert_bootstraps import insert_bootstraps
from hetorch.compiler.noise.predict_errors import OwnNoise, predict_errors
from hetorch.compiler.noise.sampled_range_noise import sampled_range_noise
from hetorch.compiler.noise.sensitivity import Sensitivity, measure_sensitivity
from hetorch.compiler.packing.lower import MapOutline
from hetorch.compiler.packing.placements import Placement
from hetorch.compiler.passes.assign_scales import assign_scales
from hetorch.compiler.search.place_bootstraps import BootstrappedProgram
from hetorch.engine.bootstrap_noise import largest_noise
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.noise import NoiseModel
from hetorch.ir.tensor_program import Affine, Bootstrap, TensorProgram, verify_tensor_program
from hetorch.params.bootstrap_set import BootstrapSet


@dataclass(frozen=True, slots=True, eq=False)
class RefreshedProgram:
    """A program that bootstraps, as operations, with facts about its values.

    `levels`, `sizes` (the largest absolute values in calibration), `scales`, `placements`: one per value. `lowered`:
    the outlines of its maps, by index of operation. `sources`: by value, the value before bootstraps were inserted.
    """

    program: TensorProgram
    bootstrap_set: BootstrapSet
    levels: tuple[int, ...]
    sizes: tuple[float, ...]
    scales: tuple[float, ...]
    placements: tuple[Placement, ...]
    lowered: Mapping[int, MapOutline]
    sources: tuple[int, ...]

    @property
    def planned(self) -> dict[int, PlannedBootstrap]:
        """The numbers of each bootstrap, by index of operation; equal ones share what an engine prepares."""
        return {
            index: PlannedBootstrap(
                self.bootstrap_set, self.scales[op.input], self.scales[index + 1], op.bound
            )
            for index, op in enumerate(self.program.operations)
            if isinstance(op, Bootstrap)
        }


@dataclass(frozen=True, slots=True, eq=False)
class BootstrappedErrors:
    """Bounds of the errors of a program with bootstraps.

    `shares` and `error` are those of predict_errors, in units of the outputs. `range_noise`: the noise at the inputs of
    the series. `sensitivity`: that of the outputs.
    """

    sensitivity: Sensitivity
    shares: tuple[float, ...]
    error: float
    range_noise: float


def refreshed_program(placed: BootstrappedProgram, sizes: Sequence[float]) -> RefreshedProgram:
    """Return the program with an operation for each bootstrap, and the scale of each value.

    `sizes`: the largest absolute value of each value in calibration, before masks were inserted.
    """
    boot = placed.bootstrap_set
    refreshed = frozenset(bootstrap.value for bootstrap in placed.bootstraps)
    choice = LevelChoice(placed.levels, refreshed, placed.seconds)
    of_placed = [sizes[source] for source in placed.sources]
    result = insert_bootstraps(placed.program, choice, of_placed, boot.output_level)
    program, sources = result.program, result.sources
    verify_tensor_program(program, "insert_bootstraps")
    own_sizes = tuple(of_placed[source] for source in sources)
    return RefreshedProgram(
        program=program,
        bootstrap_set=boot,
        levels=result.levels,
        sizes=own_sizes,
        scales=assign_scales(
            program, result.levels, own_sizes, boot.user_bits, boot.parameters.modulus_chain
        ),
        placements=tuple(placed.layouts.placements[source] for source in sources),
        lowered={
            index: placed.lowered[sources[index + 1] - 1]
            for index, op in enumerate(program.operations)
            if isinstance(op, Affine)
        },
        sources=sources,
    )


def bootstrapped_errors(refreshed: RefreshedProgram, inputs: NDArray[np.float64]) -> BootstrappedErrors:
    """Predict the encryption errors of a program with bootstraps, on calibration `inputs`, (batch, *shape)."""
    program, scales = refreshed.program, refreshed.scales
    parameters = refreshed.bootstrap_set.parameters
    sensitivity = measure_sensitivity(program, inputs)
    noise = max((largest_noise(one) / one.bound for one in set(refreshed.planned.values())), default=0.0)
    facts = (program, refreshed.lowered, refreshed.levels, scales, NoiseModel.of(parameters), sensitivity)
    bits, chain = refreshed.bootstrap_set.user_bits, parameters.modulus_chain
    shares, error = predict_errors(*facts, bits, modulus_chain=chain, bootstrap_noise=noise)
    rules = OwnNoise(*facts, bits, modulus_chain=chain, bootstrap_noise=noise)
    own = [rules.of(value) for value in range(program.value_count)]
    # The bound of range_noise is far above the noise of a deep network, and takes long.
    return BootstrappedErrors(sensitivity, shares, error, sampled_range_noise(program, inputs, own, scales))
