"""The request to the search: programs, and the requirements on their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.search.variants import Variant
from hetorch.engine.backend import AnyBackend
from hetorch.interop.backends import backend
from hetorch.wire.limits import MAX_KEY_BYTES

COARSEST = 2.0**-6
"""The coarsest precision that is chosen if the user asks for none, relative to the range of the outputs. Raised,
parameters may be smaller and outputs noisier."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """The variants of a program, with the precision and the options that a choice must satisfy.

    `precision` bounds the encryption error, relative to `output_range`. `machine` predicts times, and
    `machine_memory` bounds the bytes of a run unless the options do; None for no bound.
    """

    variants: tuple[Variant, ...]
    output_range: float
    precision: float
    options: CompileOptions
    machine: Machine = DEFAULT
    machine_memory: int | None = None

    @property
    def memory_limit(self) -> int | None:
        """The bound on the bytes of a run; None if there is none."""
        return self.machine_memory if self.options.memory_limit is None else self.options.memory_limit

    @property
    def key_limit(self) -> int:
        """The bound on the bytes of the evaluation keys on the wire: the option, or else what a client accepts."""
        return MAX_KEY_BYTES if self.options.key_limit is None else self.options.key_limit

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
