"""The base class of the operations of an HE program.

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

from hetorch.engine.keys import EvaluationKeySpec, main_family
from hetorch.engine.protocol import C, Engine, P, T
from hetorch.ir.he_operations.fields import ValueField, field_kinds
from hetorch.ir.layout import Layout
from hetorch.params import KeyFamily, ParameterSet

Slots = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.generic]]

NO_LAYOUT = -1
"""The layout of a value that is an intermediate result of a layer (such as a partial sum) and not a tensor."""
WORD_BYTES = 8
"""Bytes of one residue in the native engine's memory."""


@dataclass(frozen=True, slots=True)
class Value:
    """One ciphertext of a program, at `level` (rescalings left) and at exactly `scale`.

    `layout` is the index of its layout in HeProgram.layouts, or NO_LAYOUT; `part` is the index of the ciphertext among
    those of the layout.
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
    def layouts(self) -> tuple[Layout, ...]: ...

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
        """Return the name of the operation in a plan: the class name in lower case with underscores."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    # Values

    @property
    def reads(self) -> tuple[int, ...]:
        """The numbers of the values that the operation reads."""
        return self._values("operand")

    @property
    def makes(self) -> tuple[int, ...]:
        """The numbers of the values that the operation makes."""
        return self._values("result")

    def _values(self, role: str) -> tuple[int, ...]:
        numbers: list[int] = []
        for name, kind in field_kinds(type(self)).items():
            if isinstance(kind, ValueField) and kind.role == role:
                field = getattr(self, name)
                numbers += field if kind.many else [field]
        return tuple(numbers)

    def level(self, frame: Frame) -> int:
        """Return the level at which the operation works: the level of its first operand."""
        return frame.values[self.reads[0]].level

    # Correctness

    @abstractmethod
    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        """Return the level and the scale that the results must have; the verifier reports a level below 0."""

    def problem(self, frame: Frame) -> str | None:
        """Return the reason why the operands or the fields are not possible, or None."""
        return None

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of the weights that the operation reads."""
        return ()

    def weight_problem(self, frame: Frame, weights: Weights) -> str | None:
        """Return the reason why the weights are missing or malformed, or None."""
        return None

    # Keys

    def rotations(self, frame: Frame, weights: Weights) -> frozenset[int]:
        """Return the rotation steps whose keys the operation needs at its level."""
        return frozenset()

    def rotation_family(self, frame: Frame, parameters: ParameterSet) -> KeyFamily:
        """Return the family of the keys of `rotations`."""
        return main_family(parameters)

    def rotation_count(self, frame: Frame, weights: Weights) -> int:
        """Return the number of rotations that the operation makes, a key switch each."""
        return 0

    def relinearises(self, frame: Frame) -> bool:
        """Return True if the operation needs the relinearisation key at its level."""
        return False

    def further_keys(self, frame: Frame, parameters: ParameterSet) -> EvaluationKeySpec | None:
        """Return the keys that the operation needs besides those of `rotations` and `relinearises`; None if there are
        none. ParameterError if the parameters have no room for the operation, SecurityError if a key is not secure."""
        return None

    # Memory

    def shared_preparation(self, frame: Frame) -> object:
        """Return a hashable name of what `prepare` returns, equal for all operations that may share it; None if the
        operation shares nothing."""
        return None

    def weight_bytes(self, frame: Frame, parameters: ParameterSet, weights: Weights) -> int:
        """Return the bytes of the encoded (or encrypted) weights."""
        return 0

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        """Return the peak number of ring elements modulo one prime in memory, besides operands and results."""
        return self.level(frame) + 1

    # Meaning

    @abstractmethod
    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        """Return the results on cleartext slots, arrays of shape (slot_count,); this defines the operation."""

    def prepare(self, engine: Engine[C, P, T], frame: Frame, weights: Weights) -> P | T | None:
        """Return the weights, encoded for `engine`; None if there are none."""
        return None

    @abstractmethod
    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        """Return the results on `engine`; `prepared` is the result of prepare."""


def operation_kinds() -> dict[str, type[Operation]]:
    """Return every class of operations by its tag."""
    kinds = Operation.__subclasses__()
    return {kind.tag(): kind for base in kinds for kind in (base, *base.__subclasses__())}


def key_switch_rows(parameters: ParameterSet, level: int) -> int:
    """Return the number of ring elements modulo one prime that a key switch at `level` holds in memory.

    These are its digits and both sums, over Q_level P.
    """
    extended = level + 1 + len(parameters.special_primes)
    return (parameters.digit_count(level) + 2) * extended


def spread(period: Slots, frame: Frame) -> Slots:
    """Repeat one period of positions over all slots; each position has `batch` slots side by side."""
    return np.tile(np.repeat(period, frame.batch), frame.slot_count // frame.batch // len(period))


def is_period(length: int, frame: Frame) -> bool:
    """Return True if `length` divides the number of positions."""
    return length > 0 and frame.slot_count // frame.batch % length == 0
