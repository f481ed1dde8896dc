"""The service as a library, with real processes, and an owner who asks it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.uploads import UploadLimits, Uploads
from hetorch.serving.models import Registry, ServedModel
from hetorch.serving.service import Service
from hetorch.serving.work.crew import WorkLimits
from hetorch.serving.work.thread_pool import ThreadPool
from hetorch.serving.work.worker_pool import WorkerPool
from hetorch.wire.predict import load_response
from tests.server.conftest import Owner

X = np.linspace(-1, 1, 8)
"""The sample of every request."""


@dataclass(slots=True)
class Counts:
    """Metrics that a test reads: how often each name was counted, with its labels."""

    counted: Counter[str] = field(default_factory=Counter)

    def count(self, name: str, **labels: str) -> None:
        self.counted[" ".join([name, *labels.values()])] += 1

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.counted[name] += 1

    def gauge(self, name: str, value: float, **labels: str) -> None:
        pass


@asynccontextmanager
async def running(
    models: Mapping[str, ServedModel],
    *,
    workers: int = 1,
    queue: int = 16,
    per_lane: int = 16,
    work_memory: int = 1 << 40,
    worker_memory: int | None = None,
) -> AsyncIterator[tuple[Service, Counts]]:
    """Run a service until the block ends; gives it and what it counts."""
    counts = Counts()
    limits = WorkLimits(workers, queue, per_lane, 1 << 28, work_memory, worker_memory)
    registry = Registry(models)
    keys = KeyStore(1 << 30)
    service = Service(
        registry,
        keys=keys,
        uploads=Uploads(keys, UploadLimits()),
        workers=WorkerPool(registry.all(), limits, counts),
        parsers=ThreadPool(2, 16),
        metrics=counts,
        request_timeout=120,
    )
    await service.workers.start()
    try:
        yield service, counts
    finally:
        await service.stop()


def decrypted(owner: Owner, request: bytes, response: bytes) -> NDArray[np.float64]:
    """Return the result in a response to a request of this owner."""
    answer = load_response(owner.plan, response, request)
    assert answer.key_id == hashlib.sha256(owner.keys).hexdigest()
    slots = [owner.secret.decrypt(ciphertext) for ciphertext in answer.ciphertexts]
    result: NDArray[np.float64] = owner.plan.unpack(slots)
    return result
