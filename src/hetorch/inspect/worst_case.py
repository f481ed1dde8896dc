"""The input with the largest error that a search finds, held against the bounds that the plan promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.errors import InputError
from hetorch.inspect.evolution import maximise
from hetorch.inspect.layers import layers_of
from hetorch.inspect.traced import Traced
from hetorch.ir.he_operations import Multiply
from hetorch.plan import Plan
from hetorch.preformatted import preformatted
from hetorch.progress import ProgressOption, counted, reporting

Array = NDArray[np.float64]
T = TypeVar("T", bound=Traced)

EVALUATIONS = 2000
"""Inputs that a search evaluates. Raised, larger errors are found, and it takes longer in proportion."""
RANDOM_STARTS = 64
"""Random inputs from which a search starts, beside the samples of the trace: half in the box, half in its corners."""
SEEDS = 8
"""Draws of the modelled noise of which the largest error is taken."""
SEARCHING = "searching for the worst input"
"""The stage that Progress is told."""


@dataclass(frozen=True, slots=True, eq=False)
class WorstCase(Generic[T]):
    """The answer of Trace.worst_case; errors are relative to the range of the calibration outputs.

    input        the input, of the plan's input shape
    error        largest error of an output against the model, noise included; NaN without a model
    promised     the error that the plan promises on calibration inputs
    noise        largest error of an output by noise, over several draws of it
    noise_bound  the bound of that error that the plan predicts, for activations that stay in their ranges
    outside      names of the activations that leave their ranges
    unjudged     names of the activations whose ranges can be judged with a model only
    larger       names of layers that multiply values with each other and whose results are larger than on the samples
                 of the trace: products multiply noise by values, and its bound is for those of the calibration inputs
    searched     number of inputs that were evaluated
    trace        the trace of the input, with modelled noise
    """

    input: Array
    error: float
    promised: float
    noise: float
    noise_bound: float
    outside: tuple[str, ...]
    unjudged: tuple[str, ...]
    larger: tuple[str, ...]
    searched: int
    trace: T = field(repr=False)

    @property
    def is_bounded(self) -> bool:
        """True if the noise is within its bound."""
        return self.noise <= self.noise_bound

    def __str__(self) -> str:
        lines = [f"the worst of {self.searched} inputs, in the range of the calibration inputs:"]
        if not np.isnan(self.error):
            lines.append(
                f"error  {self.error:.2%} of the output range from the model; promised on calibration inputs "
                f"{self.promised:.2%}"
            )
        lines.append(
            f"noise  {self.noise:.1e} of the output range, {'within' if self.is_bounded else 'beyond'} the bound of "
            f"{self.noise_bound:.1e}"
        )
        if self.outside:
            lines.append(
                f"ranges {', '.join(self.outside)} read values outside the ranges of their polynomials, where neither "
                "promise nor bound holds: calibrate with inputs like this one if such can occur"
            )
        elif self.unjudged:
            lines.append(
                "ranges no activation is seen outside its range; with model= in hetorch.inspect.trace that of "
                f"{', '.join(self.unjudged)} is judged too"
            )
        else:
            lines.append("ranges all activations stay in the ranges of their polynomials")
        if self.larger and not self.is_bounded:
            lines.append(
                f"sizes  products in {', '.join(self.larger)} are larger than on the samples of the trace, and so is "
                "the noise in them: the bound is for values of the calibration inputs' size"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the lines as a notebook shows them."""
        return preformatted(sentences=str(self))


