"""Encrypted weights: the form in which an engine uses them, and the place of each ciphertext in a plan."""

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
    """The place of one ciphertext of the weights, which has exactly this `level` and `scale`.

    It is diagonal number `diagonal` of the map `weight` or, if `diagonal` is None, the bias `weight`.
    """

    weight: str
    diagonal: int | None
    level: int
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class EncryptedWeights(Generic[C]):
    """The weights of a plan as ciphertexts, by the name of the weight.

    `diagonals` holds one ciphertext for each diagonal of a map, at the level of the map's input and the scale
    output_scale * q_level / input_scale, rotated right by its giant step. `biases` are at the level and scale of the
    value that they are added to.
    """

    diagonals: Mapping[str, tuple[C, ...]]
    biases: Mapping[str, C]

    @classmethod
    def at(cls, places: Iterable[WeightPlace], ciphertexts: Iterable[C]) -> EncryptedWeights[C]:
        """Return the weights whose ciphertexts, in the order of `places`, are `ciphertexts`.

        Raises:
            ValueError: there are more ciphertexts than places, or fewer.
        """
        diagonals: dict[str, list[C]] = {}
        biases: dict[str, C] = {}
        for place, ciphertext in zip(places, ciphertexts, strict=True):
            if place.diagonal is None:
                biases[place.weight] = ciphertext
            else:
                diagonals.setdefault(place.weight, []).append(ciphertext)
        return cls({name: tuple(of_map) for name, of_map in diagonals.items()}, biases)


def weight_places(
    program: HeProgram, parameters: ParameterSet, weights: Mapping[str, NDArray[np.generic]]
) -> tuple[WeightPlace, ...]:
    """Return the place of every diagonal and every bias, in the order of the operations.

    The places are the same for a plan with and without its weights, because only the number of weights is read. The
    scale of a diagonal is chosen so that its product with the input, rescaled, has the planned scale.
    """
    places: list[WeightPlace] = []
    for op in program.operations:
        if isinstance(op, LinearTransform):
            source, result = program.values[op.inputs[0]], program.values[op.results[0]]
            scale = result.scale * parameters.modulus_chain[source.level] / source.scale
            count = len(weights[f"{op.weight}.values"])
            places += [WeightPlace(op.weight, index, source.level, scale) for index in range(count)]
        elif isinstance(op, AddBias):
            value = program.values[op.input]
            places.append(WeightPlace(op.weight, None, value.level, value.scale))
    return tuple(places)
