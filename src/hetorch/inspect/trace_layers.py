"""`hetorch.inspect.trace`: an encrypted inference beside the same one in clear, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, PlanUseError
from hetorch.inspect.batches import check_runnable, with_clear_weights
from hetorch.inspect.layer_trace import Distribution, Errors, LayerTrace
from hetorch.inspect.layers import INPUT, Layer, layers_of
from hetorch.inspect.model_values import Match, ModelValues, model_values
from hetorch.inspect.record import Record, record_cleartext, record_simulated
from hetorch.inspect.simulate import check_seed
from hetorch.inspect.trace_result import Run, Trace
from hetorch.ir.cleartext_network.network import RANGE_SLACK
from hetorch.plan import LayerReport, Plan
from hetorch.plan.memory import key_memory, operation_memory
from hetorch.progress import ProgressOption, counted, reporting

Array = NDArray[np.float64]

RUNNING = "running layer by layer"
"""The stage that Progress is told while operations run."""


def trace(
    plan: Plan,
    x: object,
    model: object | None = None,
    run: Run = "encrypted",
    *,
    values: bool = True,
    seed: int = 0,
    progress: ProgressOption = None,
) -> Trace:
    """Run a plan layer by layer: by exact arithmetic, with modelled noise, and encrypted, beside the model itself.

    Keys are made for this run and forgotten; the secret key decrypts every layer. That is for looking inside: a server
    sees no values. Every slot of every ciphertext is computed in numpy as well, which takes seconds a sample for a
    large plan. Warns with InputRangeWarning if `x` leaves the calibrated range, as the client does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted (the values are then those of weights in clear).
        x: one sample of the plan's input_shape, or a batch of them, as for hetorch.Client.predict. With a model, eight
            or more samples let dense layers be compared too.
        model: the model that was compiled, in any form that hetorch.compile takes; each layer is compared with it where
            the layer's fusion ends.
        run: how far to go: "cleartext" (what the plan computes, without noise), "simulated" (also with modelled noise)
            or "encrypted" (also on ciphertexts).
        values: False for levels, times, rotations and memory alone, of a run on ciphertexts that decrypts nothing. It
            needs run="encrypted" and no model.
        seed: the seed of the modelled noise, 0 or more.
        progress: as for hetorch.simulate.

    Returns:
        For each layer the distribution of its values in every run, the errors, the noise that it added, level, scale,
        time, rotations and memory, and the share of values outside an activation's fitted range.

    Raises:
        InputError: `plan` is no plan; `run` is no such word, or does not suit `values`; `x` has the wrong shape or is
            far outside the calibration inputs; `model` takes other inputs than the plan.
        PlanUseError: the plan is without its weights, has encrypted weights, or does not fit this machine's memory.
        UnsupportedModelError: `model` cannot be read.
    """
    check_arguments(plan, run, seed)
    if not values and (run != "encrypted" or model is not None):
        raise InputError(
            'values=False measures the run on ciphertexts alone: it needs run="encrypted" and takes no model'
        )
    samples, single = plan.public().samples(x, fewest=1)
    return trace_samples(plan, samples, single, model, run, seed, progress, values)


def check_arguments(plan: Plan, run: object, seed: object) -> None:
    """Raise the errors of `trace` for its first and last arguments."""
    check_runnable(plan)
    check_seed(seed)
    if run not in get_args(Run):
        raise InputError(f"run must be one of {', '.join(map(repr, get_args(Run)))}, got {run!r}")


def trace_samples(
    plan: Plan,
    samples: Array,
    single: bool,
    model: object | None,
    run: Run,
    seed: int,
    progress: ProgressOption,
    wants_values: bool = True,
) -> Trace:
    """Return the trace of samples that PublicPlan.samples made; other arguments and errors are those of `trace`.

    `model` may be the values of the model on other samples.
    """
    if run == "encrypted" and plan.program.encrypted_weights:
        raise PlanUseError(
            'a plan with encrypted weights is traced with run="simulated"; its ciphertexts hold the same values'
        )
    plan = with_clear_weights(plan)
    layers = layers_of(plan)
    reference = None
    if isinstance(model, ModelValues):
        reference = model.on(samples)
    elif model is not None:
        reference = model_values(plan, model, samples)
    passes = (get_args(Run).index(run) + 1 if wants_values else 1) * -(-len(samples) // plan.batch_size)
    total, done = max(passes * len(plan.program.operations), 1), 0
    records: dict[str, Record] = {}
    with reporting(progress, "trace") as report:
        tell = counted(report, RUNNING)

        def told() -> None:
            nonlocal done
            done += 1
            tell(min(done, total), total)

        if wants_values:
            records["cleartext"] = record_cleartext(plan, layers, samples, told)
        if wants_values and run != "cleartext":
            records["simulated"] = record_simulated(plan, layers, samples, seed, told)
        if run == "encrypted":
            from hetorch.inspect.run_encrypted import record_on_ciphertexts

            records["encrypted"] = record_on_ciphertexts(plan, layers, samples, told, report, wants_values)
    maker = _Maker(plan, run, layers, records, reference)
    again = partial(_trace_again, plan, reference)
    return Trace(plan, run, samples, maker.all_layers(), single, reference, maker.matches, again)


def _trace_again(plan: Plan, reference: ModelValues | None, samples: Array) -> Trace:
    """Return a trace of one more sample, (1, *input_shape), with modelled noise and the same model.

    Values that no engine holds end it with the run by exact arithmetic.
    """
    try:
        return trace_samples(plan, samples, True, reference, "simulated", 0, False)
    except InputError:
        return trace_samples(plan, samples, True, reference, "cleartext", 0, False)


@dataclass(slots=True, eq=False)
class _Maker:
    """Makes the layers of a trace from its records."""

    plan: Plan
    run: Run
    layers: Sequence[Layer]
    records: dict[str, Record]
    reference: ModelValues | None
    matches: tuple[Match | None, ...] = ()
    beyond: list[tuple[str, NDArray[np.bool_]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.reference is not None:
            self.beyond = self.reference.beyond(self.plan.report.polynomials)
        self.matches = tuple(self._match(number) for number in range(len(self.layers)))

    def all_layers(self) -> tuple[LayerTrace, ...]:
        """Return every layer of the trace."""
        memory = self._memory()
        return tuple(self._layer(number, memory[number]) for number in range(len(self.layers)))

    def _match(self, number: int) -> Match | None:
        """Return the model's value for a layer; None if the layer is a part of what stands in for an activation."""
        if self.reference is None:
            return None
        layer, result = self.layers[number], self.records["cleartext"].values[number]
        is_output = layer.results == self.plan.program.outputs
        return self.reference.match(layer, self._report(number), result, is_output=is_output)

    def _layer(self, number: int, memory: int) -> LayerTrace:
        layer, match, report = self.layers[number], self.matches[number], self._report(number)
        values = {name: record.values[number] for name, record in self.records.items() if record.values}
        furthest = self.records[self.run]
        truth, compared = None, None
        if match is not None and self.reference is not None:
            truth = self.reference.values[match.value]
            compared = match.in_model_units(values[self.run])
        distributions = {name: Distribution.of(array) for name, array in values.items()}
        outside, fitted = self._outside(number)
        kept = {name: array.reshape(-1, *layer.layout.shape) for name, array in values.items()}
        if truth is not None and compared is not None:
            kept |= {
                name: array.reshape(-1, *layer.layout.shape)
                for name, array in (("model", truth), ("compared", compared))
            }
        return LayerTrace(
            name=layer.name,
            kind=layer.kind,
            level=self.plan.program.values[layer.results[0]].level,
            scale_bits=float(np.log2(self.plan.program.values[layer.results[0]].scale)),
            cleartext=distributions.get("cleartext"),
            simulated=distributions.get("simulated"),
            encrypted=distributions.get("encrypted"),
            model=None if truth is None else Distribution.of(truth),
            noise=None
            if self.run == "cleartext" or not values
            else Errors.of(values[self.run], values["cleartext"]),
            noise_added=_rms(furthest.added[number]) if furthest.added else None,
            noise_bound=report.predicted_error if report else 0.0,
            error=None if truth is None or compared is None else Errors.of(compared, truth),
            outside=outside,
            fitted_range=fitted,
            seconds=furthest.seconds[number] if self.run == "encrypted" else None,
            predicted_seconds=report.predicted_seconds if report else 0.0,
            rotations=furthest.rotations[number]
            if self.run != "cleartext"
            else report.rotations
            if report
            else 0,
            memory_bytes=memory,
            values=kept,
        )

    def _report(self, number: int) -> LayerReport | None:
        rows, index = self.plan.report.layers, self.layers[number].index
        if len(rows) != len(self.plan.program.layers):
            return None  # a plan that was not made by the compiler
        if index == INPUT:
            return rows[0] if rows[0].kind == "encrypt" else None
        return rows[index]

    def _outside(self, number: int) -> tuple[float | None, tuple[float, float] | None]:
        """Return the share of an activation's operands outside its fitted range, and that range in the model's units.

        A Chebyshev series reads [-1, 1]. Of other polynomials the range is known in the model's units only.
        """
        layer = self.layers[number]
        fits = [fit for fit in self.plan.report.polynomials if fit.layer == layer.name]
        fitted = (min(fit.low for fit in fits), max(fit.high for fit in fits)) if fits else None
        if not layer.is_polynomial or not layer.sources:
            return None, None
        place = {other.index: position for position, other in enumerate(self.layers)}
        source = place.get(layer.sources[0])
        if source is None:
            return None, fitted
        if "cleartext" not in self.records:
            return None, fitted
        operands = self.records["cleartext"].values[source]
        if layer.has_unit_range:
            return float(np.mean(~(np.abs(operands) <= 1 + RANGE_SLACK))), fitted
        beyond = [share for name, share in self.beyond if name == layer.name]
        return (float(np.mean(np.concatenate(beyond, axis=1))) if beyond else None), fitted

    def _memory(self) -> list[int]:
        """Return the predicted memory during each layer: keys, all encoded weights, and the most of its operations."""
        plan = self.plan
        fixed = key_memory(plan.parameters, plan.key_spec)
        fixed += sum(
            op.weight_bytes(plan.program, plan.parameters, plan.weights) for op in plan.program.operations
        )
        most = dict.fromkeys((layer.index for layer in self.layers), 0)
        working = operation_memory(plan.program, plan.parameters, plan.weights, plan.report.threads)
        for op, size in zip(plan.program.operations, working, strict=True):
            if op.layer in most:
                most[op.layer] = max(most[op.layer], size)
        return [fixed + most[layer.index] for layer in self.layers]


def _rms(values: Array) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean(values**2)))
