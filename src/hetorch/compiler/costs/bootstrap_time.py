"""The predicted seconds of a bootstrap, stage by stage, from the same constants as those of other operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.costs.model import CostModel
from hetorch.engine.bootstrapping import COSINE_16
from hetorch.params.bootstrap_set import BootstrapSet


@dataclass(frozen=True, slots=True)
class BootstrapTime:
    """The seconds of each stage of the bootstrap of one ciphertext."""

    to_coefficients: float
    raise_modulus: float
    to_slots: float
    reduction: float

    @property
    def total(self) -> float:
        return self.to_coefficients + self.raise_modulus + self.to_slots + self.reduction


def bootstrap_time(boot: BootstrapSet, machine: Machine) -> BootstrapTime:
    """Return the predicted time of a bootstrap with the parameters `boot`."""
    p = boot.parameters
    special, ring = len(p.special_primes), p.ring_degree
    main = CostModel(p.digit_size, special, ring, machine)
    low = CostModel(boot.low_family.digit_size, boot.low_family.special_count, ring, machine)
    # A raised polynomial is one digit over the whole chain.
    raised = CostModel(p.max_level + 1, special, ring, machine)
    last = boot.slots.bit_length() - 1
    first_to_slots = raised.transform(p.max_level, 1 << boot.to_slots[0], (1 << boot.to_slots[0]) - 1, 0, 0)
    top = p.max_level - (len(boot.to_slots) - 1)
    return BootstrapTime(
        to_coefficients=_maps(low, boot.input_level, boot.to_coefficients, boot.babies[0], last),
        # Both polynomials, transformed under all primes.
        raise_modulus=main.transformed_on_use(p.max_level, 2, 1.0),
        to_slots=first_to_slots + _maps(main, p.max_level, boot.to_slots[1:], boot.babies[1], 0),
        reduction=_reduction(main, top, boot.output_level),
    )


def _maps(model: CostModel, level: int, factors: Sequence[int], babies: int, last: int) -> float:
    """Return the seconds of factors one level below the other, the first at `level`.

    A factor of r stages has the diagonals -(2^r - 1) to 2^r - 1 times its stride. Once `last` stages are done, the
    strides of both signs are the same, and the last factor has 2^r diagonals.
    """
    total, done = 0.0, 0
    for stages in factors:
        done += stages
        least = 0 if done == last else 1 - (1 << stages)
        steps = range(least, 1 << stages)
        giants = {step // babies for step in steps} - {0}
        total += model.transform(level, len(steps), min(babies, len(steps)) - 1, len(giants), 0)
        level -= 1
    return total


def _reduction(model: CostModel, level: int, lowest: int) -> float:
    """Return the seconds of the conjugation at `level` and of the modular reduction from there to `lowest`."""
    series = model.polynomial(level - 1, COSINE_16.coefficients)
    doublings = sum(
        model.multiply(lowest + 1 + i) + model.add(lowest + i) for i in range(COSINE_16.doublings)
    )
    return model.rotate(level) + model.add(level) + model.multiply(level) + series + doublings
