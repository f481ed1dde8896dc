"""Transforms in pieces: to keep a memory limit, the pieces are encoded during each run, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.errors import PlanUseError
from hetorch.ir.he_operations import LinearTransform, Operation
from hetorch.plan import Plan
from hetorch.plan.memory import key_memory, predict_memory, working_memory
from hetorch.quantities import exact_size_text, size_text

Pieces = Mapping[int, tuple[tuple[int, ...], ...]]
"""For the position of a transform in the program, the result ciphertexts of each of its pieces. Transforms without an
entry stay encoded between runs."""


def pieces_within(plan: Plan, limit: int | None, backend: AnyBackend = NATIVE, threads: int = 1) -> Pieces:
    """Cut transforms into pieces so that the predicted memory of a run on `backend` stays within `limit` bytes.

    The smallest transforms stay encoded, so that most layers need no encoding during a run. Only one piece of the other
    transforms is in memory at a time. Encrypted weights cannot be cut: all of them are in memory.

    Returns:
        The pieces of the transforms that are cut; empty if there is no limit or if all weights fit.

    Raises:
        PlanUseError: the weights of the largest single result ciphertext, or all encrypted weights, do not fit; the
            message has all sizes.
    """
    if limit is None:
        return {}
    program, parameters, weights = plan.program, plan.parameters, plan.weights
    if program.encrypted_weights:
        memory = predict_memory(program, parameters, plan.key_spec, weights, threads)
        if memory.total > limit:
            raise PlanUseError(
                f"a run of {plan.name!r} needs {exact_size_text(memory.total)}, "
                f"{size_text(memory.weights)} of them for encrypted weights, which cannot be made piece by piece; the "
                f"memory limit is {exact_size_text(limit)}; raise memory_limit= or use a smaller model"
            )
        return {}
    sizes = {position: _encoded_bytes(plan, backend, op) for position, op in enumerate(program.operations)}
    fixed = key_memory(parameters, plan.key_spec) + working_memory(program, parameters, weights, threads)
    if backend.converted_key_bytes is not None:
        fixed += backend.converted_key_bytes(parameters, plan.key_spec)
    transforms = [p for p, op in enumerate(program.operations) if isinstance(op, LinearTransform)]
    fixed += sum(size for position, size in sizes.items() if position not in transforms)
    if fixed + sum(sizes[p] for p in transforms) <= limit:
        return {}
    single = {p: max(_output_sizes(plan, backend, p)) for p in transforms}
    needed = max(single.values(), default=0)
    if fixed + needed > limit:
        raise PlanUseError(
            f"a run of {plan.name!r} needs at least {exact_size_text(fixed + needed)}: keys and "
            f"ciphertexts {size_text(fixed)}, the weights of one result ciphertext {size_text(needed)}; the memory "
            f"limit is {exact_size_text(limit)}; raise memory_limit= or use a smaller model"
        )
    # From the smallest on, transforms are kept as long as the largest single result of the others fits beside them.
    kept = 0
    order = sorted(transforms, key=lambda p: (sizes[p], p))
    while order and fixed + kept + sizes[order[0]] + max((single[p] for p in order[1:]), default=0) <= limit:
        kept += sizes[order.pop(0)]
    return {p: _cut(_output_sizes(plan, backend, p), limit - fixed - kept) for p in order}


def _encoded_bytes(
    plan: Plan, backend: AnyBackend, op: Operation, outputs: NDArray[np.int64] | None = None
) -> int:
    """Return the bytes of the encoded weights of one operation, or of a transform's results `outputs` alone."""
    program, parameters, weights = plan.program, plan.parameters, plan.weights
    if backend.plaintext_bytes is None or not op.weight_names:
        if isinstance(op, LinearTransform):
            return op.weight_bytes(program, parameters, weights, outputs)
        return op.weight_bytes(program, parameters, weights)
    count = 1
    if isinstance(op, LinearTransform):
        results = weights[f"{op.weight}.outputs"]
        count = len(results) if outputs is None else int(np.isin(results, outputs).sum())
    return count * backend.plaintext_bytes(parameters, op.level(program))


def _output_sizes(plan: Plan, backend: AnyBackend, position: int) -> list[int]:
    """Return the bytes of the encoded weights of each result of one transform."""
    op = plan.program.operations[position]
    assert isinstance(op, LinearTransform)
    return [_encoded_bytes(plan, backend, op, np.array([output])) for output in range(len(op.results))]


def _cut(sizes: Sequence[int], room: int) -> tuple[tuple[int, ...], ...]:
    """Group consecutive results of one transform into pieces, each with as many results as fit into `room` bytes.

    `sizes`: the bytes of each result's encoded weights. A piece has at least one result.
    """
    pieces: list[tuple[int, ...]] = []
    begun: list[int] = []
    used = 0
    for output, size in enumerate(sizes):
        if begun and used + size > room:
            pieces.append(tuple(begun))
            begun, used = [], 0
        begun.append(output)
        used += size
    return (*pieces, tuple(begun))
