"""The engine that computes on real ciphertexts, with the C++ core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.bootstrapping import COSINE_16, PlannedBootstrap
from hetorch.engine.context import core_context
from hetorch.engine.rotation_schedule import paired_babies
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import InputError, LevelError, ParameterError
from hetorch.params import ParameterSet
from hetorch.params.bootstrap_set import MESSAGE_RATIO
from hetorch.params.map_family import map_family

Ciphertext = _native.Ciphertext
Plaintext = _native.Plaintext
EvaluationKeys = _native.EvaluationKeys
PublicKey = _native.PublicKey
Slots = NDArray[np.float64] | NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class PreparedTransform:
    """The encoded diagonals of a transform, or the weights of sums of whole ciphertexts. `pair`: the step of pairs.

    It depends on the engine's parameters and not on its keys, so engines of many clients may share it.
    """

    core: _native.LinearTransform | _native.WeightedSums
    pair: int = 0

    @property
    def byte_count(self) -> int:
        """The memory of the encoded diagonals in bytes."""
        return self.core.bytes


@dataclass(frozen=True, slots=True)
class PreparedBootstrap(PlannedBootstrap):
    """A bootstrap with its encoded maps. It depends on no keys, so engines of many clients may share it."""

    core: _native.Bootstrap = field(kw_only=True)

    @property
    def byte_count(self) -> int:
        """The memory of the encoded diagonals in bytes."""
        return self.core.bytes


def prepare_bootstrap(planned: PlannedBootstrap) -> PreparedBootstrap:
    """Encode the maps of a bootstrap; LevelError if the scales do not fit the moduli."""
    series, boot = COSINE_16, planned.bootstrap_set
    core = _native.Bootstrap.prepare(
        core_context(boot.parameters),
        boot.slots,
        list(boot.to_coefficients),
        list(boot.to_slots),
        boot.babies,
        boot.low_family.pair,
        *planned.full_scales,
        MESSAGE_RATIO,
        series.range,
        list(series.coefficients),
        series.doublings,
    )
    return PreparedBootstrap(boot, planned.input_scale, planned.output_scale, planned.bound, core=core)


def complex_diagonals(
    transform: DiagonalTransform,
) -> tuple[list[NDArray[np.int32]], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the diagonals as the core takes them, those of a pair as one.

    Returns:
        Their outputs, inputs, giant and baby steps; their real parts; their imaginary parts, None without pairs.
    """
    babies, imaginary = paired_babies(transform.babies, transform.pair, transform.slot_count)
    places = np.stack([transform.outputs, transform.inputs, transform.giants, babies]).astype(np.int64)
    if not transform.pair:
        whole = [np.ascontiguousarray(row, dtype=np.int32) for row in places]
        return whole, np.ascontiguousarray(transform.values, dtype=np.float64), None
    distinct, place = np.unique(places, axis=1, return_inverse=True)
    # Re((d - i e) z) = d x + e rotate(x, pair).
    parts = np.zeros((2, distinct.shape[1], transform.values.shape[1]))
    for part, sign in ((0, 1.0), (1, -1.0)):
        of_part = imaginary == bool(part)
        np.add.at(parts[part], place[of_part], sign * transform.values[of_part])
    return [np.ascontiguousarray(row, dtype=np.int32) for row in distinct], parts[0], parts[1]


