"""Running a plan: weights are encoded once, operations run in order, values are freed after their last use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.engine.native import Ciphertext
from hetorch.engine.protocol import C, Engine, P, SummingEngine, T
from hetorch.errors import InputError, PlanUseError
from hetorch.ir.he_operations import AddBias, Bootstrap, LinearTransform, Operation
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.quantities import count_text
from hetorch.runtime.encrypted_map import multiply_encrypted
from hetorch.runtime.events import Event, Listener
from hetorch.runtime.pieces import Storage, storage_within


class Runner(Generic[C, P, T]):
    """A plan on one engine, which has one client's evaluation keys.

    run() may be called from many threads at once. prepare() encodes the weights; if it was not called, the first run
    calls it. All runs share the encoded weights, and so do the runners that were made with `share`.

    Args:
        plan: a compiled model; Plan.without_weights() is enough if the weights are encrypted.
        engine: an engine for the plan's parameters.
        backend: the record of that engine; the native one also suits the cleartext engine.
        share: a runner of the same plan for another client's engine, whose encoded weights this one uses too.
        memory_limit: a bound on the predicted bytes of one run, keys included. Transforms that do not fit keep
            coefficients or, if that is not enough, are encoded during each run, a few of their result ciphertexts at a
            time, and freed again.
        encrypted_weights: the weights for a plan that was compiled with weights="encrypted"; None for any other.
        rotations: what `count_rotations` returns for the plan, if it was counted before; only listeners need it.

    Raises:
        PlanUseError: the engine has other parameters than the plan, or cannot sum products of ciphertexts, which
            encrypted weights need; or the plan does not suit `encrypted_weights`, `share` or `memory_limit`.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine[C, P, T],
        *,
        backend: AnyBackend = NATIVE,
        share: Runner[C, P, T] | None = None,
        memory_limit: int | None = None,
        encrypted_weights: EncryptedWeights[C] | None = None,
        rotations: tuple[int, ...] = (),
    ) -> None:
        if engine.parameters != plan.parameters:
            raise PlanUseError("the engine has other parameters than the plan")
        self.plan = plan
        self.engine = engine
        self.backend = backend
        if plan.program.encrypted_weights != (encrypted_weights is not None):
            wants = "encrypted weights" if encrypted_weights is None else "its own weights, in clear"
            raise PlanUseError(f"the plan {plan.name!r} runs with {wants}")
        self._encrypted: tuple[SummingEngine[C, P, T], EncryptedWeights[C]] | None = None
        if encrypted_weights is not None:
            if not isinstance(engine, SummingEngine):
                raise PlanUseError(f"the engine {engine.name!r} cannot multiply by encrypted weights")
            self._encrypted = engine, encrypted_weights
        self._lock = threading.Lock()
        self._prepared: dict[int, P | T] = {}
        self._ready = False
        self._storage: Storage = (
            share._storage if share is not None else storage_within(plan, memory_limit, backend)
        )
        if share is not None:
            if share.plan is not plan:
                raise PlanUseError("weights can only be shared between runners of one plan")
            share.prepare()
            self._prepared, self._ready = share._prepared, True
        self._dying = _last_readers(plan)
        self._rotations = rotations
        positions = [at for at, op in enumerate(plan.program.operations) if isinstance(op, Bootstrap)]
        self._bootstraps = {at: (number, len(positions)) for number, at in enumerate(positions, 1)}

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Encode all weights that stay in memory, once; `progress` is called with the fraction done."""
        with self._lock:
            if self._ready or self._encrypted is not None:
                return
            program = self._storage.program
            count = max(len(program.operations), 1)
            shared: dict[object, P | T] = {}
            for position, op in enumerate(program.operations):
                if position not in self._storage.pieces:
                    name = op.shared_preparation(program)
                    weights = shared.get(name) or op.prepare(self.engine, program, self.plan.weights)
                    if weights is not None:
                        self._prepared[position] = weights
                    if name is not None and weights is not None:
                        shared[name] = weights
                if progress is not None:
                    progress((position + 1) / count)
            self._ready = True

    def run(self, ciphertexts: Sequence[C], *, on_event: Listener | None = None) -> list[C]:
        """Return the output ciphertexts for the input ciphertexts of one sample, or of one batch side by side in them.

        `on_event` is called after each operation.

        Raises:
            InputError: the number of the inputs, or their level or scale, is not the plan's.
        """
        program = self._storage.program
        if len(ciphertexts) != len(program.inputs):
            raise InputError(
                f"the plan takes {count_text(len(program.inputs), 'ciphertext')}, got {len(ciphertexts)}"
            )
        for number, ciphertext in zip(program.inputs, ciphertexts, strict=True):
            expected = program.values[number]
            if (ciphertext.level, ciphertext.scale) != (expected.level, expected.scale):
                raise InputError(
                    f"an input ciphertext is at level {ciphertext.level}, scale {ciphertext.scale!r}; "
                    f"expected level {expected.level}, scale {expected.scale!r}"
                )
        self.prepare()
        if on_event is not None and not self._rotations:
            self._rotations = count_rotations(self.plan)
        values: dict[int, C] = dict(zip(program.inputs, ciphertexts, strict=True))
        for position, op in enumerate(program.operations):
            start = time.perf_counter()
            results = self._apply(position, op, [values[number] for number in op.reads])
            seconds = time.perf_counter() - start
            values.update(zip(op.makes, results, strict=True))
            for number in self._dying[position]:
                del values[number]
            if on_event is not None:
                first, layer = results[0], program.layers[op.layer]
                count, place = self._rotations[position], self._bootstraps.get(position)
                on_event(Event(op, layer, first.level, first.scale, seconds, count, tuple(results), place))
        return [values[number] for number in program.outputs]

    def run_native(
        self, ciphertexts: Sequence[Ciphertext], *, on_event: Listener | None = None
    ) -> list[Ciphertext]:
        """Run on native ciphertexts, which clients send, and return native ones; raises the errors of run."""
        inputs = [self.backend.take(self.engine, ciphertext) for ciphertext in ciphertexts]
        return [self.backend.give(self.engine, result) for result in self.run(inputs, on_event=on_event)]

    def _apply(self, position: int, op: Operation, inputs: list[C]) -> list[C]:
        engine, program, pieces = self.engine, self._storage.program, self._storage.pieces
        if self._encrypted is not None:
            summing, weights = self._encrypted
            if isinstance(op, LinearTransform):
                return multiply_encrypted(summing, self.plan, op, weights, inputs)
            if isinstance(op, AddBias):
                return [engine.add(inputs[0], weights.biases[op.weight])]
        if isinstance(op, LinearTransform) and position in pieces:
            results: list[C] = []
            for outputs in pieces[position]:
                piece = op.encode(engine, program, op.diagonals(program, self.plan.weights, outputs))
                results += op.run(engine, program, inputs, piece)
            return results
        return op.run(engine, program, inputs, self._prepared.get(position))


def count_rotations(plan: Plan) -> tuple[int, ...]:
    """Return the number of rotations of each operation of a plan; it takes as long as a look at all diagonals."""
    return tuple(op.rotation_count(plan.program, plan.weights) for op in plan.program.operations)


def _last_readers(plan: Plan) -> list[tuple[int, ...]]:
    """Return, for each operation, the values that are used for the last time there."""
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
