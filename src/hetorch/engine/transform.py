"""A linear map on slots, as the diagonals that the double-hoisted kernel runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import ParameterError


def key_steps(giants: NDArray[np.int32], babies: NDArray[np.int32], slot_count: int) -> frozenset[int]:
    """The rotation steps whose Galois keys a transform with these steps (in [0, slot_count)) needs.

    Every baby step but 0 needs its key. Giant steps are turns to the left (up to half of the slots) or to the right.
    If those of one side are all the multiples 1, 2, … of the smallest one, they are done by Horner's rule,
    sum_j rot^j(S_j) = S_0 + rot(S_1 + rot(S_2 + …)), with its key alone: as many key switches, fewer keys. Otherwise
    each needs its own. The core has the same rule (circuits/giant_steps.cpp).
    """
    steps = {int(s) for s in np.unique(babies) if s}
    turns = {int(g) for g in np.unique(giants) if g}
    for left in (True, False):
        side = sorted(t if left else slot_count - t for t in turns if (2 * t <= slot_count) == left)
        dense = side == [(i + 1) * side[0] for i in range(len(side))]
        used = side[:1] if dense else side
        steps.update(t if left else slot_count - t for t in used)
    return frozenset(steps)


@dataclass(frozen=True, slots=True)
class DiagonalTransform:
    """y_o[s] = sum over diagonals t with output o of  values_t[s] * x_i[(s + giant_t + baby_t) mod slot_count].

    Arrays of length D, one entry a diagonal: `outputs` (index of the output ciphertext), `inputs` (index of the input
    ciphertext), `giants` and `babies` (rotation steps in [0, slot_count); the diagonal's index is their sum), and
    `values`, float64 of shape (D, period): a diagonal is periodic in the slots with `period`, a power of two that
    divides slot_count. Values belong to the *output* slot s; the engine rotates them for the giant step itself.
    """

    slot_count: int
    input_count: int
    output_count: int
    outputs: NDArray[np.int32]
    inputs: NDArray[np.int32]
    giants: NDArray[np.int32]
    babies: NDArray[np.int32]
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
        for name in ("outputs", "inputs", "giants", "babies"):
            array = getattr(self, name)
            if array.shape != (count,):
                raise ParameterError(f"{name} has shape {array.shape}, expected ({count},)")
        bounds = (
            ("outputs", self.output_count),
            ("inputs", self.input_count),
            ("giants", self.slot_count),
            ("babies", self.slot_count),
        )
        for name, bound in bounds:
            array = getattr(self, name)
            if array.min() < 0 or array.max() >= bound:
                raise ParameterError(f"{name} holds {array.min()}..{array.max()}, expected 0..{bound - 1}")
        if not np.all(np.isfinite(self.values)):
            raise ParameterError("a diagonal holds a value that is not finite")

    @property
    def rotations(self) -> frozenset[int]:
        """Every rotation step whose Galois key the transform needs (0 needs none)."""
        return key_steps(self.giants, self.babies, self.slot_count)

    def apply(self, inputs: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """The definition, on cleartext slots: `inputs` are arrays of shape (slot_count,)."""
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
        """The same where each diagonal is one number and nothing rotates: (output_count, slot_count). Weights that are
        not there cost nothing, so that very many ciphertexts stay possible."""
        order = np.argsort(self.outputs, kind="stable")
        starts = np.searchsorted(self.outputs[order], np.arange(self.output_count + 1))
        result = np.zeros((self.output_count, self.slot_count))
        for output in range(self.output_count):
            mine = order[starts[output] : starts[output + 1]]
            result[output] = self.values[mine, 0] @ inputs[self.inputs[mine]]
        return result
