"""The result of `hetorch.inspect.trace`: every layer of an inference, and runs that go over to the model half-way."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hetorch.atomic_files import PRIVATE
from hetorch.errors import InputError
from hetorch.inspect.layer_trace import LayerTrace
from hetorch.inspect.model_values import Match, ModelValues
from hetorch.inspect.perfetto import timeline
from hetorch.inspect.save_file import save_file
from hetorch.inspect.trace_table import as_html, as_rich, as_text
from hetorch.plan import Plan
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

    def is_rescaled(self, number: int) -> bool:
        """Return True if the layer of that number is compared in units that were fitted to the model's values."""
        match = self._matches[number]
        return match is not None and match.is_fitted

    @property
    def model_rows(self) -> Array:
        """The model's outputs as rows of the plan, (samples, elements); InputError without a model."""
        return self._known_reference().outputs

    def rows(self, run: Run | None = None) -> Array:
        """Return the outputs of a run, the furthest one if left out, as rows of the plan: (samples, elements)."""
        return _flat(self.layers[-1].values[run or self.run])

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
                f"the layer {self.layers[number].name!r} is not compared with the model: its fusion ends elsewhere, or "
                f"there are too few samples to find its units; the compared ones are {', '.join(self.compared)}"
            )
        return reference.continued(
            {
                match.value: match.in_model_units(_flat(layer.values[run or self.run]))
                for layer, match in zip(self.layers[: number + 1], self._matches, strict=False)
                if match is not None
            }
        )

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
        save_file(path, timeline(self._title(), self.layers, facts), mode=PRIVATE)

    def __str__(self) -> str:
        return as_text(self._title(), self.layers, self._summary())

    def __rich__(self) -> Table:
        """Return the table as rich draws it in a terminal."""
        return as_rich(self._title(), self.layers, self._summary())

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return as_html(self._title(), self.layers, self._summary())

    def __repr__(self) -> str:
        return f"Trace({self.plan.name!r}, {self.run}: {count_text(len(self.layers), 'layer')}; print it for its table)"

    def _title(self) -> str:
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
                f"the plan has no layer {name!r}; its layers are {', '.join(layer.name for layer in self.layers)}"
            )
        return numbers[-1]

    def _named(self, row: Array) -> Any:
        whole = row.reshape(len(row), *self.plan.output_layout.shape)
        return self.plan.public().named(whole[0] if self.single else whole)


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
