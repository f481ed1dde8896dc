"""Stage: the variants of a program among which the search chooses, with the facts that it needs about each.

*Assumes* a program whose activations are approximated.
*Ensures* at least one variant; all compute the same function, each with another number of operations.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.noise.range_noise import RangeGains, measure_range_gains
from hetorch.compiler.noise.sensitivity import Sensitivity, measure_sensitivity
from hetorch.compiler.packing.lower import MapOutline
from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.passes.balance_sums import balance_sums
from hetorch.compiler.passes.drop_pruned import Mask, drop_pruned
from hetorch.compiler.passes.fuse_affine import GROWTHS, fuse_affine
from hetorch.compiler.passes.share_maps import share_maps
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import TensorProgram, verify_tensor_program

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Variant:
    """A program with the facts about each value from which its parameters are computed.

    `levels`: the result of assign_levels. `sizes`: the largest absolute values on the calibration `inputs`, (batch,
    *shape). `measured`: the sensitivity of the outputs to noise, if it is known already. `notes`: sentences for the
    user about elements that were dropped. `kept`: the elements of each value that were not dropped, as masks.
    """

    program: TensorProgram
    levels: tuple[int, ...]
    sizes: tuple[float, ...]
    inputs: Array
    measured: Sensitivity | None = None
    notes: tuple[str, ...] = ()
    kept: tuple[Mask, ...] = ()

    @functools.cached_property
    def sensitivity(self) -> Sensitivity:
        """The sensitivity of the outputs to noise. Of a deep network it takes long, and bootstraps change it."""
        return self.measured or measure_sensitivity(self.program, self.inputs)

    @functools.cached_property
    def range_gains(self) -> RangeGains:
        """The sensitivity of what polynomials read."""
        return measure_range_gains(self.program, self.sensitivity.samples)


@dataclass(frozen=True, slots=True, eq=False)
class LoweredVariant:
    """A variant with its affine maps lowered, by index of operation.

    `sensitivity` is that of the variant, with the mixtures of row packing counted (compiler.packing.row_packing).
    """

    variant: Variant
    maps: Mapping[int, MapOutline]
    sensitivity: Sensitivity


def program_variants(program: TensorProgram, inputs: Array) -> tuple[Variant, ...]:
    """Fuse `program` with each limit of GROWTHS, and return those results that differ in their number of operations.

    If elements can be dropped, each comes twice: without them, and with zeros in their places.

    `inputs`: the calibration inputs, (batch, *shape).
    """
    variants: list[Variant] = []
    for growth in GROWTHS:
        pruned = drop_pruned(balance_sums(share_maps(fuse_affine(program, growth))))
        verify_tensor_program(pruned.program, "drop_pruned")
        if all(len(pruned.program.operations) != len(other.program.operations) for other in variants):
            variants.append(_measured(pruned.program, pruned.kept, pruned.notes, inputs))
            if pruned.in_place is not pruned.program:
                whole = tuple(np.ones_like(mask) for mask in pruned.kept)
                variants.append(_measured(pruned.in_place, whole, (), inputs))
    return tuple(variants)


def _measured(
    program: TensorProgram, kept: tuple[Mask, ...], notes: tuple[str, ...], inputs: Array
) -> Variant:
    sizes: list[float] = []
    run_tensor_program(program, inputs, lambda number, value: sizes.append(float(np.max(np.abs(value)))))
    return Variant(
        program=program,
        levels=assign_levels(program),
        sizes=tuple(sizes),
        inputs=inputs,
        notes=notes,
        kept=kept,
    )
