"""A plan on an engine: weights encoded once, operations in order, values freed when nobody reads them any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic

import numpy as np

from hetorch.engine.protocol import C, Engine, P, T
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import InputError, PlanError
from hetorch.ir.he_program import (
    Add,
    AddBias,
    DropLevel,
    LinearTransform,
    Multiply,
    Operation,
    Polynomial,
    Rescale,
    RotateAdd,
    operands,
    results,
)
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.runtime.encrypted import multiply_encrypted
from hetorch.runtime.pieces import Pieces, pieces_within

Trace = Callable[[Operation, int, float, float], None]
"""Called after each operation: the operation, level and scale of its result, seconds."""


class Runner(Generic[C, P, T]):
    """`plan` on `engine`, whose parameters must be the plan's (PlanError if not).

    prepare() encodes the weights; run() may be called from many threads at once, and prepares on its first call if that
    was not done. Encoded weights are shared by all calls, and by Runners made with `share`.

    `memory_limit` (bytes) bounds the predicted memory of one run, keys included: transforms that do not fit are encoded
    during each run, a few ciphertexts of the result at a time, and forgotten. PlanError if even that is too much.

    `encrypted_weights` belong to a plan that says so, and to nothing else: PlanError.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine[C, P, T],
        *,
        share: Runner[C, P, T] | None = None,
        memory_limit: int | None = None,
        encrypted_weights: EncryptedWeights[C] | None = None,
    ) -> None:
        if engine.parameters != plan.parameters:
            raise PlanError("the engine has other parameters than the plan")
        self.plan = plan
        self.engine = engine
        if plan.program.encrypted_weights != (encrypted_weights is not None):
            wants = "encrypted weights" if encrypted_weights is None else "its own weights, in clear"
            raise PlanError(f"the plan {plan.name!r} runs with {wants}")
        self._encrypted = encrypted_weights
        self._lock = threading.Lock()
        self._transforms: dict[int, T] = {}
        self._biases: dict[int, P] = {}
        self._ready = False
        self._pieces: Pieces = share._pieces if share is not None else pieces_within(plan, memory_limit)
        if share is not None:
            if share.plan is not plan:
                raise PlanError("weights can only be shared between runners of one plan")
            share.prepare()
            self._transforms, self._biases, self._ready = share._transforms, share._biases, True
        self._dying = _last_readers(plan)

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Encode all weights that are kept, once; `progress` gets the fraction done."""
        with self._lock:
            if self._ready or self._encrypted is not None:
                return
            program = self.plan.program
            count = max(len(program.operations), 1)
            for position, op in enumerate(program.operations):
                if isinstance(op, LinearTransform) and position not in self._pieces:
                    whole = self.plan.transform(op.weight, len(op.inputs), len(op.results))
                    self._transforms[position] = self._encode(op, whole)
                elif isinstance(op, AddBias):
                    value = program.values[op.input]
                    block = np.asarray(self.plan.weights[op.weight], dtype=np.float64)
                    spread = np.repeat(block, program.batch)
                    slots = np.tile(spread, program.slot_count // len(spread))
                    self._biases[position] = self.engine.encode(slots, level=value.level, scale=value.scale)
                if progress is not None:
                    progress((position + 1) / count)
            self._ready = True

    def _encode(self, op: LinearTransform, transform: DiagonalTransform) -> T:
        source, made = self.plan.program.values[op.inputs[0]], self.plan.program.values[op.results[0]]
        return self.engine.prepare_transform(
            transform, level=source.level, input_scale=source.scale, output_scale=made.scale
        )

    def run(self, ciphertexts: Sequence[C], *, trace: Trace | None = None) -> list[C]:
        """The output ciphertexts for the input ciphertexts of one sample, or of the samples side by side in them.
        InputError if these are not at the plan's level and scale; what the engine raises otherwise."""
        program = self.plan.program
        if len(ciphertexts) != len(program.inputs):
            raise InputError(f"the plan takes {len(program.inputs)} ciphertexts, got {len(ciphertexts)}")
        for number, ciphertext in zip(program.inputs, ciphertexts, strict=True):
            expected = program.values[number]
            if (ciphertext.level, ciphertext.scale) != (expected.level, expected.scale):
                raise InputError(
                    f"an input ciphertext is at level {ciphertext.level}, scale {ciphertext.scale!r}; "
                    f"expected level {expected.level}, scale {expected.scale!r}"
                )
        self.prepare()
        values: dict[int, C] = dict(zip(program.inputs, ciphertexts, strict=True))
        for position, op in enumerate(program.operations):
            start = time.perf_counter()
            made = self._apply(position, op, values)
            seconds = time.perf_counter() - start
            values.update(zip(results(op), made, strict=True))
            for number in self._dying[position]:
                del values[number]
            if trace is not None:
                trace(op, made[0].level, made[0].scale, seconds)
        return [values[number] for number in program.outputs]

    def _apply(self, position: int, op: Operation, values: dict[int, C]) -> list[C]:
        engine, program = self.engine, self.plan.program
        match op:
            case LinearTransform():
                given = [values[v] for v in op.inputs]
                if self._encrypted is not None:
                    return multiply_encrypted(self.engine, self.plan, op, self._encrypted, given)
                if position in self._transforms:
                    return engine.linear_transform(self._transforms[position], given)
                made: list[C] = []
                for outputs in self._pieces[position]:
                    piece = self.plan.transform(op.weight, len(op.inputs), len(op.results), outputs)
                    made += engine.linear_transform(self._encode(op, piece), given)
                return made
            case RotateAdd():
                a = values[op.input]
                return [engine.add(a, engine.rotate(a, op.steps))]
            case AddBias() if self._encrypted is not None:
                return [engine.add(values[op.input], self._encrypted.biases[op.weight])]
            case AddBias():
                return [engine.add_plaintext(values[op.input], self._biases[position])]
            case Add():
                return [engine.add(values[op.a], values[op.b])]
            case Multiply():
                return [engine.multiply(values[op.a], values[op.b])]
            case Rescale():
                return [engine.rescale(values[op.input])]
            case DropLevel():
                return [engine.drop_level(values[op.input], program.values[op.result].level)]
            case Polynomial():
                scale = program.values[op.result].scale
                return [engine.polynomial(values[op.input], op.coefficients, output_scale=scale)]


def _last_readers(plan: Plan) -> list[tuple[int, ...]]:
    """For each operation the values that nothing after it reads."""
    program = plan.program
    last: dict[int, int] = {}
    for position, op in enumerate(program.operations):
        for number in (*operands(op), *results(op)):
            last[number] = position
    for number in program.outputs:
        last.pop(number, None)
    dying: list[list[int]] = [[] for _ in program.operations]
    for number, position in last.items():
        dying[position].append(number)
    return [tuple(numbers) for numbers in dying]
