"""The values of the model itself, layer by layer, beside those of a plan.

The model is captured as hetorch.compile captures it, which compares it with torch on the same samples. A layer of the
plan is compared with the value of the model where its fusion ends: "conv + bn" with the result of bn. Around an
activation a plan scales values, each channel by itself, so that a polynomial fits; the plan's report has the gain and
offset of each channel that bring those layers to the model's units.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.inspect.layers import Layer
from hetorch.ir.tensor_program import Activation, TensorProgram
from hetorch.plan import Plan
from hetorch.plan.heads import Head, row, split
from hetorch.plan.report import JOINED, LayerReport, PolynomialReport

Array = NDArray[np.float64]

ROUNDED = 1e-4
"""How far a value may be over an end of its channel's range, as a share of the width of all: the plan keeps the ends
rounded. Raised, excesses that do no harm are not told."""
OUTPUTS = "outputs"
"""Name of the operations that put several outputs side by side; they are no layers of the model."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The model's value with which a layer is compared, and the layer in its units: gain * result + offset."""

    value: int
    gain: Array
    offset: Array

    def in_model_units(self, result: Array) -> Array:
        """Return results (samples, elements) of the layer in the model's units."""
        return np.asarray(self.gain * result + self.offset)


@dataclass(frozen=True, slots=True, eq=False)
class ModelValues:
    """The captured model on some samples.

    program   the model as operations on tensors
    values    of each operation, (samples, elements), the input first
    heads     its outputs, as the program scales them, and `plan_heads` as the plan does
    """

    program: TensorProgram
    values: tuple[Array, ...]
    heads: tuple[Head, ...]
    plan_heads: tuple[Head, ...]

    @property
    def outputs(self) -> Array:
        """The model's outputs as rows of the plan, (samples, elements)."""
        return self._as_plan(self.values[self.program.output])

    def read_by(self, activation: str) -> Array | None:
        """Return the numbers that the activation of that name reads, (samples, elements); None if there is none."""
        for op in self.program.operations:
            if isinstance(op, Activation) and op.name == activation:
                return self.values[op.input]
        return None

    def beyond(self, fits: Sequence[PolynomialReport]) -> list[tuple[str, NDArray[np.bool_]]]:
        """Return the name of each activation of the model, and True for each number that it reads, (samples, elements),
        outside the range of its polynomial; activations of one name have their polynomials in order."""
        waiting, outside = list(fits), []
        for op in self.program.operations:
            own = [fit for fit in waiting if isinstance(op, Activation) and fit.layer == op.name]
            if own and isinstance(op, Activation):
                waiting.remove(own[0])
                outside.append((op.name, _beyond(self.values[op.input], own[0])))
        return outside

    def activations(self, begin: int, end: int, names: Container[str]) -> tuple[str, ...]:
        """Return the names, of those given, of the activations that make the values begin < number <= end."""
        made = self.program.operations[begin:end]
        return tuple(op.name for op in made if isinstance(op, Activation) and op.name in names)

    def approximated(self, fits: Sequence[PolynomialReport]) -> Array | None:
        """Return the outputs as rows of the plan, if these polynomials, with the errors that the plan's curves show,
        take the place of their activations, and all else is the model's.

        A channel of which the plan keeps no curve has the errors of the most similar one. None if there are no curves.
        """
        waiting = [fit for fit in fits if fit.curves]
        if not waiting:
            return None
        values: list[Array] = [self.values[0]]
        with np.errstate(over="ignore", invalid="ignore"):
            for op in self.program.operations:
                result = op.evaluate(values)
                fit = next((f for f in waiting if isinstance(op, Activation) and f.layer == op.name), None)
                if fit is not None and isinstance(op, Activation):
                    waiting.remove(fit)
                    result = result + _polynomial_errors(values[op.input], fit)
                values.append(result)
        return self._as_plan(values[self.program.output])

    def on(self, samples: Array) -> ModelValues:
        """Return the values of the same model on other samples, (batch, *input_shape)."""
        from hetorch.ir.interpreter import trace_tensor_program

        return replace(self, values=tuple(trace_tensor_program(self.program, samples)))

    def continued(self, replaced: Mapping[int, Array]) -> Array:
        """Return the outputs as rows of the plan, if some values of the model are replaced by those of another run."""
        values: list[Array] = [replaced.get(0, self.values[0])]
        changed = {0} if 0 in replaced else set()
        with np.errstate(over="ignore", invalid="ignore"):
            for number, op in enumerate(self.program.operations, 1):
                if number in replaced:
                    values.append(replaced[number])
                elif changed.isdisjoint(op.reads):
                    values.append(self.values[number])
                    continue
                else:
                    values.append(op.evaluate(values))
                changed.add(number)
        return self._as_plan(values[self.program.output])

    def match(
        self, layer: Layer, report: LayerReport | None, result: Array, *, is_output: bool
    ) -> Match | None:
        """Return the model's value for a layer, whose `result` by exact arithmetic is (samples, elements).

        Args:
            layer: the layer.
            report: its row in the plan's report.
            result: what the plan makes of the samples.
            is_output: True for the layer that the plan returns.

        Returns:
            The match; None if the model has no such value, or the report has not its units.
        """
        if not layer.operations:
            return _identity(0, result.shape[1])
        if is_output:
            return self._output_match(result.shape[1])
        name = layer.name.rsplit(JOINED, 1)[-1]
        if name == OUTPUTS or report is None or report.gain is None:
            return None
        if report.gain and result.shape[1] % len(report.gain):
            return None
        repeats = result.shape[1] // max(len(report.gain), 1)
        gain, offset = np.repeat(report.gain or (1.0,), repeats), np.repeat(report.offset or (0.0,), repeats)
        matches = [
            Match(number, gain, offset)
            for number, op in enumerate(self.program.operations, 1)
            if op.name == name and math.prod(op.shape) == result.shape[1]
        ]
        return min(matches, key=lambda match: self.distance(match, result), default=None)

    def _output_match(self, size: int) -> Match:
        """Return the match of the plan's row of outputs: both rows scale each output, by ranges of their own."""
        match = _identity(self.program.output, size)
        begin = 0
        for own, plan in zip(self.heads, self.plan_heads, strict=True):
            part = slice(begin, begin + own.size)
            match.gain[part] = plan.scale / own.scale
            match.offset[part] = (plan.offset - own.offset) / own.scale
            begin += own.size
        return match

    def distance(self, match: Match, result: Array) -> float:
        """Return the root mean square difference in deviations of the model's values; infinity if it is not finite."""
        truth = self.values[match.value]
        with np.errstate(over="ignore", invalid="ignore"):
            difference = float(np.sqrt(np.mean((match.in_model_units(result) - truth) ** 2)))
        spread = float(truth.std()) or float(np.abs(truth).max()) or 1.0
        return difference / spread if math.isfinite(difference) else math.inf

    def _as_plan(self, outputs: Array) -> Array:
        if not self.heads:
            return outputs
        return row(self.plan_heads, split(self.heads, outputs))


