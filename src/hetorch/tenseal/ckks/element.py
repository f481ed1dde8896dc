"""One CKKS ciphertext with its scale by TenSEAL's bookkeeping, and when two scales are taken for equal."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.engine.native import Ciphertext
from hetorch.params.scales import SCALE_TOLERANCE

EXACT = 2.0**-45
"""Relative difference of scales below which dropping a level corrects nothing: less than any scale lets one see."""


@dataclass(frozen=True, slots=True)
class Element:
    """A ciphertext: `core` carries the exact scale and the level.

    `label` is the scale by TenSEAL's bookkeeping, which names a rescaled product after the scale that it began with;
    TenSEAL's errors depend on it.
    """

    core: Ciphertext
    label: float

    @property
    def level(self) -> int:
        return self.core.level


def alike(a: Element, b: Element) -> bool:
    """Return True for the common case of a sum, recognised cheaply: same level and scales, nothing to be done first."""
    x, y = a.core, b.core
    return a.label == b.label and x.level == y.level and x.scale == y.scale


def close(a: float, b: float) -> bool:
    """Return True if the core adds ciphertexts of these two scales."""
    return abs(a - b) <= SCALE_TOLERANCE / 2 * max(a, b)
