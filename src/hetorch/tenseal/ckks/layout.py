"""The places of an encrypted vector's values in the slots of one ciphertext."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.ckks.element import Element


@dataclass(frozen=True, slots=True)
class Layout:
    """A vector of `size` values: slot j holds value j mod `period`, for j below `reach` with j mod period < `size`.

    Nothing is known of other slots. size <= period, size <= reach <= slot_count. A fresh vector repeats along all
    slots, as TenSEAL's does; where it does, spreading a value takes no mask and no level.
    """

    size: int
    period: int
    reach: int

    @classmethod
    def first_slots(cls, size: int) -> Layout:
        """Return the layout of a vector that is known in the first `size` slots only."""
        return cls(size, size, size)

    def is_cyclic(self, slot_count: int) -> bool:
        """Return True if a rotation by any number of steps only moves the start of the period."""
        return self.reach == slot_count and slot_count % self.period == 0

    def meet(self, other: Layout) -> Layout:
        """Return the layout of a slot-wise result of two vectors of one size."""
        if self is other:
            return self
        if self.period == other.period:
            return Layout(self.size, self.period, min(self.reach, other.reach))
        return Layout.first_slots(self.size)

    def spread(self, values: NDArray[np.float64], slot_count: int) -> NDArray[np.float64]:
        """Return `size` values in this layout along all slots, or one period of them where it divides the slots."""
        if self.period == self.size and slot_count % self.period == 0:
            return values
        period = np.zeros(self.period)
        period[: self.size] = values
        if slot_count % self.period == 0:
            return period
        return np.resize(period, slot_count)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One ciphertext of a vector."""

    element: Element
    layout: Layout
