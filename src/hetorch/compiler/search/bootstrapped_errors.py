"""The scales and the predicted errors of a program with bootstraps, and the share of each bootstrap in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.bootstraps.choose_levels import LevelChoice
from hetorch.compiler.bootstraps.insert_bootstraps import Bootstrapped, insert_bootstraps
from hetorch.compiler.noise.predict_errors import predict_errors
from hetorch.compiler.noise.sensitivity import measure_sensitivity
from hetorch.compiler.passes.assign_scales import assign_scales
from hetorch.compiler.search.place_bootstraps import BootstrappedProgram
from hetorch.engine.noise import NoiseModel
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Affine, Bootstrap

SCALE_BITS = 40
"""Bits of the scale of a value of size 1: those of the user's primes in standard_bootstrap_set."""


@dataclass(frozen=True, slots=True, eq=False)
class BootstrappedErrors:
    """A program with its bootstraps as operations, the scale of each value, and bounds of the errors.

    `shares` and `error` are those of predict_errors, in units of the outputs.
    """

    bootstrapped: Bootstrapped
    scales: tuple[float, ...]
    shares: tuple[float, ...]
    error: float

    @property
    def bootstrap_shares(self) -> tuple[float, ...]:
        """The bound of the error that each bootstrap adds to the worst output, in the order of the operations."""
        operations = self.bootstrapped.program.operations
        return tuple(self.shares[i + 1] for i, op in enumerate(operations) if isinstance(op, Bootstrap))


def bootstrapped_errors(
    placed: BootstrappedProgram, inputs: NDArray[np.float64], bootstrap_noise: float
) -> BootstrappedErrors:
    """Predict the encryption errors of a program with bootstraps.

    Args:
        placed: the program and the places of its bootstraps.
        inputs: calibration inputs, (batch, *shape).
        bootstrap_noise: the standard deviation that a bootstrap adds, relative to its bound.
    """
    boot = placed.bootstrap_set
    sizes = [float(np.max(np.abs(value))) for value in trace_tensor_program(placed.program, inputs)]
    choice = LevelChoice(
        placed.levels,
        frozenset(bootstrap.value for bootstrap in placed.bootstraps),
        placed.seconds,
    )
    result = insert_bootstraps(placed.program, choice, sizes, boot.output_level)
    program, chain = result.program, boot.parameters.modulus_chain
    scales = assign_scales(
        program, result.levels, [sizes[source] for source in result.sources], SCALE_BITS, chain
    )
    lowered = {
        index: placed.lowered[result.sources[index + 1] - 1]
        for index, op in enumerate(program.operations)
        if isinstance(op, Affine)
    }
    shares, error = predict_errors(
        program,
        lowered,
        result.levels,
        scales,
        NoiseModel.of(boot.parameters),
        measure_sensitivity(program, trace_tensor_program(program, inputs)),
        SCALE_BITS,
        modulus_chain=chain,
        bootstrap_noise=bootstrap_noise,
    )
    return BootstrappedErrors(result, scales, shares, error)
