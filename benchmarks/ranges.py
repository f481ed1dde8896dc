"""The share of values that leave the ranges of a plan's polynomials."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.ir.cleartext_network.network import RANGE_SLACK
from hetorch.ir.cleartext_network.noise import Noise
from hetorch.ir.cleartext_network.steps import Registers, SeriesStep
from hetorch.plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class CountedSeries(SeriesStep):
    """A Chebyshev series that counts its operands: all of them, and those outside [-1, 1]."""

    tally: NDArray[np.int64]

    def run(self, registers: Registers, noise: Noise | None) -> None:
        values = self.operand.of(registers)
        self.tally[:] += np.array([values.size, np.count_nonzero(~(np.abs(values) <= 1.0 + RANGE_SLACK))])
        SeriesStep.run(self, registers, noise)


def share_outside(plan: Plan, samples: NDArray[np.float32]) -> float:
    """Return the share, over all polynomials, of the values outside their ranges; 0 if the plan has none."""
    network, tally = plan.network(), np.zeros(2, dtype=np.int64)
    steps = tuple(
        CountedSeries(step.result, step.operand, step.series, step.deviations, tally)
        if isinstance(step, SeriesStep)
        else step
        for step in network.steps
    )
    flat = samples.reshape(len(samples), -1).astype(np.float64)
    replace(network, steps=steps).run(flat)
    return float(tally[1] / max(tally[0], 1))
