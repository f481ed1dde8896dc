"""The memory and the time that one run of a model takes, as its plan predicts them."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.engine import _native
from hetorch.engine.backend import AnyBackend
from hetorch.plan.memory import predict_memory
from hetorch.plan.plan import Plan
from hetorch.runtime.pieces import Storage


@dataclass(frozen=True, slots=True)
class Need:
    """The need of one run in a worker process.

    `memory`: bytes beyond the encoded weights that all processes share: ciphertexts and intermediate results, one
    client's keys and encrypted weights, and weights that are encoded in each run. Keys are counted although all workers
    map one copy: the tables that the engine makes for each rotation, which no plan predicts, take nearly as much.
    `seconds`: on the machine that the plan was compiled for. `operations`: their number.
    """

    memory: int
    seconds: float
    operations: int


def predict_need(plan: Plan, storage: Storage, chosen: AnyBackend, memory_limit: int | None) -> Need:
    """Predict the need of one run with the storage that `storage_within` chose for `memory_limit`."""
    threads = _native.thread_count()
    predicted = predict_memory(storage.program, plan.parameters, plan.key_spec, plan.weights, threads)
    memory = predicted.keys + predicted.working
    if chosen.converted_key_bytes is not None:
        memory += chosen.converted_key_bytes(plan.parameters, plan.key_spec)
    if plan.program.encrypted_weights:
        memory += predicted.weights
    elif storage.pieces:  # they fill what the limit leaves
        memory = max(memory, memory_limit or 0)
    return Need(memory, plan.report.predicted_seconds, len(plan.program.operations))
