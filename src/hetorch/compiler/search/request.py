"""The request to the search: programs, and the requirements on their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.search.variants import Variant
from hetorch.engine.backend import AnyBackend
from hetorch.interop.backends import backend


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """The variants of a program, with the precision and the options that a choice must satisfy.

    `precision` bounds the encryption error, relative to `output_range`. `machine` predicts times.
    """

    variants: tuple[Variant, ...]
    output_range: float
    precision: float
    options: CompileOptions
    machine: Machine = DEFAULT

    @property
    def backend(self) -> AnyBackend:
        """The engine on which the plan must run."""
        return backend(self.options.engine)

    @property
    def throughput(self) -> bool:
        """True if a run takes the number of samples that makes each of them cheapest, False if it takes just enough."""
        return self.options.objective == "throughput"

    @property
    def batch_size(self) -> int | None:
        """The number of samples that one run must take; None if the search chooses the number (throughput)."""
        return self.options.batch_size or (None if self.throughput else 1)
