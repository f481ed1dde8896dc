"""The predicted seconds of a program: the cost model, summed over the operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hetorch.compiler.costs.machine import Machine
from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.lower import MapOutline
from hetorch.ir.tensor_program import Affine, Bootstrap, Chebyshev, Multiply, TensorProgram
from hetorch.params import ParameterSet
from hetorch.params.map_family import map_family


def cost_model(parameters: ParameterSet, machine: Machine, encrypted: bool = False) -> CostModel:
    """Return the cost model for chosen parameters; `encrypted` is True if the weights are ciphertexts."""
    special = len(parameters.special_primes)
    levels = range(parameters.max_level + 1) if parameters.key_families and not encrypted else ()
    return CostModel(
        parameters.digit_size,
        special,
        parameters.ring_degree,
        machine,
        encrypted=encrypted,
        map_families=tuple(map_family(parameters, level) for level in levels),
    )


def layer_costs(
    program: TensorProgram,
    lowered: Mapping[int, MapOutline],
    levels: Sequence[int],
    parts: Sequence[int],
    model: CostModel,
    bootstrap_seconds: float = 0.0,
) -> list[float]:
    """Return the predicted seconds of each operation.

    Args:
        program: the network, without activations.
        lowered: its affine maps, by index of operation.
        levels: one per value.
        parts: the number of ciphertexts of each value.
        model: predicts times.
        bootstrap_seconds: the time of a bootstrap of one ciphertext.
    """
    costs = []
    for index, op in enumerate(program.operations):
        level, count = levels[index + 1], parts[index + 1]
        match op:
            case Affine():
                maps = lowered[index]
                cost = model.transform(
                    level + 1,
                    maps.products,
                    maps.babies,
                    maps.giants,
                    len(maps.folds),
                    parts[op.input],
                    count,
                    maps.transform.slot_count == 1,
                    parts[op.input] if maps.transform.pair else 0,
                    len(maps.spreads),
                )
                cost += model.add(level) * count if np.any(op.bias) else 0.0
            case Multiply():
                cost = count * model.multiply(level + 1)
            case Chebyshev():
                cost = count * model.polynomial(level + op.depth, op.coefficients)
            case Bootstrap():
                cost = count * bootstrap_seconds
            case _:
                cost = count * model.add(level)
        costs.append(cost)
    return costs
