"""The result of `hetorch.inspect.trace`: every layer of an inference, and runs that go over to the model half-way."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hetorch.atomic_files import PRIVATE
from hetorch.errors import InputError
from hetorch.inspect.layer_trace import LayerTrace
from hetorch.inspect.model_values import Match, ModelValues
from hetorch.inspect.perfetto import timeline
from hetorch.inspect.pictures.plots import Plots
from hetorch.inspect.save_file import save_file
from hetorch.inspect.trace_table import as_html, as_rich, as_text
from hetorch.inspect.worst_case import EVALUATIONS, WorstCase, worst_case
from hetorch.plan import Plan
from hetorch.progress import ProgressOption
from hetorch.quantities import count_text, size_text, time_text

if TYPE_CHECKING:
    from rich.table import Table

Array = NDArray[np.float64]
Run = Literal["cleartext", "simulated", "encrypted"]
"""How far a trace goes; each word includes those before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """An inference, layer by layer; printed, it is a table, and in a notebook too.

    plan     the plan
    run      how far it went: "cleartext", "simulated" or "encrypted"
    samples  the samples as the plan takes them, (samples, *input_shape)
    layers   every layer in order, the input first
    single   True if the input was one sample without a batch axis
    """

    plan: Plan
    run: Run
    samples: Array
    layers: tuple[LayerTrace, ...]
    single: bool
    _reference: ModelValues | None = field(repr=False)
    _matches: tuple[Match | None, ...] = field(repr=False)
    _again: Callable[[Array], Trace] | None = field(default=None, repr=False)
    """Traces one more sample, (1, *input_shape), with modelled noise and the same model."""

    def __getitem__(self, name: str) -> LayerTrace:
        """Return the last layer of that name; InputError if there is none."""
        return self.layers[self._number(name)]

    @property
    def outputs(self) -> Any:
        """What the furthest run returns, as hetorch.Client.predict does."""
        return self._named(self.rows())

    @property
    def model_outputs(self) -> Any:
        """What the model returns; None without a model."""
        return None if self._reference is None else self._named(self._reference.outputs)

    @property
    def seconds(self) -> float | None:
        """Measured time of one run on ciphertexts: the sum over the layers; None unless it was encrypted."""
        times = [layer.seconds for layer in self.layers if layer.seconds is not None]
        return sum(times) if times else None

    @property
    def peak(self) -> LayerTrace:
        """The layer during which a run takes most memory."""
        return max(self.layers, key=lambda layer: layer.memory_bytes)

    @property
    def compared(self) -> tuple[str, ...]:
        """The names of the layers that are compared with the model; none without a model."""
        return tuple(self.layers[number].name for number in self.compared_numbers)

    @property
    def compared_numbers(self) -> tuple[int, ...]:
        """The numbers of these layers in `layers`."""
        return tuple(number for number, match in enumerate(self._matches) if match is not None)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """The names of the activations whose ranges can be judged with a model only."""
        fitted = dict.fromkeys(fit.layer for fit in self.plan.report.polynomials)
        judged = {layer.name for layer in self.layers if layer.outside is not None}
        return tuple(name for name in fitted if name not in judged)

    @property
    def model_rows(self) -> Array:
        """The model's outputs as rows of the plan, (samples, elements); InputError without a model."""
        return self._known_reference().outputs

    def rows(self, run: Run | None = None) -> Array:
        """Return the outputs of a run, the furthest one if left out, as rows of the plan: (samples, elements)."""
        values = self.layers[-1].values
        if not values:
            raise InputError("the trace keeps no values; trace without values=False")
        return _flat(values[run or self.run])

    def until(self, layer: str) -> Any:
        """Return the outputs of a run that is the plan's up to and with `layer`, and the model's from there on.

        The first layer with which the outputs are wrong is the one to look at.

        Args:
            layer: the name of one of the layers in `compared`.

        Raises:
            InputError: there is no such layer, it is not compared, or the trace has no model.
        """
        return self._named(self.outputs_until(self._number(layer)))

    def outputs_until(self, number: int, *, run: Run | None = None) -> Array:
        """Return the same as a row of the plan, (samples, elements), for the layer of that number; `run` tells whose
        values are the plan's, the furthest ones if left out."""
        reference = self._known_reference()
        if self._matches[number] is None:
            raise InputError(
                f"the layer {self.layers[number].name!r} is not compared with the model: it is a part of what stands "
                f"in for an activation, or its fusion ends elsewhere; the compared ones are {', '.join(self.compared)}"
            )
        return reference.continued(
            {
                match.value: match.in_model_units(_flat(layer.values[run or self.run]))
                for layer, match in zip(self.layers[: number + 1], self._matches, strict=False)
                if match is not None
            }
        )

    def activations_between(self, first: int, last: int) -> tuple[str, ...]:
        """Return the names of the model's activations with polynomials that it computes after the layer before `first`
        and not after the layer `last`, both compared or the first one; none without a model."""
        begin, end = (self._matches[number] if number >= 0 else None for number in (first - 1, last))
        if self._reference is None or end is None:
            return ()
        fitted = {fit.layer for fit in self.plan.report.polynomials}
        return self._reference.activations(0 if begin is None else begin.value, end.value, fitted)

    def approximated_rows(self, layers: Container[str]) -> Array | None:
        """Return the model's outputs as rows of the plan, if activations of these names have the errors of their
        polynomials; None without a model, or if the plan keeps no curves of them."""
        fits = [fit for fit in self.plan.report.polynomials if fit.layer in layers]
        return None if self._reference is None else self._reference.approximated(fits)

    def values_read(self, activation: str) -> Array | None:
        """Return the numbers that an activation of the model reads on the samples; None without a model or such one."""
        values = None if self._reference is None else self._reference.read_by(activation)
        return None if values is None else values.reshape(-1)

    @property
    def plot(self) -> Plots:
        """The pictures of the trace: `trace.plot()` for several at once, and such as `trace.plot.errors(ax=ax)`."""
        return Plots(self)

    def worst_case(
        self,
        *,
        evaluations: int = EVALUATIONS,
        within_ranges: bool = False,
        seed: int = 0,
        progress: ProgressOption = None,
    ) -> WorstCase[Trace]:
        """Search for the input with the largest error, and hold it against what the plan promises.

        The search goes from the samples of the trace and from random inputs through the box of the calibrated input
        range, by an evolution strategy. It looks for the largest difference between the plan's polynomials and the
        model; without a model, for the largest effect of noise. Nothing is encrypted: noise is modelled.

        Args:
            evaluations: number of inputs that are evaluated; more find larger errors.
            within_ranges: leave out inputs with which an activation leaves the range of its polynomial.
            seed: the seed of the search, 0 or more.
            progress: as for hetorch.simulate.

        Raises:
            InputError: `evaluations` is not positive; or with `within_ranges` no input stays in the ranges.
        """
        again = self._again or (lambda _: self)
        return worst_case(self, again, evaluations, within_ranges, seed, progress)

    def model_outcome(self, samples: Array) -> tuple[Array | None, NDArray[np.bool_]]:
        """Return the model's outputs on samples (batch, *input_shape), as rows of the plan, and for each sample True if
        an activation of the model reads values outside the range of its polynomial; None and False without a model."""
        if self._reference is None:
            return None, np.zeros(len(samples), dtype=bool)
        there = self._reference.on(samples)
        outside = np.zeros(len(samples), dtype=bool)
        for _, beyond in there.beyond(self.plan.report.polynomials):
            outside |= beyond.any(axis=1)
        return there.outputs, outside

    def to_dicts(self) -> list[dict[str, object]]:
        """Return a dictionary of figures for each layer."""
        return [layer.to_dict() for layer in self.layers]

    def to_dataframe(self) -> Any:
        """Return the figures as a pandas DataFrame with a row for each layer; MissingPackageError without pandas."""
        from hetorch.optional_packages import explain_missing

        with explain_missing("Trace.to_dataframe"):
            import pandas as pd
        return pd.DataFrame(self.to_dicts())

    def to_perfetto(self, path: str | os.PathLike[str]) -> None:
        """Write a timeline with counters of level, memory and noise, for https://ui.perfetto.dev or chrome://tracing.

        The layers stand side by side as one run takes them, measured if the run was encrypted, and as predicted. The
        file holds ranges and errors of the values, so only its owner may read it (mode 0600).

        Raises:
            StorageError: the file cannot be written.
        """
        facts = {"plan": self.plan.name, "run": self.run, "samples": len(self.samples)}
        save_file(path, timeline(self.title, self.layers, facts), mode=PRIVATE)

    def __str__(self) -> str:
        return as_text(self.title, self.layers, self._summary())

    def __rich__(self) -> Table:
        """Return the table as rich draws it in a terminal."""
        return as_rich(self.title, self.layers, self._summary())

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return as_html(self.title, self.layers, self._summary())

    def __repr__(self) -> str:
        return f"Trace({self.plan.name!r}, {self.run}: {count_text(len(self.layers), 'layer')}; print it for its table)"

    @property
    def title(self) -> str:
        """The name of the plan, the number of samples, and how far the run went."""
        return f"{self.plan.name}: {count_text(len(self.samples), 'sample')}, {self.run}"

    def _summary(self) -> list[str]:
        lines = [f"memory: most in {self.peak.name}, {size_text(self.peak.memory_bytes)}"]
        if self.seconds is not None:
            lines.append(
                f"time: {time_text(self.seconds)} for a run of up to {count_text(self.plan.batch_size, 'sample')}"
            )
        if self._reference is not None:
            worst = float(np.abs(self.rows() - self._reference.outputs).max()) / (
                self.plan.report.output_range or 1.0
            )
            lines.append(
                f"outputs: at most {worst:.2%} of their range from the model's; promised on calibration inputs "
                f"{self.plan.report.promised_error:.2%}"
            )
        return lines

    def _known_reference(self) -> ModelValues:
        if self._reference is None:
            raise InputError("the trace has no model to go on with; give model= to hetorch.inspect.trace")
        return self._reference

    def _number(self, name: str) -> int:
        numbers = [number for number, layer in enumerate(self.layers) if layer.name == name]
        if not numbers:
            raise InputError(
                f"the plan has no layer {name!r}; its layers are "
                f"{', '.join(dict.fromkeys(layer.name for layer in self.layers))}"
            )
        return numbers[-1]

    def _named(self, row: Array) -> Any:
        whole = row.reshape(len(row), *self.plan.output_layout.shape)
        return self.plan.public().named(whole[0] if self.single else whole)


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
