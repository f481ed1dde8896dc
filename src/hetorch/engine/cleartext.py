"""An engine without cryptography, with the levels, scales, keys and errors of the native one, and modelled noise."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.distinct import distinct
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrap_noise import noise_of_multiples
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.keys import (
    EvaluationKeySpec,
    KeyEnd,
    KeyLink,
    all_links,
    main_family,
    rotation_link,
)
from hetorch.engine.noise import NoiseModel
from hetorch.engine.polynomial import chebyshev_schedule, polynomial_depth
from hetorch.engine.polynomial_noise import polynomial_noise
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import InputError, KeyMissingError, LevelError, ParameterError
from hetorch.params import KeyFamily, ParameterSet
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.params.map_family import map_family
from hetorch.params.scales import SCALE_TOLERANCE
from hetorch.quantities import count_text

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CleartextCiphertext:
    """The values that a ciphertext at `level` and `scale` would decrypt to, float64 (slot_count,)."""

    values: Array
    level: int
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class CleartextPlaintext:
    """A plaintext, as the values before encoding, float64 (slot_count,)."""

    values: Array
    level: int
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class PreparedTransform:
    """A transform for inputs at `level` and `input_scale`, with results at level - 1 and `scale`."""

    transform: DiagonalTransform
    level: int
    input_scale: float
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBootstrap:
    """A bootstrap with the standard deviation of its noise for each multiple I of q_0, and the probability of I."""

    planned: PlannedBootstrap
    deviations: Array
    probabilities: Array


class CleartextEngine:
    """An `Engine` that computes on the values themselves.

    With `noise`, every operation adds Gaussian noise by the model of engine.noise, drawn from `seed`; this is for tests
    and predictions, and protects nothing. With `key_spec`, an operation whose key is not in it raises KeyMissingError,
    as on a server; without it no key is missing.
    """

    name = "cleartext"

    def __init__(
        self,
        parameters: ParameterSet,
        *,
        noise: bool = True,
        seed: int = 0,
        key_spec: EvaluationKeySpec | None = None,
    ) -> None:
        self.parameters = parameters
        self._noise = NoiseModel.of(parameters) if noise else None
        self._generator = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._relinearisation = -1 if key_spec is None else key_spec.relinearisation_level
        self._key_levels = None if key_spec is None else _key_levels(parameters, key_spec)

    def encrypt(self, values: Array, *, level: int | None = None, scale: float) -> CleartextCiphertext:
        """Return `values` with the noise of a fresh ciphertext, at the highest level by default; raises as encode."""
        top = self.parameters.max_level if level is None else level
        plaintext = self.encode(values, level=top, scale=scale)
        fresh = self._noise.fresh() if self._noise else 0.0
        return self._result(plaintext.values, top, scale, fresh)

    def decrypt(self, a: CleartextCiphertext) -> Array:
        """Return the values, (slot_count,).

        Raises:
            InputError: the values are too large for the modulus; decryption would return wrong numbers in all slots.
                Earlier terms of a sum may have been larger.
        """
        check_room(self.parameters, a.values, a.level, a.scale)
        return a.values.copy()

    def encode(self, values: Array, *, level: int, scale: float) -> CleartextPlaintext:
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (self.parameters.slot_count,):
            raise InputError(f"expected {self.parameters.slot_count} slots, got shape {array.shape}")
        if not 0 <= level <= self.parameters.max_level or not scale > 0:
            raise LevelError(f"level {level} or scale {scale:g} does not exist in this chain")
        check_room(self.parameters, array, level, scale)
        return CleartextPlaintext(array, level, scale)

    def add(self, a: CleartextCiphertext, b: CleartextCiphertext) -> CleartextCiphertext:
        _check_scales(a.scale, b.scale)
        return self._result(a.values + b.values, min(a.level, b.level), a.scale)

    def subtract(self, a: CleartextCiphertext, b: CleartextCiphertext) -> CleartextCiphertext:
        _check_scales(a.scale, b.scale)
        return self._result(a.values - b.values, min(a.level, b.level), a.scale)

    def negate(self, a: CleartextCiphertext) -> CleartextCiphertext:
        return replace(a, values=-a.values)

    def add_plaintext(self, a: CleartextCiphertext, p: CleartextPlaintext) -> CleartextCiphertext:
        _check_scales(a.scale, p.scale)
        if p.level < a.level:
            raise LevelError(f"a plaintext at level {p.level} cannot be added at level {a.level}")
        return self._result(
            a.values + p.values, a.level, a.scale, self._noise.encoding() if self._noise else 0.0
        )

    def multiply_plaintext(self, a: CleartextCiphertext, p: CleartextPlaintext) -> CleartextCiphertext:
        if p.level < a.level:
            raise LevelError(f"a plaintext at level {p.level} cannot multiply one at level {a.level}")
        _check_scale(a.scale * p.scale, self._log2_modulus(a.level), "the product")
        return self._result(a.values * p.values, a.level, a.scale * p.scale)

    def multiply(self, a: CleartextCiphertext, b: CleartextCiphertext) -> CleartextCiphertext:
        level = min(a.level, b.level)
        self._check_relinearisation(level)
        _check_scale(a.scale * b.scale, self._log2_modulus(level), "the product")
        noise = self._noise.key_switch(level) if self._noise else 0.0
        return self._result(a.values * b.values, level, a.scale * b.scale, noise)

    def rescale(self, a: CleartextCiphertext) -> CleartextCiphertext:
        if a.level < 1:
            raise LevelError("no level is left to rescale: the value is at level 0")
        scale = a.scale / self.parameters.modulus_chain[a.level]
        return self._result(a.values, a.level - 1, scale, self._noise.rounding() if self._noise else 0.0)

    def drop_level(self, a: CleartextCiphertext, level: int) -> CleartextCiphertext:
        if not 0 <= level <= a.level:
            raise LevelError(f"cannot drop from level {a.level} to {level}")
        return self._result(a.values, level, a.scale)

    def rotate(self, a: CleartextCiphertext, steps: int) -> CleartextCiphertext:
        turn = steps % self.parameters.slot_count
        if turn == 0:
            return a
        self._check_rotation(turn, a.level)
        noise = self._noise.key_switch(a.level) if self._noise else 0.0
        return self._result(np.roll(a.values, -turn), a.level, a.scale, noise)

    def rotate_many(self, a: CleartextCiphertext, steps: Sequence[int]) -> list[CleartextCiphertext]:
        return [self.rotate(a, s) for s in steps]

    def conjugate(self, a: CleartextCiphertext) -> CleartextCiphertext:
        element = 2 * self.parameters.ring_degree - 1
        name = KeyLink(KeyEnd.DENSE, KeyEnd.DENSE, element, main_family(self.parameters), 0)
        if self._key_levels is not None and self._key_levels.get(name, -1) < a.level:
            raise KeyMissingError(f"no key for conjugation at level {a.level}")
        return self._result(
            a.values, a.level, a.scale, self._noise.key_switch(a.level) if self._noise else 0.0
        )

    def prepare_transform(
        self,
        transform: DiagonalTransform,
        *,
        level: int,
        input_scale: float,
        output_scale: float,
        coefficients: bool = False,
    ) -> PreparedTransform:
        if not 1 <= level <= self.parameters.max_level:
            raise LevelError(
                f"a transform at level {level} cannot rescale; levels 1..{self.parameters.max_level}"
            )
        if transform.slot_count != self.parameters.slot_count:
            raise LevelError(
                f"a transform for {transform.slot_count} slots, expected {self.parameters.slot_count}"
            )
        if transform.values.shape[1] > 1 or transform.rotations:  # else the core takes residues of any size
            # Half of the modulus is for the sign. A coefficient is at most as large as the largest number in the slots.
            scale = output_scale * self.parameters.modulus_chain[level] / input_scale
            largest = float(np.max(np.abs(transform.values), initial=0.0))
            _check_scale(2 * largest * scale, self._log2_modulus(level), "the diagonals")
        return PreparedTransform(transform, level, input_scale, output_scale)

    def linear_transform(
        self, prepared: PreparedTransform, inputs: Sequence[CleartextCiphertext]
    ) -> list[CleartextCiphertext]:
        transform, level = prepared.transform, prepared.level
        if len(inputs) != transform.input_count:
            raise InputError(
                f"the transform takes {count_text(transform.input_count, 'ciphertext')}, got {len(inputs)}"
            )
        for a in inputs:
            if a.level != level:
                raise LevelError(
                    f"the transform was prepared for level {level}, got a ciphertext at {a.level}"
                )
            _check_scales(a.scale, prepared.input_scale)
        for steps in transform.rotations:
            self._check_rotation(steps, level, map_family(self.parameters, level))
        if transform.pair:
            self._check_rotation(transform.pair, level, map_family(self.parameters, level))
        sums = transform.apply([a.values for a in inputs])
        return [
            self._result(values, level - 1, prepared.scale, self._transform_noise(prepared, inputs, number))
            for number, values in enumerate(sums)
        ]

    def _transform_noise(
        self, prepared: PreparedTransform, inputs: Sequence[CleartextCiphertext], output: int
    ) -> Array | float:
        """Return the standard deviation of one result's noise in each slot, in units of 1 / output scale.

        It has three parts: the rounding of the rescale, the roundings of the diagonals times the input, and the key
        switches of the baby steps times the diagonals.
        """
        if self._noise is None:
            return 0.0
        model, transform, level = self._noise, prepared.transform, prepared.level
        terms = transform.outputs == output
        rotated = terms & (transform.babies != 0)
        gain = prepared.scale / prepared.input_scale
        switched = (model.switched(level) * gain) ** 2 * (transform.values[rotated] ** 2).sum(axis=0)
        # Diagonals are encoded at the scale output scale * q / input scale, which divides their rounding errors.
        prime = self.parameters.modulus_chain[level]
        strength = sum(
            float(np.mean(inputs[int(i)].values ** 2)) for i in transform.inputs[terms]
        )  # one diagonal each
        encoded = (model.encoding() * prepared.input_scale / prime) ** 2 * strength
        giants = len(distinct(transform.giants[terms]))
        divided = giants * (model.key_switch(level) / prime) ** 2
        whole = np.sqrt(model.rounding() ** 2 + encoded + divided + switched)
        return np.tile(np.asarray(whole, dtype=np.float64), transform.slot_count // len(whole))

    def polynomial(
        self, a: CleartextCiphertext, coefficients: Sequence[float], *, output_scale: float
    ) -> CleartextCiphertext:
        depth = polynomial_depth(len(coefficients) - 1)
        if a.level < depth:
            raise LevelError(
                f"a polynomial of degree {len(coefficients) - 1} needs {count_text(depth, 'level')}, got {a.level}"
            )
        if depth > 1:
            self._check_relinearisation(a.level)
        series = np.asarray(coefficients, dtype=np.float64)
        _check_scale(
            float(np.max(np.abs(series))) * output_scale,
            self._log2_modulus(a.level - depth),
            "the polynomial",
        )
        schedule = chebyshev_schedule(
            series.tolist(),
            level=a.level,
            input_scale=a.scale,
            output_scale=output_scale,
            modulus_chain=self.parameters.modulus_chain,
        )
        for level, scale in schedule.multiplications():
            _check_scale(scale, self._log2_modulus(level), "the product")
        values = np.asarray(chebyshev.chebval(a.values, series), dtype=np.float64)
        if self._noise:
            sources = polynomial_noise(
                self._noise,
                series.tolist(),
                a.values,
                level=a.level,
                input_scale=a.scale,
                output_scale=output_scale,
                modulus_chain=self.parameters.modulus_chain,
            )
            noise = np.asarray(np.sqrt(np.sum(sources**2, axis=0)) * output_scale)
            return self._result(values, a.level - depth, output_scale, noise)
        return self._result(values, a.level - depth, output_scale)

    def prepare_bootstrap(self, planned: PlannedBootstrap) -> PreparedBootstrap:
        if planned.bootstrap_set.parameters != self.parameters:
            raise ParameterError("this bootstrap was planned for other parameters than those of the engine")
        deviations, probabilities = noise_of_multiples(planned)
        return PreparedBootstrap(planned, deviations, probabilities)

    def bootstrap(
        self, prepared: PreparedBootstrap, a: CleartextCiphertext, bound: float | None = None
    ) -> CleartextCiphertext:
        planned = prepared.planned if bound is None else prepared.planned.within(bound)
        boot = planned.bootstrap_set
        if a.level != boot.input_level:
            raise LevelError(f"bootstrapping takes level {boot.input_level}, got {a.level}")
        _check_scales(a.scale, planned.input_scale)
        self._check_bootstrap(boot)
        values = planned.expected(a.values)
        if self._noise is not None:
            with self._lock:
                multiples = self._generator.choice(
                    len(prepared.deviations), values.shape, p=prepared.probabilities
                )
            # The deviations are in proportion to the bound.
            noise = prepared.deviations[multiples] * prepared.planned.output_scale
            return self._result(values, boot.output_level, planned.output_scale, noise)
        return self._result(values, boot.output_level, planned.output_scale)

    def _result(
        self, values: Array, level: int, scale: float, noise: Array | float = 0.0
    ) -> CleartextCiphertext:
        """Return `values` with noise of standard deviation noise / scale; InputError if a value is not finite."""
        if self._noise is not None and np.any(noise):
            with self._lock:
                drawn = self._generator.standard_normal(values.shape)
            values = np.asarray(values + drawn * (noise / scale), dtype=np.float64)
        if not np.all(np.isfinite(values)):
            check_room(self.parameters, values, level, scale)
        return CleartextCiphertext(values, level, scale)

    def _log2_modulus(self, level: int) -> float:
        return log2_modulus(self.parameters, level)

    def _check_rotation(self, steps: int, level: int, *families: KeyFamily) -> None:
        """Raise KeyMissingError unless there is a key of one of the families, of any if there are none."""
        p, levels = self.parameters, self._key_levels
        if levels is None:
            return
        names = [rotation_link(p, steps, f, 0) for f in families or (main_family(p), *p.key_families)]
        if max(levels.get(name, -1) for name in names) < level:
            which = f"rotation by {steps} (Galois element {names[0].element})"
            raise KeyMissingError(f"no key for {which} at level {level}")

    def _check_relinearisation(self, level: int) -> None:
        if self._key_levels is not None and (self._relinearisation is None or self._relinearisation < level):
            raise KeyMissingError(f"no relinearisation key at level {level}")

    def _check_bootstrap(self, boot: BootstrapSet) -> None:
        if self._key_levels is None:
            return
        for link, level in _key_levels(self.parameters, bootstrap_keys(boot)).items():
            if self._key_levels.get(link, -1) < level:
                raise KeyMissingError(f"no key for bootstrapping: {link}")


def _key_levels(parameters: ParameterSet, key_spec: EvaluationKeySpec) -> dict[KeyLink, int]:
    """Return the level of each key, by its name with a level of 0."""
    return {replace(link, level=0): link.level for link in all_links(parameters, key_spec)}


def _check_scales(a: float, b: float) -> None:
    if abs(a / b - 1.0) > SCALE_TOLERANCE:
        raise LevelError(f"scales 2^{math.log2(a):.6f} and 2^{math.log2(b):.6f} differ")


def _check_scale(scale: float, log2_modulus: float, what: str) -> None:
    """Raise LevelError for a scale (times the largest factor) at or above the whole modulus, which no engine takes."""
    if scale > 0 and math.log2(scale) >= log2_modulus:
        raise LevelError(
            f"{what} would have scale 2^{math.log2(scale):.6f}, the modulus of its level has {log2_modulus:.6f} bits; "
            "rescale first, or use smaller scales"
        )


def log2_modulus(parameters: ParameterSet, level: int) -> float:
    """Return the number of bits of the modulus of `level`."""
    return sum(math.log2(q) for q in parameters.modulus_chain[: level + 1])


def check_room(parameters: ParameterSet, values: Array, level: int, scale: float) -> None:
    """Raise InputError unless all `values` are finite and fit at `scale` below the modulus of `level`."""
    largest = float(np.max(np.abs(values), initial=0.0))
    room = log2_modulus(parameters, level) - 1
    if not math.isfinite(largest) or (largest > 0 and math.log2(largest) + math.log2(scale) > room):
        raise InputError(
            f"a value of size {largest:.3g} at scale 2^{math.log2(scale):.1f} does not fit below the modulus of "
            f"level {level} (2^{room + 1:.1f}): the input is far outside the calibration inputs"
        )
