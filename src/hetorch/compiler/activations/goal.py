"""The requirements on an approximated network, and how near an attempt comes to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetorch.compiler.activations.evaluate_degrees import Attempt
from hetorch.compiler.activations.stable_off_calibration import Stability
from hetorch.compiler.options import CompileOptions


@dataclass(frozen=True, slots=True)
class Goal:
    """The requirements on a network.

    `tolerance`: largest error. `agreement`: least expected agreement. `stability`: a test that must hold, if given.
    """

    tolerance: float
    agreement: float
    stability: Stability | None = None

    @classmethod
    def of(cls, options: CompileOptions, samples: int) -> Goal:
        """Return the goal of the options for that many calibration inputs."""
        # A single sample may always differ: with few samples it would be a large share.
        return cls(options.activation_tolerance, min(options.activation_agreement, 1 - 1 / samples))

    def is_met(self, attempt: Attempt) -> bool:
        """Return True if the attempt gave a network that satisfies all of it."""
        return (
            attempt.network is not None
            and attempt.error <= self.tolerance
            and attempt.expected_agreement >= self.agreement
            and (self.stability is None or self.stability.holds(attempt.network.program))
        )

    def distance(self, attempt: Attempt) -> float:
        """Return how far the attempt is from the goal: the largest of the ratios of what it misses to what is allowed.

        Infinity without a network, or if it must be stable and is not.
        """
        if attempt.network is None:
            return math.inf
        if self.stability is not None and not self.stability.holds(attempt.network.program):
            return math.inf
        # With an agreement of 1 nothing may differ; a thousandth stands for that.
        return max(
            attempt.error / self.tolerance, (1 - attempt.expected_agreement) / max(1 - self.agreement, 1e-3)
        )
