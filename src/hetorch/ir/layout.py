"""Layouts: the slots and ciphertexts in which the elements of a tensor lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.distinct import distinct
from hetorch.errors import InputError, PlanFormatError
from hetorch.quantities import count_text

UNUSED = -1
"""The index of a slot that holds no element: its value is finite but unspecified, and the next matrix has zeros for
it."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A map from slots to the elements of one tensor of `shape` (no batch axis), for `batch` samples side by side.

    Slot j of a ciphertext belongs to sample j % batch and to position j // batch. `index_of_slot` is int32 of shape
    (ciphertext_count, slot_count / batch): the flat (C order) index of the element at each position, or UNUSED. An
    element may lie at many positions (replicas), and lies at one at least. The array is read-only.

    Raises:
        PlanFormatError: shape, counts or indices break these rules.
    """

    shape: tuple[int, ...]
    slot_count: int
    index_of_slot: NDArray[np.int32]
    batch: int = 1

    def __post_init__(self) -> None:
        array = np.array(self.index_of_slot, dtype=np.int32)
        for name, count in (("slot_count", self.slot_count), ("batch", self.batch)):
            if count < 1 or count & (count - 1):
                raise PlanFormatError(f"{name} must be a power of two, got {count}")
        if self.batch > self.slot_count:
            raise PlanFormatError(
                f"a batch of {self.batch} does not fit side by side in {self.slot_count} slots"
            )
        width = self.slot_count // self.batch
        if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] != width:
            raise PlanFormatError(f"a layout map has shape {array.shape}, expected (ciphertexts, {width})")
        size = self.size
        if size < 1 or array.min() < UNUSED or array.max() >= size:
            raise PlanFormatError(
                f"a layout of shape {self.shape} holds indices {array.min()}..{array.max()}, expected -1..{size - 1}"
            )
        if size > array.size or len(distinct(array[array >= 0])) != size:
            raise PlanFormatError(
                f"a layout of shape {self.shape} lacks slots for some of its {count_text(size, 'element')}"
            )
        array.setflags(write=False)
        object.__setattr__(self, "index_of_slot", array)

    @classmethod
    def periodic(cls, shape: tuple[int, ...], slot_count: int, index: ArrayLike, batch: int = 1) -> Layout:
        """Return the layout that repeats one period, `index` of shape (period,) or (ciphertexts, period), over the
        positions."""
        block = np.atleast_2d(np.asarray(index, dtype=np.int32))
        width = slot_count // batch if batch >= 1 else 0
        if block.ndim != 2 or block.shape[1] < 1 or width < 1 or width % block.shape[1]:
            raise PlanFormatError(f"a period of shape {block.shape} does not divide {width} positions")
        return cls(shape, slot_count, np.tile(block, (1, width // block.shape[1])), batch)

    @property
    def size(self) -> int:
        """The number of elements of the tensor."""
        return math.prod(self.shape)

    @property
    def ciphertext_count(self) -> int:
        return int(self.index_of_slot.shape[0])

    @property
    def period(self) -> int:
        """The smallest number of positions, a power of two, after which the map repeats in every ciphertext."""
        array = self.index_of_slot
        period = int(array.shape[1])
        while period > 1 and np.array_equal(array[:, : period // 2], array[:, period // 2 : period]):
            period //= 2
        return period

    @property
    def block(self) -> NDArray[np.int32]:
        """One period of the map, shape (ciphertext_count, period)."""
        return self.index_of_slot[:, : self.period]

    def pack(self, values: ArrayLike) -> list[NDArray[np.float64]]:
        """Return the slots of one sample of `shape`, an array of shape (slot_count,) for each ciphertext.

        Unused slots hold 0; with room for more samples the sample is repeated.

        Raises:
            InputError: the shape is wrong, or a value is not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape != self.shape:
            raise InputError(f"one sample must have shape {self.shape}, got {array.shape}")
        return self.pack_batch(array[np.newaxis])

    def pack_batch(self, values: ArrayLike) -> list[NDArray[np.float64]]:
        """Return the slots of 1 to `batch` samples, (n, *shape), as pack does for one.

        Copies of the last sample fill the remaining places; unlike zeros, they stay within the calibrated ranges.

        Raises:
            InputError: the shape is wrong, or a value is not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape[1:] != self.shape or array.ndim == 0 or not 1 <= array.shape[0] <= self.batch:
            raise InputError(
                f"expected 1 to {count_text(self.batch, 'sample')} of shape {self.shape}, got {array.shape}"
            )
        if not np.all(np.isfinite(array)):
            raise InputError("a sample holds NaN or infinity; replace them before encrypting")
        columns = array.reshape(array.shape[0], -1).T
        columns = np.pad(columns, ((0, 0), (0, self.batch - columns.shape[1])), mode="edge")
        padded = np.vstack([columns, np.zeros((1, self.batch))])
        return [padded[row].reshape(-1) for row in self.index_of_slot]

    def unpack(self, slots: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the first sample, of `shape`, from the slots of its ciphertexts: the mean of the replicas of each
        element.

        Raises:
            InputError: the number of ciphertexts or of slots is wrong.
        """
        return np.asarray(self.unpack_batch(slots)[0])

    def unpack_batch(self, slots: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return all samples, (batch, *shape), from the slots of their ciphertexts; unpack returns the first one."""
        if len(slots) != self.ciphertext_count or any(s.shape != (self.slot_count,) for s in slots):
            shapes = [tuple(s.shape) for s in slots][:4]
            raise InputError(
                f"expected {count_text(self.ciphertext_count, 'array')} of {self.slot_count} slots, got shapes {shapes}"
            )
        index = self.index_of_slot.reshape(-1)
        used = index >= 0
        values = np.concatenate(slots).reshape(-1, self.batch)[used]
        sums = np.zeros((self.size, self.batch))
        with np.errstate(over="ignore", invalid="ignore"):  # replicas of a value that a polynomial made huge
            np.add.at(sums, index[used], values)
        counts = np.bincount(index[used], minlength=self.size)
        return np.asarray((sums / counts[:, None]).T.reshape(self.batch, *self.shape))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        return (
            self.shape == other.shape
            and self.slot_count == other.slot_count
            and self.batch == other.batch
            and np.array_equal(self.index_of_slot, other.index_of_slot)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.slot_count, self.batch, self.index_of_slot.tobytes()))