def worst_case(
    trace: T,
    again: Callable[[Array], T],
    evaluations: int,
    within_ranges: bool,
    seed: int,
    progress: ProgressOption,
) -> WorstCase[T]:
    """Return the answer of Trace.worst_case, whose arguments and errors these are; `again` traces one more sample,
    (1, *input_shape)."""
    if evaluations < 1:
        raise InputError(f"evaluations must be 1 or more, got {evaluations}")
    search = _Search(trace, within_ranges)
    with reporting(progress, "worst_case") as report:
        tell = counted(report, SEARCHING)
        best = maximise(
            search.score,
            search.starts(seed),
            evaluations,
            seed,
            lambda done: tell(min(done, evaluations), evaluations),
        )
    inputs = search.inputs(best[None])
    if within_ranges and search.leaves_ranges(inputs):
        raise InputError(
            "with every input that was tried an activation leaves its range; leave out within_ranges=, or trace "
            "samples that stay in the ranges"
        )
    return search.answer(inputs, again(inputs), max(evaluations, len(trace.samples)))


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """A search in the box of the calibrated range, whose sides are [0, 1] to it."""

    trace: Traced
    within_ranges: bool

    @property
    def plan(self) -> Plan:
        return self.trace.plan

    @property
    def span(self) -> float:
        return self.plan.report.output_range or 1.0

    def inputs(self, points: Array) -> Array:
        """Return the inputs (count, *shape) at points of the unit box, (count, size)."""
        low, high = self.plan.input_range
        return (low + (high - low) * points).reshape(len(points), *self.plan.input_layout.shape)

    def starts(self, seed: int) -> Array:
        """Return the samples of the trace, pushed into the box, and random points."""
        low, high = self.plan.input_range
        flat = self.trace.samples.reshape(len(self.trace.samples), -1)
        samples = np.clip((flat - low) / ((high - low) or 1.0), 0.0, 1.0)
        random = np.random.default_rng([seed, 1]).random((RANDOM_STARTS, flat.shape[1]))
        random[::2] = np.round(random[::2])
        return np.concatenate([samples, random])

    def score(self, points: Array) -> Array:
        """Return the largest error of an output for each point; without a model, the largest by noise."""
        inputs = self.inputs(points)
        beyond = np.zeros(len(inputs), dtype=bool)
        clear = self._run(inputs, None, beyond)
        truth, outside = self.trace.model_outcome(inputs)
        if truth is None:
            errors = np.mean(
                [np.abs(self._run(inputs, draw) - clear).max(axis=1) for draw in range(2)], axis=0
            )
        else:
            errors = np.abs(clear - truth).max(axis=1)
        errors = np.where(np.isfinite(errors), errors, np.finfo(np.float64).max)
        return np.where(beyond | outside, -np.inf, errors) if self.within_ranges else errors

    def leaves_ranges(self, inputs: Array) -> bool:
        """Return True if an activation leaves its range with an input, (1, *shape)."""
        beyond = np.zeros(1, dtype=bool)
        self._run(inputs, None, beyond)
        return bool(beyond[0] or self.trace.model_outcome(inputs)[1][0])

    def answer(self, inputs: Array, again: T, searched: int) -> WorstCase[T]:
        """Return what is to be said about one input, (1, *shape), which was traced `again`."""
        clear = self._run(inputs, None)
        runs = [self._run(inputs, draw) for draw in range(SEEDS)]
        noise = max(float(np.abs(run - clear).max()) for run in runs) / self.span
        truth, _ = self.trace.model_outcome(inputs)
        error = float("nan")
        if truth is not None:
            error = max(float(np.abs(run - truth).max()) for run in runs) / self.span
        outside = dict.fromkeys(layer.name for layer in again.layers if layer.outside)
        report = self.plan.report
        return WorstCase(
            input=inputs[0],
            error=error,
            promised=report.promised_error,
            noise=noise,
            noise_bound=report.predicted_error,
            outside=tuple(outside),
            unjudged=again.unjudged,
            larger=self._larger(again),
            searched=searched,
            trace=again,
        )

    def _larger(self, again: Traced) -> tuple[str, ...]:
        names = []
        for layer, before, now in zip(layers_of(self.plan), self.trace.layers, again.layers, strict=True):
            is_product = any(isinstance(op, Multiply) for op in layer.operations) and not layer.is_polynomial
            if is_product and now.largest > before.largest:
                names.append(layer.name)
        return tuple(dict.fromkeys(names))

    def _run(self, inputs: Array, seed: int | None, beyond: NDArray[np.bool_] | None = None) -> Array:
        flat = inputs.reshape(len(inputs), -1)
        return self.plan.network().run(flat, seed=seed, threads=_native.thread_count(), beyond=beyond)
