"""Bootstrapping as the native engine prepares it: the series of the modular reduction, and the keys that it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.errors import ParameterError
from hetorch.params.bootstrap_set import MESSAGE_RATIO, SPARSE_WEIGHT, BootstrapSet

KeyEnd = _native.KeyEnd


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
class KeyLink:
    """A switching key that bootstrapping needs: from one secret to the inverse automorphism `element` of another."""

    from_end: KeyEnd
    to_end: KeyEnd
    element: int
    family: tuple[int, int]
    level: int


@dataclass(frozen=True, slots=True)
class BootstrapKeySpec:
    """The keys of a bootstrap, and the sparse secret that two of them connect to the key holder's."""

    links: tuple[KeyLink, ...]
    sparse_weight: int
    sparse_spacing: int


@dataclass(frozen=True, slots=True)
class PreparedBootstrap:
    """The encoded maps of a bootstrap. It depends on no keys, so engines of many clients may share it.

    `input_scale` and `output_scale` are those of the ciphertexts, at bootstrap_set.input_level and output_level.
    """

    core: _native.Bootstrap
    bootstrap_set: BootstrapSet
    input_scale: float
    output_scale: float
    bound: float

    @property
    def byte_count(self) -> int:
        """The memory of the encoded diagonals in bytes."""
        return self.core.bytes

    @property
    def key_spec(self) -> BootstrapKeySpec:
        """The keys that it needs."""
        links = tuple(KeyLink(*need) for need in self.core.key_links())
        return BootstrapKeySpec(links, SPARSE_WEIGHT, self.bootstrap_set.spacing)

    def expected(self, value: float) -> float:
        """Return the result for a slot of this value without noise: the sine that stands for the identity.

        Its relative difference from `value` is (2 pi value / (bound MESSAGE_RATIO))^2 / 6 at most.
        """
        period = self.bound * MESSAGE_RATIO
        return math.sin(2 * math.pi * value / period) * period / (2 * math.pi)


def prepare_bootstrap(
    bootstrap_set: BootstrapSet, *, input_scale: float, output_scale: float, bound: float = 1.0
) -> PreparedBootstrap:
    """Encode the maps of a bootstrap.

    Args:
        bootstrap_set: the parameters.
        input_scale: the scale of its input.
        output_scale: the scale of its result.
        bound: the largest magnitude of a slot. A larger value comes back wrong, and no error tells it.

    Raises:
        ParameterError: a scale or the bound is not above 0.
        LevelError: the scales do not fit the moduli.
    """
    for name, number in (("input_scale", input_scale), ("output_scale", output_scale), ("bound", bound)):
        if not (number > 0 and math.isfinite(number)):
            raise ParameterError(f"{name} must be above 0 and finite, got {number}")
    series = COSINE_16
    core = _native.Bootstrap.prepare(
        core_context(bootstrap_set.parameters),
        bootstrap_set.slots,
        list(bootstrap_set.to_coefficients),
        list(bootstrap_set.to_slots),
        bootstrap_set.babies,
        (bootstrap_set.low_family.special_count, bootstrap_set.low_family.digit_size),
        input_scale,
        output_scale,
        bound,
        MESSAGE_RATIO,
        series.range,
        list(series.coefficients),
        series.doublings,
    )
    return PreparedBootstrap(core, bootstrap_set, input_scale, output_scale, bound)
