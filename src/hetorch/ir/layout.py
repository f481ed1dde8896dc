"""Where a tensor's numbers lie in the slots of its ciphertexts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.errors import InputError, PlanError

UNUSED = -1
"""A slot that holds no element: its value is finite but unspecified, and the next matrix has zeros for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A map from slots to the elements of one tensor of `shape` (no batch axis).

    `index_of_slot` is int32 of shape (ciphertext_count, slot_count): the flat (C order) index of the element in each
    slot, or UNUSED. An element may lie in many slots (replicas), and lies in at least one. The array is read-only.
    PlanError if that does not hold.
    """

    shape: tuple[int, ...]
    slot_count: int
    index_of_slot: NDArray[np.int32]

    def __post_init__(self) -> None:
        array = np.array(self.index_of_slot, dtype=np.int32)
        if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] != self.slot_count:
            raise PlanError(
                f"a layout map has shape {array.shape}, expected (ciphertexts, {self.slot_count})"
            )
        if self.slot_count < 1 or self.slot_count & (self.slot_count - 1):
            raise PlanError(f"slot_count must be a power of two, got {self.slot_count}")
        size = self.size
        if size < 1 or array.min() < UNUSED or array.max() >= size:
            raise PlanError(
                f"a layout of shape {self.shape} holds indices {array.min()}..{array.max()}, expected -1..{size - 1}"
            )
        if size > array.size or np.unique(array[array >= 0]).size != size:
            raise PlanError(f"a layout of shape {self.shape} lacks slots for some of its {size} elements")
        array.setflags(write=False)
        object.__setattr__(self, "index_of_slot", array)

    @classmethod
    def periodic(cls, shape: tuple[int, ...], slot_count: int, index: ArrayLike) -> Layout:
        """From one period: `index` of shape (period,) or (ciphertexts, period), repeated over the slots."""
        block = np.atleast_2d(np.asarray(index, dtype=np.int32))
        if block.ndim != 2 or block.shape[1] < 1 or slot_count % block.shape[1]:
            raise PlanError(f"a period of shape {block.shape} does not divide {slot_count} slots")
        return cls(shape, slot_count, np.tile(block, (1, slot_count // block.shape[1])))

    @property
    def size(self) -> int:
        """Elements of the tensor."""
        return math.prod(self.shape)

    @property
    def ciphertext_count(self) -> int:
        return int(self.index_of_slot.shape[0])

    @property
    def period(self) -> int:
        """The smallest power of two after which the map repeats in every ciphertext."""
        array = self.index_of_slot
        period = self.slot_count
        while period > 1 and np.array_equal(array[:, : period // 2], array[:, period // 2 : period]):
            period //= 2
        return period

    @property
    def block(self) -> NDArray[np.int32]:
        """One period of the map, shape (ciphertext_count, period)."""
        return self.index_of_slot[:, : self.period]

    def pack(self, values: ArrayLike) -> list[NDArray[np.float64]]:
        """One array of shape (slot_count,) a ciphertext; unused slots hold 0. InputError on a wrong shape or NaN."""
        array = np.asarray(values, dtype=np.float64)
        if array.shape != self.shape:
            raise InputError(f"one sample must have shape {self.shape}, got {array.shape}")
        if not np.all(np.isfinite(array)):
            raise InputError("a sample holds NaN or infinity; replace them before encrypting")
        padded = np.append(array.reshape(-1), 0.0)
        return [padded[row] for row in self.index_of_slot]

    def unpack(self, slots: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The tensor of `shape` from the slots of its ciphertexts: the mean of the replicas of each element."""
        if len(slots) != self.ciphertext_count or any(s.shape != (self.slot_count,) for s in slots):
            shapes = [tuple(s.shape) for s in slots][:4]
            raise InputError(
                f"expected {self.ciphertext_count} arrays of {self.slot_count} slots, got shapes {shapes}"
            )
        index = self.index_of_slot.reshape(-1)
        used = index >= 0
        values = np.concatenate(slots)[used]
        sums = np.bincount(index[used], weights=values, minlength=self.size)
        counts = np.bincount(index[used], minlength=self.size)
        return (sums / counts).reshape(self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        return (
            self.shape == other.shape
            and self.slot_count == other.slot_count
            and np.array_equal(self.index_of_slot, other.index_of_slot)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.slot_count, self.index_of_slot.tobytes()))
