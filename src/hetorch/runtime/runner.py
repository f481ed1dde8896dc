"""A plan on an engine: weights are encoded once, operations run in order, values are freed after their last reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic

from hetorch.engine.protocol import C, Engine, P, T
from hetorch.errors import InputError, PlanUseError
from hetorch.ir.he_operations import AddBias, LinearTransform, Operation
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.runtime.encrypted import multiply_encrypted
from hetorch.runtime.pieces import Pieces, pieces_within

Trace = Callable[[Operation, int, float, float], None]
"""A function that is called after each operation, with the operation, the level and scale of its result, and the
seconds that it took."""


class Runner(Generic[C, P, T]):
    """`plan` on `engine`, whose parameters must be the plan's.

    prepare() encodes the weights; run() may be called from many threads at once, and prepares on its first call if that
    was not done. Encoded weights are shared by all calls, and by Runners made with `share`.

    `memory_limit` (bytes) bounds the predicted memory of one run, keys included: transforms that do not fit are encoded
    during each run, a few ciphertexts of the result at a time, and forgotten.

    PlanUseError for other parameters, if the plan needs more memory even so, if `share` runs another plan, and unless
    `encrypted_weights` are there for a plan with encrypted weights, and for no other.
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
            raise PlanUseError("the engine has other parameters than the plan")
        self.plan = plan
        self.engine = engine
        if plan.program.encrypted_weights != (encrypted_weights is not None):
            wants = "encrypted weights" if encrypted_weights is None else "its own weights, in clear"
            raise PlanUseError(f"the plan {plan.name!r} runs with {wants}")
        self._encrypted = encrypted_weights
        self._lock = threading.Lock()
        self._prepared: dict[int, P | T] = {}
        self._ready = False
        self._pieces: Pieces = share._pieces if share is not None else pieces_within(plan, memory_limit)
        if share is not None:
            if share.plan is not plan:
                raise PlanUseError("weights can only be shared between runners of one plan")
            share.prepare()
            self._prepared, self._ready = share._prepared, True
        self._dying = _last_readers(plan)

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Encode all weights that are kept, once; `progress` is called with the fraction done."""
        with self._lock:
            if self._ready or self._encrypted is not None:
                return
            program = self.plan.program
            count = max(len(program.operations), 1)
            for position, op in enumerate(program.operations):
                if position not in self._pieces:
                    weights = op.prepare(self.engine, program, self.plan.weights)
                    if weights is not None:
                        self._prepared[position] = weights
                if progress is not None:
                    progress((position + 1) / count)
            self._ready = True

    def run(self, ciphertexts: Sequence[C], *, trace: Trace | None = None) -> list[C]:
        """Return the output ciphertexts for the input ciphertexts of one sample or of the samples side by side in them.

        InputError if these are not at the plan's level and scale; errors of the engine pass through.
        """
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
            results = self._apply(position, op, [values[number] for number in op.reads])
            seconds = time.perf_counter() - start
            values.update(zip(op.makes, results, strict=True))
            for number in self._dying[position]:
                del values[number]
            if trace is not None:
                trace(op, results[0].level, results[0].scale, seconds)
        return [values[number] for number in program.outputs]

    def _apply(self, position: int, op: Operation, inputs: list[C]) -> list[C]:
        engine, program = self.engine, self.plan.program
        if self._encrypted is not None and isinstance(op, LinearTransform):
            return multiply_encrypted(engine, self.plan, op, self._encrypted, inputs)
        if self._encrypted is not None and isinstance(op, AddBias):
            return [engine.add(inputs[0], self._encrypted.biases[op.weight])]
        if isinstance(op, LinearTransform) and position in self._pieces:
            results: list[C] = []
            for outputs in self._pieces[position]:
                piece = op.encode(engine, program, op.diagonals(program, self.plan.weights, outputs))
                results += op.run(engine, program, inputs, piece)
            return results
        return op.run(engine, program, inputs, self._prepared.get(position))


def _last_readers(plan: Plan) -> list[tuple[int, ...]]:
    """Return, for each operation, the values that nothing after it reads."""
    program = plan.program
    last: dict[int, int] = {}
    for position, op in enumerate(program.operations):
        for number in (*op.reads, *op.makes):
            last[number] = position
    for number in program.outputs:
        last.pop(number, None)
    dying: list[list[int]] = [[] for _ in program.operations]
    for number, position in last.items():
        dying[position].append(number)
    return [tuple(numbers) for numbers in dying]
