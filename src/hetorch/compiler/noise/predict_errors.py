"""Pass: predict the error that encryption adds to the output, to first order, before anything is encrypted.

*Assumes* levels and scales that agree with the operations, and the lowered form of every affine map.
*Ensures* bounds that errors exceed less often than noise_tail_bounds.EXCEEDED in each output.

Every operation adds noise of known standard deviation (hetorch.engine.noise) to its result, and the gradients of the
outputs (hetorch.compiler.noise.sensitivity) give the part of it that reaches the outputs. Noise in different slots and
operations is independent, and terms of second order are below the square of the result. From the largest terms of a sum
follows a bound of the sum (hetorch.compiler.noise.noise_tail_bounds).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hetorch.compiler.noise.noise_tail_bounds import Noise, bound
from hetorch.compiler.noise.sensitivity import Sensitivity
from hetorch.compiler.packing.lower import MapOutline
from hetorch.engine.noise import NoiseModel
from hetorch.engine.polynomial_noise import polynomial_noise
from hetorch.ir.tensor_program import Add, Affine, Bootstrap, Chebyshev, Multiply, TensorProgram


def predict_errors(
    program: TensorProgram,
    lowered: Mapping[int, MapOutline],
    levels: Sequence[int],
    scales: Sequence[float],
    model: NoiseModel,
    sensitivity: Sensitivity,
    prime_bits: float,
    *,
    encrypted: bool = False,
    least: bool = False,
    modulus_chain: Sequence[int] | None = None,
    bootstrap_noise: float = 0.0,
) -> tuple[tuple[float, ...], float]:
    """Predict the encryption errors, in units of the outputs.

    Args:
        program: the network, without activations.
        lowered: the outlines of its affine maps, by index of operation.
        levels: one per value.
        scales: one per value.
        model: the noise of the single operations.
        sensitivity: the sensitivity of the outputs, measured on `program`.
        prime_bits: primes are taken as 2^prime_bits where no chain is given.
        encrypted: True if diagonals and biases are ciphertexts under a public key. Inputs are then rotated one by one,
            and the sum of each giant step is relinearised.
        least: True for a lower bound of the prediction, which takes all sums as sums over many slots.
        modulus_chain: the primes. Polynomials square the distance between a prime and the scale, and the primes of
            bootstraps have other sizes.
        bootstrap_noise: the standard deviation that a bootstrap adds to the worst slots, relative to its bound.

    Returns:
        For each value, a bound of the error that its own noise adds to the worst output; and a bound of the sum of all.
    """
    rules = OwnNoise(
        *(program, lowered, levels, scales, model, sensitivity, prime_bits),
        *(encrypted, modulus_chain, bootstrap_noise),
    )
    noises = _noises(rules, least)
    return tuple(bound(share) for share in noises), bound([noise for share in noises for noise in share])


def predict_error(
    program: TensorProgram,
    lowered: Mapping[int, MapOutline],
    levels: Sequence[int],
    scales: Sequence[float],
    model: NoiseModel,
    sensitivity: Sensitivity,
    prime_bits: float,
    *,
    encrypted: bool = False,
    least: bool = False,
) -> float:
    """Return the second result of predict_errors alone, without the bounds of single values, which take longest."""
    rules = OwnNoise(program, lowered, levels, scales, model, sensitivity, prime_bits, encrypted)
    return bound([noise for share in _noises(rules, least) for noise in share])


def _noises(rules: OwnNoise, least: bool) -> list[list[Noise]]:
    """Return, for each value, the noise that its operation adds, in units of the outputs."""
    program, sensitivity = rules.program, rules.sensitivity
    together = [0.0] * program.value_count if least else _elements_a_slot(program, rules.lowered)
    noises: list[list[Noise]] = []
    for value in range(program.value_count):
        own, switched = rules.of(value)
        noises.append(
            [
                _scaled(sensitivity.plain[value], own / rules.scales[value] ** 2, together[value]),
                _scaled(sensitivity.weighted[value], switched, together[value]),
            ]
        )
    return noises


@dataclass(frozen=True, slots=True, eq=False)
class OwnNoise:
    """The noise that each operation adds; the fields are the arguments of predict_errors."""

    program: TensorProgram
    lowered: Mapping[int, MapOutline]
    levels: Sequence[int]
    scales: Sequence[float]
    model: NoiseModel
    sensitivity: Sensitivity
    prime_bits: float
    encrypted: bool = False
    modulus_chain: Sequence[int] | None = None
    bootstrap_noise: float = 0.0

    def of(self, value: int) -> tuple[float, float]:
        """Return the variances of the noise that the operation of `value` adds.

        The first is that of an element of the result, in units of 1 / scale. The second is that of the rotated inputs
        of a map before its weights multiply them, in units of the input's numbers.
        """
        if value == 0:
            return self.model.fresh() ** 2, 0.0
        op = self.program.operations[value - 1]
        match op:
            case Affine():
                return self._affine(value, op)
            case Multiply():
                level = self.levels[value] + 1
                switch = self.model.key_switch(level) / self._prime(level)
                return self.model.rounding() ** 2 + switch**2, 0.0
            case Chebyshev():
                return self._polynomial(value, op), 0.0
            case Bootstrap():
                return (self.bootstrap_noise * op.bound * self.scales[value]) ** 2, 0.0
            case _:
                return 0.0, 0.0

    def _prime(self, level: int) -> float:
        return 2.0**self.prime_bits if self.modulus_chain is None else float(self.modulus_chain[level])

    def _affine(self, value: int, op: Affine) -> tuple[float, float]:
        model, level, encrypted = self.model, self.levels[value], self.encrypted
        before, prime = self.scales[op.input], self._prime(level + 1)
        parts = self.lowered[value - 1]
        slots, giants = parts.summed_slots, parts.max_giants_per_output
        message = model.public() if encrypted else model.encoding()
        # Without a rotated input there is no key switch before the products.
        turned = model.key_switch(level + 1) if encrypted else model.switched(level + 1)
        switched = (turned / before) ** 2 if parts.babies else 0.0
        if parts.spreads:
            # Each sum adds the noise of as many slots again, and that of its rotation.
            others = (1 << len(parts.spreads)) - 1
            switched += others * (self.of(op.input)[0] + model.key_switch(level + 1) ** 2) / before**2
        divisions = 2 * giants + 1 if encrypted else giants
        divided = divisions * (model.key_switch(level + 1) / prime) ** 2
        own = slots * (model.rounding() ** 2 + divided) + message**2
        own += (slots - 1) * model.key_switch(level) ** 2
        rounded = (message * before / prime) ** 2
        own += rounded * parts.max_diagonals_per_output * slots * self.sensitivity.power[op.input]
        return own, switched

    def _polynomial(self, value: int, op: Chebyshev) -> float:
        level, scale = self.levels[value] + op.depth, self.scales[value]
        sources = polynomial_noise(
            self.model,
            op.coefficients,
            self.sensitivity.points[op.input],
            level=level,
            input_scale=self.scales[op.input],
            output_scale=scale,
            modulus_chain=self.modulus_chain or [2.0**self.prime_bits] * (level + 1),
        )
        return float(np.mean(np.sum(sources**2, axis=0))) * scale**2


def _scaled(noise: Noise, factor: float, together: float) -> Noise:
    """Return `noise` times `factor`, where the terms of `together` elements share a slot."""
    variance = noise.variance * factor
    if math.isinf(together):
        return Noise(variance, variance)
    return Noise(variance, np.minimum(variance, noise.largest * (factor * together)))


def _elements_a_slot(program: TensorProgram, lowered: Mapping[int, MapOutline]) -> list[float]:
    """Return, for each value, the number of its elements that may share a slot when they meet in a sum.

    It is infinite (all elements) if no later map rotates: the key's value in one slot then multiplies the noise of all.
    """
    parts = [1] * program.value_count
    for value in range(1, program.value_count):
        match program.operations[value - 1]:
            case Affine() as op:
                parts[op.input] = max(parts[op.input], lowered[value - 1].transform.input_count)
                parts[value] = lowered[value - 1].transform.output_count
            case Add(a=a, b=b) | Multiply(a=a, b=b):
                parts[value] = max(parts[a], parts[b])
            case Chebyshev(input=source) | Bootstrap(input=source):
                parts[value] = parts[source]
    rotating = [
        index for index, maps in lowered.items() if maps.babies or maps.giants or maps.folds or maps.spreads
    ]
    last = max(rotating, default=-1)
    return [float(parts[value]) if value <= last else math.inf for value in range(program.value_count)]
