"""Pass: write masks into a program, before the polynomials whose inputs may then lie in runs.

*Assumes* a program without activations.
*Ensures* a program that computes the same: a mask is an identity map, which sets the unused slots of its input to zero
(hetorch.compiler.packing.runs). It takes a level, so only a polynomial that leaves one between two bootstraps has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.tensor_program import MASK, Add, Affine, Chebyshev, TensorOp, TensorProgram
from hetorch.params.bootstrap_set import MESSAGE_RATIO

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MaskedProgram:
    """A program with masks.

    `sources`: by value, the value before the pass that it stands for. `made` and `masks`: the number of each value
    before the pass, and of its mask.
    """

    program: TensorProgram
    sources: tuple[int, ...]
    made: dict[int, int]
    masks: dict[int, int]


def with_masks(program: TensorProgram, values: Sequence[int]) -> MaskedProgram:
    """Return the program in which polynomials read `values` through a mask."""
    operations: list[TensorOp] = []
    sources, made, masks = [0], {0: 0}, dict[int, int]()
    for index, op in enumerate(program.operations):
        value = index + 1
        operations.append(op.renumbered({**made, **masks} if isinstance(op, Chebyshev) else made))
        sources.append(value)
        made[value] = len(operations)
        if value in values:
            size = program.size(value)
            identity, zero = sparse.csr_array(sparse.identity(size, format="csr")), np.zeros(size)
            operations.append(Affine(made[value], identity, zero, op.shape, f"{op.name}.mask", MASK))
            sources.append(value)
            masks[value] = len(operations)
    result = TensorProgram(program.input_shape, tuple(operations), made[program.output], program.output_shape)
    return MaskedProgram(result, tuple(sources), made, masks)


def maskable_values(
    program: TensorProgram, slots: int, user_levels: int, sizes: Sequence[float] | None
) -> list[int]:
    """Return the values that only polynomials read and that may have masks.

    Each is at most half as large as `slots`, so that it has replicas, and a map and a mask fit beside the polynomials
    into the levels between two bootstraps.

    Args:
        program: the network, without activations.
        slots: the number of slots of a bootstrap.
        user_levels: the levels between two bootstraps.
        sizes: the largest absolute value of each value in calibration; None if they are not known.
    """
    readers: dict[int, list[TensorOp]] = {}
    for op in program.operations:
        for value in op.reads:
            readers.setdefault(value, []).append(op)
    return [
        value
        for value in range(1, program.value_count)
        if value != program.output
        and 2 * program.size(value) <= slots
        and all(
            isinstance(op, Chebyshev) and op.depth + 2 <= user_levels for op in readers.get(value, [None])
        )
        and (sizes is None or largest_mixture(program, value, sizes) <= MESSAGE_RATIO)
    ]


def unused_slots(program: TensorProgram) -> list[float]:
    """Return the number in the unused slots of each value, where these are not mixed.

    Maps leave zero there; element-wise operations make numbers of it, the same one for all such slots.
    """
    numbers: list[Array] = [np.zeros((1, 1))]
    for op in program.operations:
        numbers.append(np.zeros((1, 1)) if isinstance(op, Affine) else op.evaluate(numbers))
    return [float(number[0, 0]) for number in numbers]


def largest_mixture(program: TensorProgram, value: int, sizes: Sequence[float]) -> float:
    """Return a bound of the unused slots of a value that lies in runs: the sums of its rows' products.

    A bootstrap takes slots modulo MESSAGE_RATIO times its bound. Up to there, the mixtures change no other slot; the
    bound is 1 for values that polynomials read.
    """
    op = program.operations[value - 1]
    if isinstance(op, Add):
        return largest_mixture(program, op.a, sizes) + largest_mixture(program, op.b, sizes)
    if not isinstance(op, Affine):
        return np.inf
    # A mixture has the last products of one row and the first ones of the next.
    rows = np.asarray(abs(op.matrix).sum(axis=1)).reshape(-1)
    return 2 * float(np.max(rows, initial=0.0)) * sizes[op.input]
