"""The face of an engine: what the runtime may ask of it. Implementations: native, cleartext, seal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.transform import DiagonalTransform
from hetorch.params import ParameterSet


class Leveled(Protocol):
    """Anything that carries a level (rescalings left) and an exact scale."""

    @property
    def level(self) -> int: ...

    @property
    def scale(self) -> float: ...


C = TypeVar("C", bound=Leveled)
P = TypeVar("P", bound=Leveled)
T = TypeVar("T")


@runtime_checkable
class Engine(Protocol[C, P, T]):
    """Ciphertexts C, plaintexts P and prepared transforms T. Every method returns a new object; none changes its
    arguments; all may be called from many threads at once. Wrong levels or scales raise LevelError, a missing key
    KeyMissingError. Scales are exact doubles: two operands of add or subtract must agree within 2^-20 relative.
    """

    name: str
    parameters: ParameterSet

    def encode(self, values: NDArray[np.float64], *, level: int, scale: float) -> P:
        """`values` of shape (slot_count,), |value| * scale below half the modulus of the level."""

    def add(self, a: C, b: C) -> C:
        """Sum; the level of the lower operand (the other one is dropped)."""

    def subtract(self, a: C, b: C) -> C:
        """Difference; levels as in add."""

    def negate(self, a: C) -> C: ...

    def add_plaintext(self, a: C, p: P) -> C: ...

    def multiply_plaintext(self, a: C, p: P) -> C:
        """Slot-wise product; scale = product of scales; not rescaled."""

    def multiply(self, a: C, b: C) -> C:
        """Slot-wise product, relinearised; scale = product of scales; not rescaled; a and b may be one object."""

    def rescale(self, a: C) -> C:
        """Divide by the last prime q_level: level - 1, scale / q_level."""

    def drop_level(self, a: C, level: int) -> C:
        """Forget primes: the scale and the values stay."""

    def rotate(self, a: C, steps: int) -> C:
        """Slots to the left by `steps`, cyclic."""

    def rotate_many(self, a: C, steps: Sequence[int]) -> list[C]:
        """rotate(a, s) for each s of `steps`, what they have in common done once (hoisting)."""

    def conjugate(self, a: C) -> C: ...

    def prepare_transform(
        self, transform: DiagonalTransform, *, level: int, input_scale: float, output_scale: float
    ) -> T:
        """Encode the diagonals for inputs at `level` (>= 1) and `input_scale`, at the scale
        output_scale * q_level / input_scale, so that the result after its rescale has exactly `output_scale`."""

    def linear_transform(self, prepared: T, inputs: Sequence[C]) -> list[C]:
        """Apply a prepared transform; the outputs are rescaled: level - 1, scale == output_scale exactly."""

    def polynomial(self, a: C, coefficients: Sequence[float], *, output_scale: float) -> C:
        """Chebyshev series sum_i coefficients[i] * T_i(x) for x in [-1, 1] (degree = len - 1 >= 1); uses
        polynomial_depth(degree) levels and returns exactly `output_scale`."""
