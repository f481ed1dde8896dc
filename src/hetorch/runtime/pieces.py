"""Which transforms are encoded anew in each run, and in which pieces, so that a memory limit holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hetorch.errors import PlanError
from hetorch.ir.he_operations import LinearTransform
from hetorch.plan import Plan
from hetorch.plan.memory import key_memory, predict_memory, working_memory

Pieces = Mapping[int, tuple[tuple[int, ...], ...]]
"""For the position of a transform in the program: the ciphertexts of its result, piece by piece."""


def pieces_within(plan: Plan, limit: int | None, threads: int = 1) -> Pieces:
    """Nothing if all weights fit. The smallest transforms are kept, so that most layers need no encoding; of the others
    one piece at a time is there. PlanError, with all numbers, if the largest piece still does not fit. Encrypted
    weights are all there in any case."""
    if limit is None:
        return {}
    program, parameters, weights = plan.program, plan.parameters, plan.weights
    if program.encrypted_weights:
        memory = predict_memory(program, parameters, plan.key_spec, weights, threads)
        if memory.total > limit:
            raise PlanError(
                f"a run of {plan.name!r} needs {memory.total} bytes ({memory.weights} of them encrypted weights, which "
                f"cannot be made piece by piece), the memory limit is {limit}; raise the limit or use a smaller model"
            )
        return {}
    sizes = {
        position: op.weight_bytes(program, parameters, weights)
        for position, op in enumerate(program.operations)
    }
    fixed = key_memory(parameters, plan.key_spec) + working_memory(program, parameters, weights, threads)
    transforms = [p for p, op in enumerate(program.operations) if isinstance(op, LinearTransform)]
    fixed += sum(size for position, size in sizes.items() if position not in transforms)
    if fixed + sum(sizes[p] for p in transforms) <= limit:
        return {}
    single = {p: _largest_output(plan, p) for p in transforms}
    needed = max(single.values(), default=0)
    if fixed + needed > limit:
        raise PlanError(
            f"a run of {plan.name!r} needs at least {fixed + needed} bytes (keys and ciphertexts {fixed}, the weights "
            f"of one result ciphertext {needed}), the memory limit is {limit}; raise the limit or use a smaller model"
        )
    # Kept: from the smallest, as long as the largest piece of the others fits beside them.
    kept = 0
    order = sorted(transforms, key=lambda p: (sizes[p], p))
    while order and fixed + kept + sizes[order[0]] + max((single[p] for p in order[1:]), default=0) <= limit:
        kept += sizes[order.pop(0)]
    return {p: _cut(plan, p, limit - fixed - kept) for p in order}


def _output_sizes(plan: Plan, position: int) -> list[int]:
    op = plan.program.operations[position]
    assert isinstance(op, LinearTransform)
    return [
        op.weight_bytes(plan.program, plan.parameters, plan.weights, np.array([output]))
        for output in range(len(op.results))
    ]


def _largest_output(plan: Plan, position: int) -> int:
    return max(_output_sizes(plan, position))


def _cut(plan: Plan, position: int, room: int) -> tuple[tuple[int, ...], ...]:
    """Consecutive outputs, as many in a piece as fit."""
    pieces: list[tuple[int, ...]] = []
    begun: list[int] = []
    used = 0
    for output, size in enumerate(_output_sizes(plan, position)):
        if begun and used + size > room:
            pieces.append(tuple(begun))
            begun, used = [], 0
        begun.append(output)
        used += size
    return (*pieces, tuple(begun))
