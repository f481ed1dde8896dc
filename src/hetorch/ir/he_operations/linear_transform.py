"""Linear maps of tensors, as the diagonals of a matrix on slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec, main_family, rotation_link
from hetorch.engine.protocol import C, Engine, P, T
from hetorch.engine.rotation_schedule import RotationSchedule, paired_babies, rotation_schedule
from hetorch.engine.transform import DiagonalTransform
from hetorch.ir.he_operations.fields import Flag, Layer, Operands, Results, Steps, WeightName
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

SHORTEST_TRANSFORM = 16
"""Smallest number of coefficients that the native engine keeps of a diagonal: its shortest transform."""
TRANSFORMED_AT_ONCE = 8
"""Number of diagonals that each thread holds transformed, if they are kept as coefficients
(cpp/circuits/coefficient_diagonals.cpp)."""
INDICES = ("outputs", "inputs", "giants", "babies")
"""The int32 arrays of a transform, one entry per diagonal, in the order of DiagonalTransform."""


@dataclass(frozen=True, slots=True)
class LinearTransform(Operation):
    """A linear map: results[o] is the sum of the diagonals of `weight` times rotated inputs, rescaled.

    The results are at level - 1 and at any planned scale.

    The weights are `<weight>.outputs`, `.inputs`, `.giants` and `.babies` (int32, shape (D,)) and `<weight>.values`
    (float64, shape (D, period)), as in DiagonalTransform. With `coefficients` = 1, the native engine keeps the encoded
    diagonals as coefficients and transforms them in each run, so that their size does not grow with the level.
    """

    results: Results
    inputs: Operands
    weight: WeightName
    layer: Layer
    coefficients: Flag = 0

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        return self.level(frame) - 1, frame.values[self.results[0]].scale

    def problem(self, frame: Frame) -> str | None:
        for numbers in (self.inputs, self.results):
            if len({(frame.values[number].level, frame.values[number].scale) for number in numbers}) != 1:
                return "inputs or results of one transform differ in level or scale"
        return None

    @property
    def weight_names(self) -> tuple[str, ...]:
        return tuple(f"{self.weight}.{key}" for key in (*INDICES, "values"))

    def weight_problem(self, frame: Frame, weights: Weights) -> str | None:
        values = weights.get(f"{self.weight}.values")
        if (
            values is None
            or values.dtype != np.float64
            or values.ndim != 2
            or not is_period(values.shape[1], frame)
        ):
            return f"the diagonals {self.weight!r}.values are missing or not float64 of shape (D, period)"
        bounds = (len(self.results), len(self.inputs), frame.slot_count, frame.slot_count)
        for key, bound in zip(INDICES, bounds, strict=True):
            array = weights.get(f"{self.weight}.{key}")
            if array is None or array.dtype != np.int32 or array.shape != values.shape[:1] or not array.size:
                return (
                    f"the array {self.weight!r}.{key} is missing or not int32 of shape ({values.shape[0]},)"
                )
            steps = array.astype(np.int64)
            if steps.min() < 0 or steps.max() >= bound:
                return f"the array {self.weight!r}.{key} holds values outside 0..{bound - 1}"
            if key in ("giants", "babies") and np.any(steps % frame.batch):
                return f"the array {self.weight!r}.{key} holds steps that mix the {frame.batch} samples"
        return None if np.all(np.isfinite(values)) else f"the diagonals {self.weight!r} are not finite"

    @property
    def pair(self) -> int:
        """The pair step of the diagonals (hetorch.engine.transform); 0 if they are multiplied one by one."""
        return 0

    def schedule(self, frame: Frame, weights: Weights) -> RotationSchedule:
        """Return the rotations by which engines apply the map, but for those by the pair step."""
        outputs, inputs, giants, babies = self._indices(weights)
        babies = paired_babies(babies, self.pair, frame.slot_count)[0]
        return rotation_schedule(outputs, inputs, giants, babies, frame.slot_count)

    def rotations(self, frame: Frame, weights: Weights) -> frozenset[int]:
        schedule = self.schedule(frame, weights)
        # Each sum of products of ciphertexts is relinearised and rotated by itself.
        return schedule.keys_without_chains if frame.encrypted_weights else schedule.keys

    def rotation_family(self, frame: Frame, parameters: ParameterSet) -> KeyFamily:
        # The products with encrypted weights are relinearised and rotated under the main family.
        if frame.encrypted_weights:
            return main_family(parameters)
        return map_family(parameters, self.level(frame))

    def rotation_count(self, frame: Frame, weights: Weights) -> int:
        schedule = self.schedule(frame, weights)
        turned = len(self.inputs) if self.pair else 0
        return turned + sum(
            int(np.count_nonzero(pairs[:, 1])) for pairs in (schedule.rotated, schedule.groups)
        )

    def further_keys(self, frame: Frame, parameters: ParameterSet) -> EvaluationKeySpec | None:
        if not self.pair:
            return None
        level = self.level(frame)
        turn = rotation_link(parameters, self.pair, map_family(parameters, level), level)
        return EvaluationKeySpec.collected(parameters, [turn])

    def relinearises(self, frame: Frame) -> bool:
        return frame.encrypted_weights

    def weight_bytes(
        self,
        frame: Frame,
        parameters: ParameterSet,
        weights: Weights,
        outputs: NDArray[np.int64] | None = None,
    ) -> int:
        """Return the bytes of the encoded diagonals, either of all or of the result ciphertexts `outputs` alone."""
        level = self.level(frame)
        here = weights[f"{self.weight}.outputs"]
        kept = np.ones(len(here), dtype=bool) if outputs is None else np.isin(here, outputs)
        count = self._diagonal_count(frame, weights, kept) if self.pair else int(kept.sum())
        if frame.encrypted_weights:
            return 2 * count * (level + 1) * parameters.ring_degree * WORD_BYTES
        period = weights[f"{self.weight}.values"].shape[1]
        if self._is_weighted_sum(weights):
            return count * (4 + WORD_BYTES * (level + 1))
        words = min(parameters.ring_degree, 2 * (1 if period == 1 else period * frame.batch))
        if self.coefficients:
            return count * max(words, SHORTEST_TRANSFORM) * WORD_BYTES
        return count * self._rows(frame, parameters, weights) * words * WORD_BYTES

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        level = self.level(frame)
        if frame.encrypted_weights:
            rotated = len(self.schedule(frame, weights).rotated)
            return (2 * rotated + 8) * (level + 1) + key_switch_rows(parameters, level)
        if self._is_weighted_sum(weights):
            # Each sum is replaced by its result, which has a row less in both halves.
            return 2 * len(self.results)
        schedule = self.schedule(frame, weights)
        rows = self._rows(frame, parameters, weights)
        digits = map_family(parameters, level).digit_count(level) * rows
        hoisted = len(np.unique(schedule.rotated[schedule.rotated[:, 1] != 0, 0])) * digits
        without = len(self.results) - int(np.sum(schedule.groups[:, 1] == 0))
        transformed = TRANSFORMED_AT_ONCE if self.coefficients else 0
        first = hoisted + min(threads, rows) * (2 * len(schedule.rotated) + 2 + transformed)
        second = 2 * rows * without + (digits + level + 1 if schedule.chains else 0)
        turned = 2 * (level + 1) * len(self.inputs) if self.pair else 0
        return turned + 2 * rows * len(schedule.groups) + max(first, second)

    def diagonals(
        self, frame: Frame, weights: Weights, only: tuple[int, ...] | None = None
    ) -> DiagonalTransform:
        """Return the map on slots, to all result ciphertexts, or only to those of `only` in that order."""
        part = {key: weights[f"{self.weight}.{key}"] for key in INDICES}
        values = np.asarray(weights[f"{self.weight}.values"], dtype=np.float64)
        count = len(self.results)
        if only is not None:
            number = np.full(count, -1)
            number[list(only)] = np.arange(len(only))
            kept = number[part["outputs"].astype(np.int64)] >= 0
            giants = np.setdiff1d(part["giants"], part["giants"][kept])
            part = {key: array[kept] for key, array in part.items()}
            part["outputs"] = number[part["outputs"].astype(np.int64)]
            # Zero diagonals for the giant steps of the other results: keys exist for the steps of the whole map.
            extra = {
                "giants": giants,
                **{key: np.zeros_like(giants) for key in ("outputs", "inputs", "babies")},
            }
            part = {key: np.concatenate([array, extra[key]]) for key, array in part.items()}
            values = np.concatenate([values[kept], np.zeros((len(giants), values.shape[1]))])
            count = len(only)
        if values.shape[1] > 1:  # a constant stays one
            values = np.repeat(values, frame.batch, axis=1)
        steps = {key: np.asarray(array, dtype=np.int32) for key, array in part.items()}
        return DiagonalTransform(
            frame.slot_count, len(self.inputs), count, values=values, pair=self.pair, **steps
        )

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        outputs, sources, giants, babies = self._indices(weights)
        diagonals = np.asarray(weights[f"{self.weight}.values"], dtype=np.float64)
        sums = [np.zeros(frame.slot_count) for _ in self.results]
        for t, diagonal in enumerate(diagonals):
            rotated = np.roll(inputs[sources[t]], -int(giants[t] + babies[t]))
            sums[outputs[t]] += spread(diagonal, frame) * rotated
        return sums

    def prepare(self, engine: Engine[C, P, T], frame: Frame, weights: Weights) -> T:
        return self.encode(engine, frame, self.diagonals(frame, weights))

    def encode(self, engine: Engine[C, P, T], frame: Frame, transform: DiagonalTransform) -> T:
        """Prepare `transform`, which is this map or a part of it, at the level and scales of the program."""
        source, result = frame.values[self.inputs[0]], frame.values[self.results[0]]
        return engine.prepare_transform(
            transform,
            level=source.level,
            input_scale=source.scale,
            output_scale=result.scale,
            coefficients=bool(self.coefficients),
        )

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return engine.linear_transform(prepared, inputs)

    def _indices(self, weights: Weights) -> tuple[NDArray[np.int64], ...]:
        return tuple(weights[f"{self.weight}.{key}"].astype(np.int64) for key in INDICES)

    def _diagonal_count(self, frame: Frame, weights: Weights, kept: NDArray[np.bool_]) -> int:
        """Return the number of those of the complex diagonals that have a part among the `kept` ones."""
        outputs, inputs, giants, babies = (array[kept] for array in self._indices(weights))
        babies = paired_babies(babies, self.pair, frame.slot_count)[0]
        return len(np.unique(np.stack([outputs, inputs, giants, babies]), axis=1)[0])

    def _rotates(self, weights: Weights) -> bool:
        return any(bool(np.any(weights[f"{self.weight}.{key}"])) for key in ("giants", "babies"))

    def _is_weighted_sum(self, weights: Weights) -> bool:
        """Return True if engines multiply whole ciphertexts by numbers: no rotation, and one number per diagonal."""
        return not self._rotates(weights) and weights[f"{self.weight}.values"].shape[1] == 1

    def _rows(self, frame: Frame, parameters: ParameterSet, weights: Weights) -> int:
        """Return the number of primes over which the diagonals are encoded; if the map rotates, P's are included."""
        level = self.level(frame)
        return level + 1 + (map_family(parameters, level).special_count if self._rotates(weights) else 0)


@dataclass(frozen=True, slots=True)
class PairedTransform(LinearTransform):
    """A linear map whose diagonals are multiplied two at a time, `step` slots apart (engine.transform.DiagonalSteps).

    Each input is rotated once more, and half of the products remain. The results have imaginary parts of no meaning, so
    only sums, folds and bootstraps may follow: a bootstrap keeps the real part.
    """

    step: Steps = 0

    def problem(self, frame: Frame) -> str | None:
        if self.step < 2 or self.step % 2 or frame.slot_count % (2 * self.step) or self.step % frame.batch:
            return f"pairs diagonals {self.step} slots apart, in {frame.slot_count} slots of {frame.batch} samples"
        return LinearTransform.problem(self, frame)

    @property
    def pair(self) -> int:
        return self.step