def _beyond(values: Array, fit: PolynomialReport) -> NDArray[np.bool_]:
    """Return True for each value (samples, elements) outside the range of its channel; NaN is outside."""
    low, high = np.array([fit.low]), np.array([fit.high])
    channels = len(fit.channel_low)
    if channels and values.shape[1] % channels == 0:
        low, high = (
            np.repeat(end, values.shape[1] // channels) for end in (fit.channel_low, fit.channel_high)
        )
    slack = ROUNDED * (fit.high - fit.low)
    return ~((values >= low - slack) & (values <= high + slack))


def _polynomial_errors(values: Array, fit: PolynomialReport) -> Array:
    """Return polynomial - function at each value (samples, elements), beyond a range what it is at the range's end."""
    lows, highs = fit.channel_low or (fit.low,), fit.channel_high or (fit.high,)
    if values.shape[1] % len(lows):
        lows, highs = (fit.low,), (fit.high,)
    groups = values.reshape(len(values), len(lows), -1)
    errors = np.empty_like(groups)
    for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
        curve = min(fit.curves, key=lambda c: abs(c.low - low) + abs(c.high - high))
        points = np.linspace(low, high, len(curve.function))
        heights = np.subtract(curve.polynomial, curve.function)
        errors[:, channel] = np.interp(groups[:, channel], points, heights)
    return errors.reshape(values.shape)


def _identity(value: int, size: int) -> Match:
    return Match(value, np.ones(size), np.zeros(size))


def model_values(plan: Plan, model: object, samples: Array) -> ModelValues:
    """Return the values of the model on the samples that PublicPlan.samples made.

    Raises:
        InputError: the model has other inputs or outputs than the plan.
        UnsupportedModelError: the model cannot be read.
    """
    from hetorch.optional_packages import explain_missing

    with explain_missing("hetorch.inspect with a model"):
        from hetorch.compiler.frontend.capture import capture
        from hetorch.ir.interpreter import trace_tensor_program
    plan_heads = plan.interface.heads
    captured: Any = capture(model, samples, [head.name for head in plan_heads] or None, prepared=True)
    if captured.program.output_shape != plan.output_layout.shape:
        raise InputError(
            f"the model has outputs of shape {captured.program.output_shape}, the plan of shape "
            f"{plan.output_layout.shape}: was the plan compiled from another model?"
        )
    values = tuple(trace_tensor_program(captured.program, samples))
    return ModelValues(captured.program, values, captured.interface.heads, plan_heads)
