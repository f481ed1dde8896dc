"""Sums, products, rescaling and dropping of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hetorch.engine.protocol import C, Engine, P, T
from hetorch.ir.he_operations.fields import Layer, Operand, Result
from hetorch.ir.he_operations.operation import Frame, Operation, Slots, Weights, key_switch_rows
from hetorch.params import ParameterSet
from hetorch.params.scales import SCALE_TOLERANCE


@dataclass(frozen=True, slots=True)
class Add(Operation):
    """The sum a + b, at equal levels and at scales that agree within SCALE_TOLERANCE; the result has the scale of a."""

    result: Result
    a: Operand
    b: Operand
    layer: Layer

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        a = frame.values[self.a]
        return a.level, a.scale

    def problem(self, frame: Frame) -> str | None:
        a, b = frame.values[self.a], frame.values[self.b]
        if a.level == b.level and abs(b.scale / a.scale - 1) <= SCALE_TOLERANCE:
            return None
        return f"operands differ: levels {a.level}, {b.level}, scales {a.scale:g}, {b.scale:g}"

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        return 0

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return [inputs[0] + inputs[1]]

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [engine.add(inputs[0], inputs[1])]


@dataclass(frozen=True, slots=True)
class Multiply(Operation):
    """The slot-wise product a * b, relinearised and not rescaled: the level stays, the scales multiply."""

    result: Result
    a: Operand
    b: Operand
    layer: Layer

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        a, b = frame.values[self.a], frame.values[self.b]
        return a.level, a.scale * b.scale

    def problem(self, frame: Frame) -> str | None:
        a, b = frame.values[self.a].level, frame.values[self.b].level
        return None if a == b else f"operands are at levels {a} and {b}"

    def relinearises(self, frame: Frame) -> bool:
        return True

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        level = self.level(frame)
        return 3 * (level + 1) + key_switch_rows(parameters, level)

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return [inputs[0] * inputs[1]]

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [engine.multiply(inputs[0], inputs[1])]


@dataclass(frozen=True, slots=True)
class Rescale(Operation):
    """The input divided by the last prime q_level; the result is at level - 1 and scale / q_level."""

    result: Result
    input: Operand
    layer: Layer

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        source = frame.values[self.input]
        return source.level - 1, source.scale / modulus_chain[source.level]

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return list(inputs)

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [engine.rescale(inputs[0])]


@dataclass(frozen=True, slots=True)
class DropLevel(Operation):
    """The input without its primes above the level of the result; the scale stays."""

    result: Result
    input: Operand
    layer: Layer

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        return frame.values[self.result].level, frame.values[self.input].scale

    def problem(self, frame: Frame) -> str | None:
        source, result = frame.values[self.input].level, frame.values[self.result].level
        return f"drops from level {source} up to {result}" if result > source else None

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return list(inputs)

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        return [engine.drop_level(inputs[0], frame.values[self.result].level)]
