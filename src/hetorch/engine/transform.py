"""A linear map on slots, given by its diagonals, which engines prepare and apply."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.rotation_schedule import RotationSchedule, paired_babies, rotation_schedule
from hetorch.errors import ParameterError


@dataclass(frozen=True, slots=True)
class DiagonalSteps:
    """The places of the diagonals of a map, without their values; the fields are those of DiagonalTransform.

    With a `pair` step g above 0, an engine may take two diagonals whose steps differ by g as one complex diagonal:
    Re((d - i e) z) = d x + e rotate(x, g), where z = x + i rotate(x, g) and x is real. The imaginary parts of the
    results are then of no use.

    Raises:
        ParameterError: an array has another shape, an index is out of range, or two pair steps do not divide the slots.
    """

    slot_count: int
    input_count: int
    output_count: int
    outputs: NDArray[np.int32]
    inputs: NDArray[np.int32]
    giants: NDArray[np.int32]
    babies: NDArray[np.int32]
    pair: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if self.pair and (self.pair < 2 or self.pair % 2 or self.slot_count % (2 * self.pair)):
            raise ParameterError(
                f"the pair step must be even, and twice of it divide {self.slot_count} slots, got {self.pair}"
            )
        count = len(self.outputs)
        bounds = (
            ("outputs", self.output_count),
            ("inputs", self.input_count),
            ("giants", self.slot_count),
            ("babies", self.slot_count),
        )
        for name, bound in bounds:
            array = getattr(self, name)
            if array.shape != (count,) or not count:
                raise ParameterError(f"{name} has shape {array.shape}, expected ({max(count, 1)},)")
            if array.min() < 0 or array.max() >= bound:
                raise ParameterError(f"{name} holds {array.min()}..{array.max()}, expected 0..{bound - 1}")

    @property
    def schedule(self) -> RotationSchedule:
        """The rotations by which engines apply the map."""
        babies = paired_babies(self.babies, self.pair, self.slot_count)[0]
        return rotation_schedule(self.outputs, self.inputs, self.giants, babies, self.slot_count)

    @property
    def rotations(self) -> frozenset[int]:
        """The rotation steps whose Galois keys the map needs, but for the pair step; a step of 0 needs none."""
        return self.schedule.keys


@dataclass(frozen=True, slots=True)
class DiagonalTransform(DiagonalSteps):
    """The map y_o[s] = sum over diagonals t with output o of values_t[s] * x_i[(s + giant_t + baby_t) mod slot_count].

    The arrays have one entry per diagonal: `outputs` (index of the output ciphertext), `inputs` (index of the input
    ciphertext), `giants` and `babies` (rotation steps in [0, slot_count); the diagonal's index is their sum), all of
    shape (D,), and `values`, float64 of shape (D, period). A diagonal is periodic in the slots with `period`, a power
    of two that divides slot_count. Values belong to the *output* slot s; the engine rotates them for the giant step.

    Raises:
        ParameterError: an array has another shape, a value is out of range or not finite.
    """

    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = self.values.shape[0] if self.values.ndim == 2 else -1
        if count < 1:
            raise ParameterError(
                f"a transform needs at least one diagonal; values have shape {self.values.shape}"
            )
        period = self.values.shape[1]
        if period < 1 or self.slot_count % period:
            raise ParameterError(
                f"period {period} of the diagonals does not divide slot_count {self.slot_count}"
            )
        if self.outputs.shape != (count,):
            raise ParameterError(f"outputs has shape {self.outputs.shape}, expected ({count},)")
        DiagonalSteps.__post_init__(self)
        if not np.all(np.isfinite(self.values)):
            raise ParameterError("a diagonal holds a value that is not finite")

    def apply(self, inputs: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Return the results for cleartext inputs, arrays of shape (slot_count,), by the definition of the map."""
        if self.values.shape[1] == 1 and not self.rotations:
            return list(self._sums(np.stack(inputs)))
        result = [np.zeros(self.slot_count) for _ in range(self.output_count)]
        repeat = self.slot_count // self.values.shape[1]
        for t in range(self.values.shape[0]):
            steps = int(self.giants[t]) + int(self.babies[t])
            diagonal = np.tile(self.values[t], repeat)
            result[self.outputs[t]] += diagonal * np.roll(inputs[self.inputs[t]], -steps)
        return result

    def _sums(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the results, (output_count, slot_count), of a map without rotations whose diagonals are numbers.

        The time is proportional to the number of diagonals, so that maps on thousands of ciphertexts are possible.
        """
        order = np.argsort(self.outputs, kind="stable")
        starts = np.searchsorted(self.outputs[order], np.arange(self.output_count + 1))
        result = np.zeros((self.output_count, self.slot_count))
        for output in range(self.output_count):
            terms = order[starts[output] : starts[output + 1]]
            result[output] = self.values[terms, 0] @ inputs[self.inputs[terms]]
        return result
