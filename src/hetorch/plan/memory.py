"""The memory of a run, predicted from the plan alone: keys, encoded weights, ciphertexts and intermediate results.

The formulas describe the native engine: a residue takes 8 bytes, so a ring element takes N * 8 bytes per prime. In keys
a residue takes as many bits as its prime. Each operation knows its own weights and working memory
(hetorch.ir.he_operations).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec, KeyLink, all_links, key_primes
from hetorch.ir.he_operations.operation import WORD_BYTES
from hetorch.ir.he_program import HeProgram
from hetorch.params import ParameterSet

PADDING = 64
"""Bytes after the words of a key, so that a vector register of 64 bytes can be loaded from any of them."""
PACKED_BITS = 50
"""Largest size in bits of a prime whose residues are packed in keys. Kernels for larger primes read whole words."""
Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class MemoryPrediction:
    """The memory of a run in bytes.

    `keys`: the evaluation keys, ready for use. `weights`: all encoded weights. `working`: the peak of ciphertexts and
    intermediate results of an operation together.
    """

    keys: int
    weights: int
    working: int

    @property
    def total(self) -> int:
        """The peak of one run in bytes."""
        return self.keys + self.weights + self.working


def predict_memory(
    program: HeProgram,
    parameters: ParameterSet,
    key_spec: EvaluationKeySpec,
    weights: Weights,
    threads: int = 1,
) -> MemoryPrediction:
    """Predict the memory of one run with `threads` threads."""
    return MemoryPrediction(
        key_memory(parameters, key_spec),
        sum(
            program.operations[position].weight_bytes(program, parameters, weights)
            for position in prepared_positions(program)
        ),
        working_memory(program, parameters, weights, threads),
    )


def prepared_positions(program: HeProgram) -> tuple[int, ...]:
    """Return the positions of the operations, but of those that share what they prepare only the first."""
    seen: set[object] = set()
    positions = []
    for position, op in enumerate(program.operations):
        name = op.shared_preparation(program)
        if name is None or name not in seen:
            positions.append(position)
        seen.add(name)
    return tuple(positions)


def key_memory(parameters: ParameterSet, key_spec: EvaluationKeySpec) -> int:
    """Return the bytes of all keys of `key_spec`."""
    return sum(link_memory(parameters, link) for link in all_links(parameters, key_spec))


def link_memory(parameters: ParameterSet, link: KeyLink) -> int:
    """Return the bytes of both halves of every digit of a key, over Q_level and the special primes of its family.

    A residue polynomial takes N * bits / 8 bytes, and the key PADDING bytes more.
    """
    bits = sum(map(_packed_bits, key_primes(parameters, link)))
    return 2 * link.family.digit_count(link.level) * bits * parameters.ring_degree // 8 + PADDING


def _packed_bits(prime: int) -> int:
    """Return the number of bits of a residue in a key."""
    return prime.bit_length() if prime.bit_length() <= PACKED_BITS else 8 * WORD_BYTES


def working_memory(program: HeProgram, parameters: ParameterSet, weights: Weights, threads: int) -> int:
    """Return the peak, in bytes, of live ciphertexts and the intermediate results of one operation together."""
    return max(operation_memory(program, parameters, weights, threads), default=0)


def operation_memory(
    program: HeProgram, parameters: ParameterSet, weights: Weights, threads: int
) -> list[int]:
    """Return the bytes of live ciphertexts and intermediate results during each operation.

    The inputs belong to the caller, so they are live until the end.
    """
    element = parameters.ring_degree * WORD_BYTES
    size = [2 * (value.level + 1) * element for value in program.values]
    last: dict[int, int] = {}
    for position, op in enumerate(program.operations):
        for number in (*op.reads, *op.makes):
            last[number] = position
    for number in (*program.inputs, *program.outputs):
        last[number] = len(program.operations)
    alive = set(program.inputs)
    held: list[int] = []
    for position, op in enumerate(program.operations):
        alive.update(op.makes)
        working = op.working_rows(program, parameters, weights, threads) * element
        held.append(sum(size[number] for number in alive) + working)
        alive = {number for number in alive if last[number] > position}
    return held
