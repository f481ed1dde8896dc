"""The slots that the outputs of a program depend on, found from the last operation to the first.

Slots that hold the same element count as one: the first of them stands for all. Only the first sample of a batch is
looked at, because all go the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import PlanFormatError
from hetorch.ir.cleartext_network.sparse_map import Triplets
from hetorch.ir.he_operations import (
    NO_LAYOUT,
    Add,
    AddBias,
    Bootstrap,
    DropLevel,
    LinearTransform,
    Multiply,
    Operation,
    Polynomial,
    Rescale,
    RotateAdd,
)
from hetorch.ir.he_operations.linear_transform import INDICES
from hetorch.ir.he_program import HeProgram

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Weights = Mapping[str, NDArray[np.generic]]

READ = 1 << 22
"""Numbers of diagonals that are read at a time, 32 MB. Raised, fewer calls of numpy, and more memory meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The weights of one result of a linear transform at the needed slots.

    `triplets`: a row for each needed position, and column i * width + p for position p of input i. `rotated`: the sum
    of squares of each row's weights of rotated inputs. `terms`: the number of diagonals of each input. `giants`: the
    number of giant steps.
    """

    triplets: Triplets
    rotated: NDArray[np.float64]
    terms: Indices
    giants: int


@dataclass(slots=True, eq=False)
class Needs:
    """What the outputs need of a program: `positions` of each value, and the `entries` of each transform's results.

    `copies`: by value, over how many independent replicas the output averages the value's noise.
    """

    program: HeProgram
    weights: Weights
    positions: dict[int, Indices] = field(default_factory=dict)
    copies: dict[int, float] = field(default_factory=dict)
    entries: dict[int, Entries] = field(default_factory=dict)
    _masks: dict[int, Mask] = field(default_factory=dict)
    _everywhere: dict[int, Mask] = field(default_factory=dict)
    _first: dict[tuple[int, int], Indices] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """The number of positions of one sample."""
        return self.program.slot_count // self.program.batch

    @classmethod
    def of(cls, program: HeProgram, weights: Weights) -> Needs:
        """Return what the outputs of `program` need."""
        needs = cls(program, weights)
        for value in program.outputs:
            elements = program.output_layout.index_of_slot[program.values[value].part]
            needs._mark(value, np.flatnonzero(elements >= 0), math.inf)
        for op in reversed(program.operations):
            live = {value: needs._settle(value) for value in op.makes if value in needs._masks}
            if live:
                needs._read(op, live)
        for value in program.inputs:
            needs._settle(value)
        return needs

    def standing(self, value: int, positions: Indices) -> Indices:
        """Return the positions that stand for `positions` of a value."""
        first = self._first_of(value)
        return positions if first is None else first[positions]

    def _first_of(self, value: int) -> Indices | None:
        """Return the position that stands for each position of a value; None if each stands for itself."""
        layout, part = self.program.values[value].layout, self.program.values[value].part
        if layout == NO_LAYOUT:
            return None
        if (layout, part) not in self._first:
            elements = self.program.layouts[layout].index_of_slot[part]
            used = np.flatnonzero(elements >= 0)
            _, first, inverse = np.unique(elements[used], return_index=True, return_inverse=True)
            standing = np.arange(len(elements))
            standing[used] = used[first[inverse.reshape(-1)]]
            self._first[layout, part] = standing
        return self._first[layout, part]

    def _mark(self, value: int, positions: Indices, copies: float, everywhere: Mask | None = None) -> None:
        """Mark `positions` of a value as needed, and the slots `everywhere` as those that all replicas read."""
        mask = self._masks.setdefault(value, np.zeros(self.width, dtype=bool))
        mask[self.standing(value, positions)] = True
        if everywhere is not None:
            self._everywhere[value] = self._everywhere.get(value, False) | everywhere
        self.copies[value] = max(self.copies.get(value, 0.0), copies)

    def _settle(self, value: int) -> Mask:
        """Fix the needed positions and the copies of a value, when everything that reads it is known.

        Return the slots of the value that the replicas of the output read.
        """
        mask = self._masks.pop(value, np.zeros(self.width, dtype=bool))
        self.positions[value] = np.flatnonzero(mask)
        first, read = self._first_of(value), self._everywhere.pop(value, mask)
        everywhere = read if first is None else np.asarray(mask[first])
        count = np.count_nonzero(mask)
        replicas = np.count_nonzero(everywhere) / count if count else 1.0
        self.copies[value] = min(self.copies.get(value, 1.0), replicas)
        return everywhere

    def _read(self, op: Operation, live: Mapping[int, Mask]) -> None:
        """Mark what `op` reads; `live` are the slots of its needed results, from _settle."""
        result, everywhere = next(iter(live.items()))
        match op:
            case LinearTransform():
                for value in live:
                    self._read_transform(op, value)
            case RotateAdd(input=source, steps=steps):
                turn, positions = steps // self.program.batch, self.positions[result]
                both = np.concatenate([positions, (positions + turn) % self.width])
                self._mark(source, both, self.copies[result], everywhere | np.roll(everywhere, turn))
            case AddBias() | Add() | Multiply() | Rescale() | DropLevel() | Polynomial() | Bootstrap():
                for source in op.reads:
                    self._mark(source, self.positions[result], self.copies[result], everywhere)
            case _:
                raise PlanFormatError(f"the operation {op.tag()!r} cannot be simulated without slots")

    def _read_transform(self, op: LinearTransform, value: int) -> None:
        """Collect the entries of one result of a transform, and mark what they read."""
        outputs, inputs, giants, babies = (
            np.asarray(self.weights[f"{op.weight}.{key}"], dtype=np.int64) for key in INDICES
        )
        positions, terms = self.positions[value], np.flatnonzero(outputs == op.results.index(value))
        number, row, weight = self._non_zeros(op, positions, terms)
        source = inputs[number]
        position = (positions[row] + (giants[number] + babies[number]) // self.program.batch) % self.width
        for i, operand in enumerate(op.inputs):
            own = source == i
            position[own] = self.standing(operand, position[own])
            self._mark(operand, position[own], self.copies[value])
        shape = (len(positions), len(op.inputs) * self.width)
        squares = np.where(babies[number] != 0, weight**2, 0.0)
        self.entries[value] = Entries(
            Triplets(row, source * self.width + position, weight, shape).summed(),
            np.bincount(row, squares, minlength=len(positions)).astype(np.float64),
            np.bincount(inputs[terms], minlength=len(op.inputs)).astype(np.int64),
            len(np.unique(giants[terms])),
        )

    def _non_zeros(
        self, op: LinearTransform, positions: Indices, terms: Indices
    ) -> tuple[Indices, Indices, NDArray[np.float64]]:
        """Return the non-zeros of the diagonals `terms` at `positions`: the diagonal, the index in `positions`, and
        the weight of each."""
        values = np.asarray(self.weights[f"{op.weight}.values"], dtype=np.float64)
        at, step = positions % values.shape[1], max(READ // max(len(positions), 1), 1)
        parts = []
        for start in range(0, len(terms), step):
            some = terms[start : start + step]
            block = values[some[:, None], at]
            term, row = np.nonzero(block)
            parts.append((some[term], row, block[term, row]))
        if not parts:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
        number, row, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        return number, row, weight
