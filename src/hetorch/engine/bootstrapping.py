"""Bootstrapping as all engines take it: its numbers, and the series of the modular reduction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import ParameterError
from hetorch.params.bootstrap_set import MESSAGE_RATIO, BootstrapSet


@dataclass(frozen=True, slots=True)
class CosineSeries:
    """The Chebyshev series, in w = 2 x^2 - 1, of amplitude * cos(2 pi u / 2^doublings), u = range * x.

    With u = y - 1/4, that many doublings of the angle give sin(2 pi y) / 2 pi. The series is accurate for y within
    `margin` of an integer of magnitude `multiples` at most.
    """

    multiples: int
    margin: float
    doublings: int
    coefficients: tuple[float, ...]

    @property
    def range(self) -> float:
        """The largest |u|."""
        return self.multiples + 0.25 + self.margin

    @property
    def amplitude(self) -> float:
        """(1 / 2 pi)^(1 / 2^doublings), so that the last amplitude is 1 / 2 pi."""
        return float((1 / (2 * math.pi)) ** (1 / 2**self.doublings))


COSINE_16 = CosineSeries(
    multiples=16,
    margin=1.02 / MESSAGE_RATIO,
    doublings=3,
    coefficients=tuple(
        float.fromhex(c)
        for c in (
            "0x1.2cc1ce84a624ep-3",
            "0x1.4ae06344bcb4ap-2",
            "0x1.7481c994bbb51p-2",
            "0x1.03074997b3e51p-2",
            "-0x1.4dbd536aeb9f9p-3",
            "-0x1.a38e53d5912efp-2",
            "0x1.9461074d20134p-2",
            "-0x1.547e048a7748ap-3",
            "0x1.61f5b950bad0ap-5",
            "-0x1.01b6b84eb9669p-7",
            "0x1.1970e82b6ce28p-10",
            "-0x1.e1c24b2266500p-14",
            "0x1.4d1d0201ede00p-17",
            "-0x1.7f8d79f080000p-21",
            "0x1.613f1e9fa0000p-25",
            "-0x1.82038fdd00000p-29",
        )
    ),
)
"""The series for |I| <= 16. At weight 32, I is the nearest integer to a sum of 32 numbers in [-1/2, 1/2], so there is
no larger one, and 16 itself has a probability of 2^-132 in a bootstrap of 2^15 slots (Irwin-Hall). The coefficients are
a least-squares fit at 40 points of each interval [I - margin, I + margin], weighted by 2^(-1.5 (|u| - 8)) for |u| > 8,
where I is rarer; a test repeats the fit. After the doublings, its error is below 2^-35 for |I| <= 8, else 2^-24."""


@dataclass(frozen=True, slots=True)
class PlannedBootstrap:
    """The numbers of a bootstrap.

    `input_scale` and `output_scale` are those of the ciphertexts, at the set's input_level and output_level. `bound` is
    the largest magnitude of a slot; a larger value comes back distorted, and no error tells it.

    Raises:
        ParameterError: a scale or the bound is not above 0.
    """

    bootstrap_set: BootstrapSet
    input_scale: float
    output_scale: float
    bound: float = 1.0

    def __post_init__(self) -> None:
        for name in ("input_scale", "output_scale", "bound"):
            number = getattr(self, name)
            if not (number > 0 and math.isfinite(number)):
                raise ParameterError(f"{name} must be above 0 and finite, got {number}")

    @property
    def full_scales(self) -> tuple[float, float]:
        """The sizes at which a slot of `bound` is encoded before and after: bootstraps that agree in them, and in their
        sets, have the same maps."""
        return self.input_scale * self.bound, self.output_scale * self.bound

    def within(self, bound: float) -> PlannedBootstrap:
        """Return the bootstrap of another bound that the same maps serve."""
        before, after = self.full_scales
        return PlannedBootstrap(self.bootstrap_set, before / bound, after / bound, bound)

    @property
    def reduction_scale(self) -> float:
        """The scale at which the modular reduction begins, at bootstrap_set.reduction_level."""
        chain, level = self.bootstrap_set.parameters.modulus_chain, self.bootstrap_set.reduction_level
        return math.sqrt(float(chain[level]) * float(chain[level - 1]))

    def expected(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the results for slots of these values without noise (sine_of_slots)."""
        return sine_of_slots(values, self.bootstrap_set.slots, self.bound)


def bootstrap_sine(values: NDArray[np.float64], bound: float) -> NDArray[np.float64]:
    """Return the sine that stands for the identity in a bootstrap, of each value.

    Its relative difference from a value is (2 pi value / (bound MESSAGE_RATIO))^2 / 6 at most.
    """
    period = bound * MESSAGE_RATIO
    return np.asarray(np.sin(values * (2 * np.pi / period)) * (period / (2 * np.pi)))


def sine_of_slots(values: NDArray[np.float64], slots: int, bound: float) -> NDArray[np.float64]:
    """Return the result of a bootstrap without noise, for values that repeat after `slots` of them.

    Of values that do not repeat, the mean of those that should be equal is kept.
    """
    return np.tile(bootstrap_sine(values.reshape(-1, slots).mean(axis=0), bound), len(values) // slots)
