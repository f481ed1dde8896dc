"""What a trace tells of one layer, as data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of the values of a layer, over samples and elements."""

    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Array) -> Distribution:
        """Return that of an array, which is not empty."""
        with np.errstate(over="ignore", invalid="ignore"):
            return cls(float(values.mean()), float(values.std()), float(values.min()), float(values.max()))


@dataclass(frozen=True, slots=True)
class Errors:
    """The difference of a layer's values from a reference.

    worst     the largest absolute difference
    rms       the root mean square difference
    relative  `rms` relative to the range (max - min) of the reference
    bits      bits of precision: -log2(relative); infinity if there is no difference
    """

    worst: float
    rms: float
    relative: float
    bits: float

    @classmethod
    def of(cls, values: Array, reference: Array) -> Errors:
        """Return the errors of an array, of the reference's shape."""
        with np.errstate(over="ignore", invalid="ignore"):
            difference = np.abs(values - reference)
            rms = float(np.sqrt(np.mean(difference**2)))
        span = float(np.ptp(reference)) or float(np.abs(reference).max()) or 1.0
        relative = rms / span
        bits = -math.log2(relative) if relative > 0 and math.isfinite(relative) else math.inf
        return cls(float(difference.max()), rms, relative, bits if relative < math.inf else -math.inf)


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """One layer in a trace; a figure is None where it was not run or has no meaning.

    name, kind         as in the plan's report
    level, scale_bits  of the result: rescalings left, and log2 of the scale
    cleartext          the values that exact arithmetic makes of the plan, in the plan's units; None without values
    simulated          the same with modelled noise
    encrypted          the same, decrypted
    model              the model's own values, in the model's units; None if the layer is not compared
    noise              the error of encryption: the furthest run against `cleartext`
    noise_added        root mean square of the noise that the layer added by itself, in the plan's units
    noise_bound        bound of the error that the layer's own noise adds to the outputs, relative to their range
    error              the error of plan and encryption together: the furthest run, in the model's units, against
                       `model`
    outside            share of the values that the activation reads outside the range of its polynomial
    fitted_range       that range, in the model's units
    seconds            measured time of the layer in one run on ciphertexts
    predicted_seconds  time that the plan predicts
    rotations          number of rotations in one run
    memory_bytes       predicted memory during the layer: keys, encoded weights, ciphertexts, intermediate results
    values             the values themselves, (samples, *shape), if they were asked for: by "cleartext", "simulated",
                       "encrypted", "model" (in the model's units) and "compared" (the furthest run in these units)
    """

    name: str
    kind: str
    level: int
    scale_bits: float
    cleartext: Distribution | None
    simulated: Distribution | None
    encrypted: Distribution | None
    model: Distribution | None
    noise: Errors | None
    noise_added: float | None
    noise_bound: float
    error: Errors | None
    outside: float | None
    fitted_range: tuple[float, float] | None
    seconds: float | None
    predicted_seconds: float
    rotations: int
    memory_bytes: int
    values: Mapping[str, Array] = field(repr=False, compare=False)

    @property
    def largest(self) -> float:
        """The largest absolute value of the run by exact arithmetic; 0 without values."""
        return 0.0 if self.cleartext is None else max(-self.cleartext.low, self.cleartext.high)

    def to_dict(self) -> dict[str, object]:
        """Return all figures in one flat dictionary, without the values; those of `noise` and of the distributions
        have names such as noise_worst and cleartext_mean."""
        row: dict[str, object] = {}
        for part in dataclasses.fields(self):
            figure = getattr(self, part.name)
            if part.name == "values":
                continue
            kind = Errors if part.name in ("noise", "error") else Distribution
            if part.name in ("noise", "error", "cleartext", "simulated", "encrypted", "model"):
                for inner in dataclasses.fields(kind):
                    row[f"{part.name}_{inner.name}"] = None if figure is None else getattr(figure, inner.name)
            elif part.name == "fitted_range":
                row["fitted_low"], row["fitted_high"] = figure or (None, None)
            else:
                row[part.name] = figure
        return row
