"""The share of values that leave the ranges of polynomials: those of a plan, and those of a trained module."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hetorch.ir.cleartext_network.network import RANGE_SLACK
from hetorch.ir.cleartext_network.noise import Noise
from hetorch.ir.cleartext_network.steps import Registers, SeriesStep
from hetorch.plan import Plan
from hetorch.train import PolyAct


@dataclass(frozen=True, slots=True, eq=False)
class CountedSeries(SeriesStep):
    """A Chebyshev series that counts its operands: all of them, and those outside [-1, 1]."""

    tally: NDArray[np.int64]

    def run(self, registers: Registers, noise: Noise | None) -> None:
        values = self.operand.of(registers)
        self.tally[:] += np.array([values.size, np.count_nonzero(~(np.abs(values) <= 1.0 + RANGE_SLACK))])
        SeriesStep.run(self, registers, noise)


def share_outside(plan: Plan, samples: NDArray[np.float32]) -> float:
    """Return the share, over all polynomials of the plan, of the values outside their ranges; 0 if it has none."""
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


def share_outside_trained(module: nn.Module, samples: NDArray[np.float32]) -> float:
    """Return the share, over all PolyActs of the module, of the values outside the ranges that training recorded."""
    sizes: dict[PolyAct, int] = {}

    def count(act: nn.Module, operands: tuple[torch.Tensor, ...]) -> None:
        if isinstance(act, PolyAct):
            sizes[act] = operands[0].numel()

    hooks = [part.register_forward_pre_hook(count) for part in module.modules() if isinstance(part, PolyAct)]
    with torch.no_grad():
        module(torch.from_numpy(samples))
    for hook in hooks:
        hook.remove()
    return sum(size * act.outside() for act, size in sizes.items()) / sum(sizes.values())
