"""The interface of an engine: the operations that the runtime may ask for.

Implementations: hetorch.engine.native, hetorch.engine.cleartext, hetorch.interop.seal.engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.transform import DiagonalTransform
from hetorch.params import ParameterSet


class Leveled(Protocol):
    """An object that carries a level (rescalings left) and an exact scale."""

    @property
    def level(self) -> int: ...

    @property
    def scale(self) -> float: ...


C = TypeVar("C", bound=Leveled)
P = TypeVar("P", bound=Leveled)
T = TypeVar("T")
B = TypeVar("B")


@runtime_checkable
class Engine(Protocol[C, P, T]):
    """An engine for one parameter set, with ciphertexts C, plaintexts P and prepared transforms T.

    Every method returns a new object and changes none of its arguments; all may be called from many threads at once.
    Wrong levels or scales raise LevelError, a missing key KeyMissingError. Scales are exact doubles. The scales of two
    operands of a sum may differ by the relative error SCALE_TOLERANCE (hetorch.params.scales).
    """

    name: str
    parameters: ParameterSet

    def encode(self, values: NDArray[np.float64], *, level: int, scale: float) -> P:
        """Encode `values` of shape (slot_count,); |value| * scale must be below half the modulus of the level."""

    def add(self, a: C, b: C) -> C:
        """Return a + b, at the level of the lower operand (the other one is dropped)."""

    def subtract(self, a: C, b: C) -> C:
        """Return a - b; levels as in add."""

    def negate(self, a: C) -> C: ...

    def add_plaintext(self, a: C, p: P) -> C: ...

    def multiply_plaintext(self, a: C, p: P) -> C:
        """Return the slot-wise product, not rescaled; its scale is the product of the scales."""

    def multiply(self, a: C, b: C) -> C:
        """Return the slot-wise product, relinearised and not rescaled; its scale is the product of the scales.

        a and b may be one object.
        """

    def rescale(self, a: C) -> C:
        """Divide by the last prime q_level; the result is at level - 1 and scale / q_level."""

    def drop_level(self, a: C, level: int) -> C:
        """Drop the primes above `level`; the scale and the values stay."""

    def rotate(self, a: C, steps: int) -> C:
        """Rotate the slots to the left by `steps`, cyclically."""

    def rotate_many(self, a: C, steps: Sequence[int]) -> list[C]:
        """Return rotate(a, s) for each s of `steps`; the common decomposition is done once (hoisting)."""

    def conjugate(self, a: C) -> C: ...

    def prepare_transform(
        self,
        transform: DiagonalTransform,
        *,
        level: int,
        input_scale: float,
        output_scale: float,
        coefficients: bool = False,
    ) -> T:
        """Encode the diagonals for inputs at `level` (>= 1) and `input_scale`.

        Their scale is output_scale * q_level / input_scale, so that the rescaled results have exactly `output_scale`.
        With `coefficients`, an engine that can keeps them as integer coefficients and transforms them when they are
        used: less memory, more time, the same results.
        """

    def linear_transform(self, prepared: T, inputs: Sequence[C]) -> list[C]:
        """Apply a prepared transform; the results are rescaled, to level - 1 and exactly `output_scale`."""

    def polynomial(self, a: C, coefficients: Sequence[float], *, output_scale: float) -> C:
        """Evaluate the Chebyshev series sum_i coefficients[i] * T_i(x) for x in [-1, 1] (degree = len - 1 >= 1).

        The series uses polynomial_depth(degree) levels; the scale of the result is exactly `output_scale`.
        """


@runtime_checkable
class SummingEngine(Engine[C, P, T], Protocol):
    """An engine that also sums products of ciphertexts, which plans with encrypted weights need."""

    def sum_of_products(self, a: Sequence[C], b: Sequence[C]) -> C:
        """Return sum_i a[i] * b[i], relinearised once and not rescaled.

        Its scale is the product of the scales of a pair, which must be equal for all pairs.
        """


@runtime_checkable
class BootstrappingEngine(Engine[C, P, T], Protocol[C, P, T, B]):
    """An engine that also bootstraps: it gives a ciphertext its levels back."""

    def prepare_bootstrap(self, planned: PlannedBootstrap) -> B:
        """Prepare what a bootstrap needs beside keys; ParameterError if it is planned for other parameters."""

    def bootstrap(self, prepared: B, a: C, bound: float | None = None) -> C:
        """Return the slots of `a`, real and at most `bound` in magnitude, at the output level and scale.

        `a` is at the input level and scale; each slot is that of PlannedBootstrap.expected, with noise. If the bound is
        not that of `prepared`, the scales are others too, of the same product with the bound
        (PlannedBootstrap.within).
        """
