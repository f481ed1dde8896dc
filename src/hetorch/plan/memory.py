"""How much memory a run takes, from the plan alone: keys, encoded weights, ciphertexts and what operations need.

The formulas count what the native engine holds: 8 bytes a residue, N * 8 bytes for each ring element and prime, but in
keys the bits of the prime.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.ir.he_program import (
    Add,
    AddBias,
    HeProgram,
    LinearTransform,
    Multiply,
    Operation,
    Polynomial,
    RotateAdd,
    operands,
    results,
)
from hetorch.params import ParameterSet

WORD = 8
PADDING = 64
"""Bytes behind the words of a key, so that a register of 64 can be loaded from any of them."""
Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class MemoryPrediction:
    """Bytes: `keys` ready for use, all `weights` encoded, and `working`, the most that ciphertexts and the steps inside
    operations take at once."""

    keys: int
    weights: int
    working: int

    @property
    def total(self) -> int:
        """The peak of one run."""
        return self.keys + self.weights + self.working


def predict_memory(
    program: HeProgram,
    parameters: ParameterSet,
    key_spec: EvaluationKeySpec,
    weights: Weights,
    threads: int = 1,
) -> MemoryPrediction:
    """For one run with `threads` threads."""
    return MemoryPrediction(
        key_memory(parameters, key_spec),
        sum(weight_memory(program, parameters, weights, op) for op in program.operations),
        working_memory(program, parameters, weights, threads),
    )


def key_memory(parameters: ParameterSet, key_spec: EvaluationKeySpec) -> int:
    """Bytes of both halves of every digit of every key, over Q_level P: the core packs primes below 2^50 to their bits.

    N * bits / 8 a residue polynomial, and at most 64 bytes a key of padding.
    """
    levels = [level for _, level in key_spec.galois]
    if key_spec.relinearisation_level is not None:
        levels.append(key_spec.relinearisation_level)
    total = 0
    for level in levels:
        primes = (*parameters.modulus_chain[: level + 1], *parameters.special_primes)
        total += 2 * parameters.digit_count(level) * sum(_packed_bits(prime) for prime in primes)
    return total * parameters.ring_degree // 8 + PADDING * len(levels)


def _packed_bits(prime: int) -> int:
    """Of a residue in a key: wider primes are worked on by paths that read whole words."""
    return prime.bit_length() if prime.bit_length() <= 50 else 8 * WORD


def weight_memory(
    program: HeProgram,
    parameters: ParameterSet,
    weights: Weights,
    op: Operation,
    outputs: NDArray[np.int64] | None = None,
) -> int:
    """The encoded weights of one operation; of a transform only those of the ciphertexts `outputs` if given."""
    ring = parameters.ring_degree
    parts = 2 if program.encrypted_weights else 1
    if isinstance(op, AddBias):
        return parts * (program.values[op.input].level + 1) * ring * WORD
    if not isinstance(op, LinearTransform):
        return 0
    level = program.values[op.inputs[0]].level
    here = weights[f"{op.weight}.outputs"]
    count = len(here) if outputs is None else int(np.isin(here, outputs).sum())
    if program.encrypted_weights:
        return 2 * count * (level + 1) * ring * WORD
    period = weights[f"{op.weight}.values"].shape[1]
    if not _rotates(weights, op) and period == 1:
        return count * (4 + WORD * (level + 1))
    words = min(ring, 2 * (1 if period == 1 else period * program.batch))
    return count * _rows(parameters, weights, op, level) * words * WORD


def working_memory(program: HeProgram, parameters: ParameterSet, weights: Weights, threads: int) -> int:
    """The most that the ciphertexts alive and one operation need together. The inputs are the caller's: they stay."""
    element = parameters.ring_degree * WORD
    size = [2 * (value.level + 1) * element for value in program.values]
    last: dict[int, int] = {}
    for position, op in enumerate(program.operations):
        for number in (*operands(op), *results(op)):
            last[number] = position
    for number in (*program.inputs, *program.outputs):
        last[number] = len(program.operations)
    alive = set(program.inputs)
    most = 0
    for position, op in enumerate(program.operations):
        alive.update(results(op))
        held = sum(size[number] for number in alive)
        most = max(most, held + _inside(program, parameters, weights, op, threads) * element)
        alive = {number for number in alive if last[number] > position}
    return most


def _inside(
    program: HeProgram, parameters: ParameterSet, weights: Weights, op: Operation, threads: int
) -> int:
    """Ring elements modulo one prime that an operation holds besides its operands and results."""
    level = program.values[operands(op)[0]].level
    extended = level + 1 + len(parameters.special_primes)
    switch = (parameters.digit_count(level) + 2) * extended
    match op:
        case LinearTransform() if program.encrypted_weights:
            rotated = np.unique(
                np.stack([weights[f"{op.weight}.{key}"] for key in ("inputs", "babies")]), axis=1
            )
            return (2 * int(rotated.shape[1]) + 8) * (level + 1) + switch
        case LinearTransform():
            return _inside_transform(parameters, weights, op, level, threads)
        case Multiply():
            return 3 * (level + 1) + switch
        case RotateAdd():
            return 2 * (level + 1) + switch
        case Polynomial():
            # The powers that Paterson-Stockmeyer keeps, and a product on its way.
            degree = len(op.coefficients) - 1
            kept = 2 * math.isqrt(degree) + degree.bit_length()
            return 2 * kept * (level + 1) + 3 * (level + 1) + switch
        case Add():
            return 0
        case _:
            return level + 1


def _inside_transform(
    parameters: ParameterSet, weights: Weights, op: LinearTransform, level: int, threads: int
) -> int:
    outputs, inputs = (weights[f"{op.weight}.{key}"].astype(np.int64) for key in ("outputs", "inputs"))
    giants, babies = (weights[f"{op.weight}.{key}"].astype(np.int64) for key in ("giants", "babies"))
    rows = _rows(parameters, weights, op, level)
    if not _rotates(weights, op) and weights[f"{op.weight}.values"].shape[1] == 1:
        # Each sum gives way to its result, which has a row less in either half.
        return 2 * len(op.results)
    groups = len(np.unique(np.stack([outputs, giants]), axis=1)[0])
    rotated = len(np.unique(np.stack([inputs, babies]), axis=1)[0])
    digits = parameters.digit_count(level) * rows
    hoisted = len(np.unique(inputs[babies != 0])) * digits
    without = len(op.results) - len(np.unique(outputs[giants == 0]))
    first = hoisted + min(threads, rows) * (2 * rotated + 2)
    second = 2 * rows * without + (digits + level + 1 if np.any(giants) else 0)
    return 2 * rows * groups + max(first, second)


def _rotates(weights: Weights, op: LinearTransform) -> bool:
    return bool(np.any(weights[f"{op.weight}.giants"]) or np.any(weights[f"{op.weight}.babies"]))


def _rows(parameters: ParameterSet, weights: Weights, op: LinearTransform, level: int) -> int:
    return level + 1 + (len(parameters.special_primes) if _rotates(weights, op) else 0)