def slot_values(values: object, slot_count: int) -> NDArray[np.complex128]:
    """Return `values` as complex128 (slot_count,).

    Raises:
        InputError: the shape differs, or a value is not a finite number.
    """
    try:
        array = np.ascontiguousarray(values, dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected numbers for {slot_count} slots: {error}") from None
    if array.shape != (slot_count,):
        raise InputError(
            f"expected one value for each of {slot_count} slots, got an array of shape {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        raise InputError("only finite values can be encoded; the input holds NaN or infinity")
    return array


class NativeEngine:
    """A `SummingEngine` and `BootstrappingEngine` for one parameter set and one client's evaluation keys.

    It is immutable and re-entrant.
    """

    name = "native"

    def __init__(self, parameters: ParameterSet, *, evaluation_keys: EvaluationKeys | None = None) -> None:
        self.parameters = parameters
        self._context = core_context(parameters)
        self._core = _native.Evaluator(self._context, evaluation_keys)

    @property
    def kernel_path(self) -> str:
        """The names of the instruction-set paths of this context's primes, joined by "+"."""
        return self._context.kernel_path

    def encode(self, values: Slots, *, level: int, scale: float) -> Plaintext:
        """Encode `values` (slot_count,), real or complex.

        Raises:
            LevelError: the level does not exist, or the values are too large for its modulus.
        """
        self._check_level(level)
        return _native.encode(self._context, slot_values(values, self.parameters.slot_count), level, scale)

    def add(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        return self._core.add(a, b)

    def subtract(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        return self._core.subtract(a, b)

    def negate(self, a: Ciphertext) -> Ciphertext:
        return self._core.negate(a)

    def add_plaintext(self, a: Ciphertext, p: Plaintext) -> Ciphertext:
        return self._core.add_plaintext(a, p)

    def multiply_plaintext(self, a: Ciphertext, p: Plaintext) -> Ciphertext:
        return self._core.multiply_plaintext(a, p)

    def multiply(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        return self._core.multiply(a, b)

    def sum_of_products(self, a: Sequence[Ciphertext], b: Sequence[Ciphertext]) -> Ciphertext:
        """Return sum_i a[i] * b[i], relinearised once and not rescaled.

        Its scale is the product of the scales of a pair, which must be equal for all pairs.
        """
        if not a or len(a) != len(b):
            raise InputError(
                f"a sum of products needs as many factors on one side as on the other, got {len(a)} and {len(b)}"
            )
        return self._core.relinearise(self._core.sum_of_products(a, b))

    def rescale(self, a: Ciphertext) -> Ciphertext:
        return self._core.rescale(a)

    def drop_level(self, a: Ciphertext, level: int) -> Ciphertext:
        self._check_level(level)
        return self._core.drop_level(a, level)

    def rotate(self, a: Ciphertext, steps: int) -> Ciphertext:
        return self._core.rotate(a, steps % self.parameters.slot_count)

    def rotate_many(self, a: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]:
        return self._core.rotate_many(a, [s % self.parameters.slot_count for s in steps])

    def conjugate(self, a: Ciphertext) -> Ciphertext:
        return self._core.conjugate(a)

    def prepare_transform(
        self,
        transform: DiagonalTransform,
        *,
        level: int,
        input_scale: float,
        output_scale: float,
        coefficients: bool = False,
    ) -> PreparedTransform:
        """Encode all diagonals modulo QP at `level`, with about 2 N log N operations per diagonal and prime.

        With `coefficients` they are kept as integers, 8 bytes for each distinct coefficient, and those operations are
        done at each use. If the diagonals are single numbers and there are no rotations, the result is weighted sums of
        ciphertexts, in one form only.
        """
        if transform.slot_count != self.parameters.slot_count:
            raise InputError(
                f"the transform is for {transform.slot_count} slots, the parameters have {self.parameters.slot_count}"
            )
        self._check_level(level)
        if transform.values.shape[1] == 1 and not transform.rotations:
            sums = _native.WeightedSums.prepare(
                self._context,
                np.ascontiguousarray(transform.outputs, dtype=np.int32),
                np.ascontiguousarray(transform.inputs, dtype=np.int32),
                np.ascontiguousarray(transform.values[:, 0], dtype=np.float64),
                transform.input_count,
                transform.output_count,
                level,
                input_scale,
                output_scale,
            )
            return PreparedTransform(sums)
        (outputs, sources, giants, babies), values, imaginary = complex_diagonals(transform)
        core = _native.LinearTransform.prepare(
            self._context,
            outputs,
            sources,
            giants,
            babies,
            values,
            transform.input_count,
            transform.output_count,
            level,
            input_scale,
            output_scale,
            coefficients,
            imaginary,
            family=map_family(self.parameters, level).pair,
        )
        return PreparedTransform(core, transform.pair)

    def linear_transform(self, prepared: PreparedTransform, inputs: Sequence[Ciphertext]) -> list[Ciphertext]:
        if isinstance(prepared.core, _native.WeightedSums):
            return self._core.weighted_sums(prepared.core, list(inputs))
        read = [self._turned(a, prepared.pair) for a in inputs] if prepared.pair else list(inputs)
        return self._core.linear_transform(prepared.core, read)

    def _turned(self, a: Ciphertext, pair: int) -> Ciphertext:
        """Return a + i rotate(a, pair) at the level and scale of `a`."""
        # At scale 1, i is the monomial X^(N/2): the product is exact and takes no level.
        unit = _native.encode(self._context, np.full(self.parameters.slot_count, 1j), a.level, 1.0)
        return self._core.add(a, self._core.multiply_plaintext(self._core.rotate(a, pair), unit))

    def polynomial(self, a: Ciphertext, coefficients: Sequence[float], *, output_scale: float) -> Ciphertext:
        return self._core.polynomial(a, [float(c) for c in coefficients], output_scale)

    def prepare_bootstrap(self, planned: PlannedBootstrap) -> PreparedBootstrap:
        """Encode the maps of a bootstrap.

        Raises:
            LevelError: the scales do not fit the moduli.
            ParameterError: it is planned for other parameters.
        """
        if planned.bootstrap_set.parameters != self.parameters:
            raise ParameterError("this bootstrap was planned for other parameters than those of the engine")
        return prepare_bootstrap(planned)

    def bootstrap(self, prepared: PreparedBootstrap, a: Ciphertext, bound: float | None = None) -> Ciphertext:
        """Return a ciphertext of the same slots, real and at most `bound` in magnitude, with levels.

        The input is at the input level and scale of `prepared`, the result at its output level and scale; the slots are
        those of prepared.expected, with noise. With another bound than that of `prepared`, its maps serve scales of the
        same product with the bound.

        Raises:
            LevelError: the input is at another level or scale, or has not two parts.
            KeyMissingError: a key of bootstrap_keys is missing.
            ParameterError: `prepared` is for other parameters than this engine, or the bound is not above 0.
        """
        return prepared.core.apply(self._core, a, prepared.bound if bound is None else bound)

    def _check_level(self, level: int) -> None:
        if not 0 <= level <= self.parameters.max_level:
            raise LevelError(
                f"level {level} does not exist; the chain has levels 0..{self.parameters.max_level}"
            )
