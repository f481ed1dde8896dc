"""The weights of a run within a memory limit: transforms keep coefficients, or are encoded in pieces in each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.errors import PlanUseError
from hetorch.ir.he_operations import Bootstrap, LinearTransform, Operation
from hetorch.ir.he_program import HeProgram
from hetorch.plan import Plan
from hetorch.plan.memory import key_memory, predict_memory, prepared_positions, working_memory
from hetorch.quantities import exact_size_text, size_text

Pieces = Mapping[int, tuple[tuple[int, ...], ...]]
"""The result ciphertexts of each piece of a transform, by the position of the transform in the program. Transforms
without an entry stay encoded between runs."""


@dataclass(frozen=True, slots=True)
class Storage:
    """The way in which a run holds its weights.

    `program`: that of the plan, in which more transforms may keep coefficients. `pieces`: the transforms that are
    encoded in each run, one piece after the other.
    """

    program: HeProgram
    pieces: Pieces


def storage_within(plan: Plan, limit: int | None, backend: AnyBackend = NATIVE, threads: int = 1) -> Storage:
    """Choose the storage with which the predicted memory of a run on `backend` stays within `limit` bytes.

    The largest transforms keep coefficients, as few of them as possible. If that is not enough, the largest are cut
    into pieces, and only one piece of them is in memory at a time. Encrypted weights cannot be cut: all of them are in
    memory.

    Returns:
        The storage; that of the plan if there is no limit or if all weights fit.

    Raises:
        PlanUseError: the plan bootstraps and the backend cannot; or the weights of the largest single result
            ciphertext, or all encrypted weights, do not fit, and the message has all sizes.
    """
    check_bootstraps(plan, backend)
    program, parameters, weights = plan.program, plan.parameters, plan.weights
    if limit is None:
        return Storage(program, {})
    if program.encrypted_weights:
        memory = predict_memory(program, parameters, plan.key_spec, weights, threads)
        if memory.total > limit:
            raise PlanUseError(
                f"a run of {plan.name!r} needs {exact_size_text(memory.total)}, "
                f"{size_text(memory.weights)} of them for encrypted weights, which cannot be made piece by piece; the "
                f"memory limit is {exact_size_text(limit)}; raise memory_limit= or use a smaller model"
            )
        return Storage(program, {})
    program = _with_coefficients(plan, limit, backend, threads)
    return Storage(program, _pieces(plan, program, limit, backend, threads))


def check_bootstraps(plan: Plan, backend: AnyBackend) -> None:
    """Raise PlanUseError if the plan bootstraps and the backend cannot."""
    if not backend.bootstraps and any(isinstance(op, Bootstrap) for op in plan.program.operations):
        raise PlanUseError(
            f"the plan {plan.name!r} bootstraps, which the engine {backend.name!r} cannot; "
            f'run it with engine="{NATIVE.name}"'
        )


def _with_coefficients(plan: Plan, limit: int, backend: AnyBackend, threads: int) -> HeProgram:
    """Return the program in which as few transforms as the limit needs keep coefficients; all if it needs more."""
    program = plan.program
    if backend.plaintext_bytes is not None:
        return program
    sizes = _encoded_sizes(plan, program, backend)
    order = sorted(
        (
            position
            for position, op in enumerate(program.operations)
            if isinstance(op, LinearTransform) and not op.coefficients
        ),
        key=lambda position: (-sizes[position], position),
    )
    for position in order:
        if _fixed_bytes(plan, program, backend, threads) + sum(sizes.values()) <= limit:
            break
        op = program.operations[position]
        assert isinstance(op, LinearTransform)
        changed = replace(op, coefficients=1)
        operations = (*program.operations[:position], changed, *program.operations[position + 1 :])
        program = replace(program, operations=operations)
        sizes[position] = _encoded_bytes(plan, backend, changed)
    return program


def _pieces(plan: Plan, program: HeProgram, limit: int, backend: AnyBackend, threads: int) -> Pieces:
    sizes = _encoded_sizes(plan, program, backend)
    transforms = [p for p, op in enumerate(program.operations) if isinstance(op, LinearTransform)]
    fixed = _fixed_bytes(plan, program, backend, threads)
    fixed += sum(size for position, size in sizes.items() if position not in transforms)
    if fixed + sum(sizes[p] for p in transforms) <= limit:
        return {}
    results = {p: _output_sizes(plan, backend, program.operations[p]) for p in transforms}
    single = {p: max(results[p]) for p in transforms}
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
    return {p: _cut(results[p], limit - fixed - kept) for p in order}


def _fixed_bytes(plan: Plan, program: HeProgram, backend: AnyBackend, threads: int) -> int:
    """Return the bytes of a run besides its weights."""
    fixed = key_memory(plan.parameters, plan.key_spec)
    fixed += working_memory(program, plan.parameters, plan.weights, threads)
    if backend.converted_key_bytes is not None:
        fixed += backend.converted_key_bytes(plan.parameters, plan.key_spec)
    return fixed


def _encoded_sizes(plan: Plan, program: HeProgram, backend: AnyBackend) -> dict[int, int]:
    """Return the bytes of the encoded weights of each operation, by position; shared ones count at the first."""
    own = set(prepared_positions(program))
    return {
        position: _encoded_bytes(plan, backend, op) if position in own else 0
        for position, op in enumerate(program.operations)
    }


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


def _output_sizes(plan: Plan, backend: AnyBackend, op: Operation) -> list[int]:
    """Return the bytes of the encoded weights of each result of one transform."""
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
