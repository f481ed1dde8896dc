"""The small steps of an affine layer beside its linear transform: spreads, folds of partial sums, and the bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hetorch.engine.protocol import C, Engine, P, T
from hetorch.ir.he_operations.fields import Layer, Operand, Result, Steps, WeightName
from hetorch.ir.he_operations.operation import (
    WORD_BYTES,
    Frame,
    Operation,
    Slots,
    Weights,
    is_period,
    key_switch_rows,
    spread,
)
from hetorch.params import KeyFamily, ParameterSet
from hetorch.params.map_family import map_family


@dataclass(frozen=True, slots=True)
class RotateAdd(Operation):
    """One fold of partial sums, or one spread of an input, input + rotate(input, steps); level and scale stay."""

    result: Result
    input: Operand
    steps: Steps
    layer: Layer

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        source = frame.values[self.input]
        return source.level, source.scale

    def problem(self, frame: Frame) -> str | None:
        if 0 < self.steps < frame.slot_count and self.steps % frame.batch == 0:
            return None
        return f"rotates by {self.steps} in {frame.slot_count} slots of {frame.batch} samples"

    def rotations(self, frame: Frame, weights: Weights) -> frozenset[int]:
        return frozenset({self.steps})

    def rotation_family(self, frame: Frame, parameters: ParameterSet) -> KeyFamily:
        return map_family(parameters, self.level(frame))

    def rotation_count(self, frame: Frame, weights: Weights) -> int:
        return 1

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        level = self.level(frame)
        return 2 * (level + 1) + key_switch_rows(parameters, level)

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return [inputs[0] + np.roll(inputs[0], -self.steps)]

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [engine.add(inputs[0], engine.rotate(inputs[0], self.steps))]


@dataclass(frozen=True, slots=True)
class AddBias(Operation):
    """The sum of a ciphertext and the plaintext `weight`, which is encoded at the level and scale of the ciphertext.

    The weight's array is float64 and holds one period of positions.
    """

    result: Result
    input: Operand
    weight: WeightName
    layer: Layer

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        source = frame.values[self.input]
        return source.level, source.scale

    @property
    def weight_names(self) -> tuple[str, ...]:
        return (self.weight,)

    def weight_problem(self, frame: Frame, weights: Weights) -> str | None:
        bias = weights.get(self.weight)
        if bias is None or bias.dtype != np.float64 or bias.ndim != 1 or not is_period(bias.shape[0], frame):
            return f"the bias {self.weight!r} is missing or not float64 of shape (period,)"
        return None if np.all(np.isfinite(bias)) else f"the bias {self.weight!r} is not finite"

    def weight_bytes(self, frame: Frame, parameters: ParameterSet, weights: Weights) -> int:
        parts = 2 if frame.encrypted_weights else 1
        return parts * (self.level(frame) + 1) * parameters.ring_degree * WORD_BYTES

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return [inputs[0] + self._slots(frame, weights)]

    def prepare(self, engine: Engine[C, P, T], frame: Frame, weights: Weights) -> P:
        source = frame.values[self.input]
        return engine.encode(self._slots(frame, weights), level=source.level, scale=source.scale)

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [engine.add_plaintext(inputs[0], prepared)]

    def _slots(self, frame: Frame, weights: Weights) -> Slots:
        return spread(np.asarray(weights[self.weight], dtype=np.float64), frame)
