"""Where the values of an encrypted vector stand in the slots of one ciphertext."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.element import Element


@dataclass(frozen=True, slots=True)
class Layout:
    """Slot j holds value j mod `period` for all j below `reach` with j mod period < `size`.

    Nothing is known of other slots. size <= period, size <= reach <= slot_count. A fresh vector repeats along all
    slots, as TenSEAL's does; repetition is what saves the mask and the level when a value must be spread.
    """

    size: int
    period: int
    reach: int

    @classmethod
    def first_slots(cls, size: int) -> Layout:
        """Known in the first `size` slots only."""
        return cls(size, size, size)

    def is_cyclic(self, slot_count: int) -> bool:
        """Whether a rotation by any number of steps only moves the start of the period."""
        return self.reach == slot_count and slot_count % self.period == 0

    def meet(self, other: Layout) -> Layout:
        """Of a slot-wise result of two vectors of one size."""
        if self is other:
            return self
        if self.period == other.period:
            return Layout(self.size, self.period, min(self.reach, other.reach))
        return Layout.first_slots(self.size)

    def spread(self, values: NDArray[np.float64], slot_count: int) -> NDArray[np.float64]:
        """`size` values laid out like this along all slots, cut to one period where the slots allow it."""
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
