"""Weights as ciphertexts: what they are on an engine, and where each of them belongs in a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.protocol import C
from hetorch.ir.he_operations import AddBias, LinearTransform
from hetorch.ir.he_program import HeProgram
from hetorch.params import ParameterSet


@dataclass(frozen=True, slots=True)
class WeightPlace:
    """One ciphertext of the weights: diagonal number `diagonal` of the map `weight`, or the bias `weight` if None; at
    `level` and `scale`, exactly."""

    weight: str
    diagonal: int | None
    level: int
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class EncryptedWeights(Generic[C]):
    """By the name of the weight: `diagonals`, one ciphertext a diagonal, at the level of the map's input and the scale
    output_scale * q_level / input_scale, rotated right by its giant step; `biases` at the level and scale of the value
    that they are added to."""

    diagonals: Mapping[str, tuple[C, ...]]
    biases: Mapping[str, C]

    @classmethod
    def at(cls, places: Iterable[WeightPlace], ciphertexts: Iterable[C]) -> EncryptedWeights[C]:
        """As many ciphertexts as places, in their order (ValueError if not)."""
        diagonals: dict[str, list[C]] = {}
        biases: dict[str, C] = {}
        for place, ciphertext in zip(places, ciphertexts, strict=True):
            if place.diagonal is None:
                biases[place.weight] = ciphertext
            else:
                diagonals.setdefault(place.weight, []).append(ciphertext)
        return cls({name: tuple(found) for name, found in diagonals.items()}, biases)


def weight_places(
    program: HeProgram, parameters: ParameterSet, weights: Mapping[str, NDArray[np.generic]]
) -> tuple[WeightPlace, ...]:
    """Of every diagonal and every bias, in the order of the operations: the same for a plan with and without its
    weights, because only their number and not their values is looked at.

    A diagonal has the scale with which the product, rescaled, has the planned one.
    """
    places: list[WeightPlace] = []
    for op in program.operations:
        if isinstance(op, LinearTransform):
            source, made = program.values[op.inputs[0]], program.values[op.results[0]]
            scale = made.scale * parameters.modulus_chain[source.level] / source.scale
            count = len(weights[f"{op.weight}.values"])
            places += [WeightPlace(op.weight, index, source.level, scale) for index in range(count)]
        elif isinstance(op, AddBias):
            value = program.values[op.input]
            places.append(WeightPlace(op.weight, None, value.level, value.scale))
    return tuple(places)
