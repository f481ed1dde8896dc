"""The part of a trace that pictures and the search for the worst case read."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hetorch.inspect.layer_trace import LayerTrace
from hetorch.plan import Plan

Array = NDArray[np.float64]


class Traced(Protocol):
    """A trace; hetorch.inspect.trace_result.Trace documents each of these."""

    def __getitem__(self, name: str) -> LayerTrace: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def run(self) -> Any: ...

    @property
    def samples(self) -> Array: ...

    @property
    def layers(self) -> tuple[LayerTrace, ...]: ...

    @property
    def seconds(self) -> float | None: ...

    @property
    def title(self) -> str: ...

    @property
    def unjudged(self) -> tuple[str, ...]: ...

    def values_read(self, activation: str) -> Array | None:
        """Return the numbers that an activation of the model reads on the samples."""

    def model_outcome(self, samples: Array) -> tuple[Array | None, NDArray[np.bool_]]:
        """Return the model's outputs on samples, and which of them leave the range of an activation."""
