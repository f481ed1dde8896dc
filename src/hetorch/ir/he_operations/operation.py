"""What every operation of an HE program knows about itself, so that a new one is one class.

Verifier, manifest, key selection, memory prediction, interpreter and runner ask the operation; none of them lists the
classes. To add an operation, write a frozen dataclass that derives from Operation, in this folder, and import it in
__init__.py.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.protocol import C, Engine, P, T
from hetorch.ir.he_operations.fields import ValueField, field_kinds
from hetorch.params import ParameterSet

Slots = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.generic]]

NO_LAYOUT = -1
"""The layout of a value that is a step inside a layer (a partial sum) and not a tensor."""
WORD_BYTES = 8
"""Bytes of one residue in the native engine's memory."""


@dataclass(frozen=True, slots=True)
class Value:
    """One ciphertext of a program, at `level` (rescalings left) and at exactly `scale`.

    `layout` is the index of its layout in HeProgram.layouts, or NO_LAYOUT; `part` says which ciphertext of that layout
    it is.
    """

    level: int
    scale: float
    layout: int = NO_LAYOUT
    part: int = 0


class Frame(Protocol):
    """The part of an HeProgram that its operations read."""

    @property
    def slot_count(self) -> int: ...

    @property
    def values(self) -> tuple[Value, ...]: ...

    @property
    def batch(self) -> int: ...

    @property
    def encrypted_weights(self) -> bool: ...


class Operation(ABC):
    """An operation on ciphertexts. `layer` is the index of its layer's name in HeProgram.layers.

    Operands and results are numbers of values in `frame.values`; `weights` are arrays by name.
    """

    __slots__ = ()
    layer: int

    @classmethod
    def tag(cls) -> str:
        """Return the name of the class in a plan: its own, in lower case with underscores."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    # Values

    @property
    def reads(self) -> tuple[int, ...]:
        """The values that it reads."""
        return self._values("operand")

    @property
    def makes(self) -> tuple[int, ...]:
        """The values that it makes."""
        return self._values("result")

    def _values(self, role: str) -> tuple[int, ...]:
        numbers: list[int] = []
        for name, kind in field_kinds(type(self)).items():
            if isinstance(kind, ValueField) and kind.role == role:
                field = getattr(self, name)
                numbers += field if kind.many else [field]
        return tuple(numbers)

    def level(self, frame: Frame) -> int:
        """Return the level at which it works: that of its first operand."""
        return frame.values[self.reads[0]].level

    # Correctness

    @abstractmethod
    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        """Return the level and the scale that its results must have; a level below 0 is reported as an error."""

    def problem(self, frame: Frame) -> str | None:
        """Return the reason why its operands or fields cannot be as they are, or None."""
        return None

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of the arrays that it reads."""
        return ()

    def weight_problem(self, frame: Frame, weights: Weights) -> str | None:
        """Return the reason why its weights are missing or malformed, or None."""
        return None

    # Keys

    def rotations(self, frame: Frame, weights: Weights) -> frozenset[int]:
        """Return the rotation steps whose keys it needs at its level."""
        return frozenset()

    def relinearises(self, frame: Frame) -> bool:
        """Return whether it needs the relinearisation key at its level."""
        return False

    # Memory

    def weight_bytes(self, frame: Frame, parameters: ParameterSet, weights: Weights) -> int:
        """Return the bytes of its encoded (or encrypted) weights."""
        return 0

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        """Return the ring elements modulo one prime that it holds at its peak, besides its operands and results."""
        return self.level(frame) + 1

    # Meaning

    @abstractmethod
    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        """Return its results on cleartext slots, arrays of shape (slot_count,), in exact arithmetic: the definition."""

    def prepare(self, engine: Engine[C, P, T], frame: Frame, weights: Weights) -> P | T | None:
        """Return its weights, encoded for `engine`; None if it has none."""
        return None

    @abstractmethod
    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        """Return its results on `engine`; `prepared` is what prepare returned."""


def operation_kinds() -> dict[str, type[Operation]]:
    """Return every class of operations by its tag."""
    return {kind.tag(): kind for kind in Operation.__subclasses__()}


def key_switch_rows(parameters: ParameterSet, level: int) -> int:
    """Return the ring elements modulo one prime that a key switch at `level` holds: its digits and both sums, over
    Q_level P."""
    extended = level + 1 + len(parameters.special_primes)
    return (parameters.digit_count(level) + 2) * extended


def spread(period: Slots, frame: Frame) -> Slots:
    """Return one period of positions repeated over all slots; each position has `batch` slots side by side."""
    return np.tile(np.repeat(period, frame.batch), frame.slot_count // frame.batch // len(period))


def is_period(length: int, frame: Frame) -> bool:
    """Return whether a period of `length` positions divides the positions."""
    return length > 0 and frame.slot_count // frame.batch % length == 0
