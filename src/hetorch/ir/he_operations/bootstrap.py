"""Bootstrapping: a ciphertext gets its levels back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hetorch.engine.bootstrap_keys import bootstrap_keys, bootstrap_maps, diagonal_bytes, key_switch_count
from hetorch.engine.bootstrapping import PlannedBootstrap, sine_of_slots
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.protocol import BootstrappingEngine, C, Engine, P, T
from hetorch.errors import PlanUseError
from hetorch.ir.he_operations.fields import Bound, Count, Layer, Operand, Result, Stages
from hetorch.ir.he_operations.operation import NO_LAYOUT, Frame, Operation, Slots, Weights, key_switch_rows
from hetorch.params import KeyFamily, ParameterSet
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.params.bootstrap_sizes import REDUCTION_DEPTH


@dataclass(frozen=True, slots=True)
class Bootstrap(Operation):
    """The input at a high level, as a sine that stands for the identity (engine.bootstrapping.sine_of_slots).

    The input is at the lowest level that the stages allow, and real, at most `bound` in magnitude; the result has any
    planned scale. The other fields are those of BootstrapSet; the stages tell the number of slots after which the
    values repeat.
    """

    result: Result
    input: Operand
    to_coefficients: Stages
    to_slots: Stages
    low_special_count: Count
    low_digit_size: Count
    low_babies: Count
    high_babies: Count
    bound: Bound
    layer: Layer

    @classmethod
    def of(cls, planned: PlannedBootstrap, result: int, source: int, layer: int) -> Bootstrap:
        """Return the operation that bootstraps value `source` to `result` as planned."""
        boot, family = planned.bootstrap_set, planned.bootstrap_set.low_family
        return cls(
            result,
            source,
            boot.to_coefficients,
            boot.to_slots,
            family.special_count,
            family.digit_size,
            *boot.babies,
            planned.bound,
            layer,
        )

    @property
    def slots(self) -> int:
        """The number of slots after which the values repeat."""
        return 1 << sum(self.to_coefficients)

    def bootstrap_set(self, parameters: ParameterSet) -> BootstrapSet:
        """Return the use of the primes of `parameters`; ParameterError or SecurityError if they have no room."""
        return BootstrapSet(
            parameters,
            self.slots,
            self.to_coefficients,
            self.to_slots,
            KeyFamily(self.low_special_count, self.low_digit_size),
            (self.low_babies, self.high_babies),
        )

    def planned(self, frame: Frame, parameters: ParameterSet) -> PlannedBootstrap:
        """Return the numbers with which an engine prepares it."""
        scales = frame.values[self.input].scale, frame.values[self.result].scale
        return PlannedBootstrap(self.bootstrap_set(parameters), *scales, self.bound)

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        level = len(modulus_chain) - 1 - (len(self.to_slots) - 1) - REDUCTION_DEPTH
        return level, frame.values[self.result].scale

    def problem(self, frame: Frame) -> str | None:
        level = self.level(frame)
        if level != len(self.to_coefficients):
            return f"a bootstrap takes its input at level {len(self.to_coefficients)}, got {level}"
        if sum(self.to_slots) != sum(self.to_coefficients) or frame.slot_count % self.slots:
            return f"the stages of a bootstrap are for {self.slots} of {frame.slot_count} slots, and differ"
        layout = frame.values[self.input].layout
        if layout != NO_LAYOUT and self.slots % (frame.layouts[layout].period * frame.batch):
            return (
                f"the values of a bootstrap must repeat after {self.slots} slots, those of its layout do not"
            )
        return None

    def rotation_count(self, frame: Frame, weights: Weights) -> int:
        return key_switch_count(self.to_coefficients, self.to_slots, (self.low_babies, self.high_babies))

    def further_keys(self, frame: Frame, parameters: ParameterSet) -> EvaluationKeySpec:
        return bootstrap_keys(self.bootstrap_set(parameters))

    def shared_preparation(self, frame: Frame) -> object:
        stages = (self.to_coefficients, self.to_slots, self.low_special_count, self.low_digit_size)
        babies = (self.low_babies, self.high_babies)
        full_scales = tuple(frame.values[value].scale * self.bound for value in (self.input, self.result))
        return stages, babies, full_scales

    def weight_bytes(self, frame: Frame, parameters: ParameterSet, weights: Weights) -> int:
        return diagonal_bytes(self.bootstrap_set(parameters))

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        boot = self.bootstrap_set(parameters)
        # The raised polynomials, over all primes, live until CoeffsToSlots ends.
        raised = 2 * (len(parameters.modulus_chain) + len(parameters.special_primes) + 1)
        held = 0
        for at in bootstrap_maps(boot):
            rows, groups = at.rows(), at.groups
            digits = at.family.digit_count(at.level) * rows
            # As for a linear transform: the sums of the giant steps beside the rotated inputs, a tile of each thread,
            # or beside the rotated sums.
            tile = min(threads, rows) * (2 * max(at.babies, 1) + 2)
            rotated = 2 * rows * (groups - 1) + at.level + 1
            held = max(held, 4 * (at.level + 1) + 2 * rows * groups + digits + max(tile, rotated))
        # The series of degree 15 keeps a basis of 2 sqrt(15) + 4 ciphertexts.
        level = boot.reduction_level
        return raised + max(held, 25 * (level + 1) + key_switch_rows(parameters, level))

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return [sine_of_slots(inputs[0], self.slots, self.bound)]

    def prepare(self, engine: Engine[C, P, T], frame: Frame, weights: Weights) -> Any:
        return _bootstrapping(engine).prepare_bootstrap(self.planned(frame, engine.parameters))

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [_bootstrapping(engine).bootstrap(prepared, inputs[0], self.bound)]


def _bootstrapping(engine: Engine[C, P, T]) -> BootstrappingEngine[C, P, T, Any]:
    if not isinstance(engine, BootstrappingEngine):
        raise PlanUseError(
            f"the engine {engine.name!r} cannot bootstrap, which this plan does; use another engine"
        )
    return engine
