"""The service: finding models, keys and weights, keeping uploads, and predicting."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping

from hetorch.engine.native import Ciphertext
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.serving.errors import KeysMissing, ModelUnknown, WeightsInClear, WeightsMissing
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.stored_kinds import StoredKind
from hetorch.serving.metrics import Metrics
from hetorch.serving.models import ServedModel
from hetorch.serving.work.computation import Computed, Order, Tell
from hetorch.serving.work.thread_pool import ThreadPool
from hetorch.serving.work.worker_pool import WorkerPool

ROOM_SECONDS = 30.0
"""Time between two emptyings of the stores for want of memory, in seconds. A lower value lets a request that never fits
take everybody's keys out of memory by asking again."""


class Service:
    """One set of models, and the keys and workers that they share. Used from one event loop.

    Args:
        models: by name.
        keys: what clients have uploaded.
        workers: they compute.
        parsers: they parse uploads.
        metrics: is told of uploads without memory (`out_of_memory`).
        request_timeout: seconds for one computation, its wait included.

    Raises:
        PlanUseError: the uploads of one client for a model exceed the memory for keys; it would be refused for ever.
    """

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        *,
        keys: KeyStore,
        workers: WorkerPool,
        parsers: ThreadPool,
        metrics: Metrics,
        request_timeout: float,
    ) -> None:
        self.models = models
        self.keys = keys
        self.workers = workers
        self._parsers = parsers
        self._metrics = metrics
        self._request_timeout = request_timeout
        self._next_room = float("-inf")
        for name, model in models.items():
            keys.check_fits(model.kinds, name)

    def close(self) -> None:
        """Take no more computations and refuse waiting ones; running ones end by themselves."""
        self.workers.close()
        self._parsers.close()

    async def stop(self) -> None:
        """End the processes that compute, whatever they do."""
        self.close()
        await self.workers.stop()

    def model(self, name: str, tenant: str | None) -> ServedModel:
        """Return a model with the uploads of one tenant, or with those of everyone where there are no tenants (None).

        Raises:
            ModelUnknown: there is none.
        """
        model = self.models.get(name)
        if model is None:
            raise ModelUnknown(name)
        return model if tenant is None else model.for_tenant(tenant)

    def check_keys(self, model: ServedModel, key_id: str) -> None:
        """Raise KeysMissing unless the evaluation keys are here."""
        if not self.keys.has(model.key_kind, key_id):
            raise KeysMissing(key_id)

    def check_weights(self, model: ServedModel, key_id: str) -> None:
        """Raise WeightsMissing unless the encrypted weights for these keys are here, WeightsInClear if the model has
        none."""
        if not self.keys.has(weight_kind(model), key_id):
            raise WeightsMissing(model.name, key_id)

    def check_uploads(self, model: ServedModel, key_id: str) -> None:
        """Raise KeysMissing or WeightsMissing unless all that a prediction needs is here."""
        self.check_keys(model, key_id)
        if model.weight_kind is not None:
            self.check_weights(model, key_id)

    async def put(self, kind: StoredKind[object], data: bytes | bytearray) -> str:
        """Parse and keep an upload, in a thread; return the id of the keys that it is or belongs to.

        The same upload again changes nothing; other weights for the same keys replace the earlier ones.

        Raises:
            WireError: the upload is malformed.
            Busy, DeadlinePassed: as ThreadPool.run.
        """
        return await self._parsers.run(lambda waited: self.keys.put(kind, data), self._request_timeout)

    async def predict(
        self,
        model: ServedModel,
        key_id: str,
        request: bytes | bytearray,
        *,
        lane: str,
        timeout: float | None,
        long: bool = False,
        tell: Tell | None = None,
    ) -> Computed:
        """Compute the response to a predict request, in a worker; a caller that is cancelled stops it.

        Args:
            model: the model, with the uploads of one tenant.
            key_id: the evaluation keys to use.
            request: the message.
            lane: who asks; lanes take turns.
            timeout: seconds, the wait included; None for no limit.
            long: True for a computation that nobody waits for.
            tell: is called as the computation goes on.

        Raises:
            WireError: the request is malformed, or made for other keys than `key_id`.
            KeysMissing, WeightsMissing: they left since they were checked, or are damaged.
            Busy, DeadlinePassed, WorkerLost, ComputationFailed: as WorkerPool.compute.
        """
        keys = self.keys.file(model.key_kind, key_id)
        if keys is None:
            raise KeysMissing(key_id)
        weights = None
        if model.weight_kind is not None:
            weights = self.keys.file(model.weight_kind, key_id)
            if weights is None:
                raise WeightsMissing(model.name, key_id)
        order = Order(model, key_id, keys, weights, request, lane, timeout, long)
        try:
            return await self.workers.compute(order, tell)
        except (KeysMissing, WeightsMissing):
            for kind in model.kinds:
                await asyncio.to_thread(self.keys.check_file, kind, key_id)
            raise

    async def make_room(self) -> bool:
        """Drop the least recently used keys for a request that found no memory, at most once in ROOM_SECONDS; True if
        they were dropped."""
        self._metrics.count("out_of_memory")
        now = time.monotonic()
        if now < self._next_room:
            return False
        self._next_room = now + ROOM_SECONDS
        await asyncio.to_thread(self._drop_keys)
        return True

    def snapshot(self) -> dict[str, float]:
        """Return the numbers of keys, of weights and of computations, by the names of their metrics."""
        return {
            **self.keys.snapshot(),
            "pending": self.workers.pending,
            "waiting": self.workers.waiting,
        }

    def not_ready(self) -> list[str]:
        """Return the reasons for which no prediction is taken now, as clauses that name no model and no tenant."""
        return self.workers.not_ready()

    def _drop_keys(self) -> None:
        """Drop the least recently used keys; in a thread, since it waits for locks."""
        gc.collect()
        self.keys.make_room()


def weight_kind(model: ServedModel) -> StoredKind[EncryptedWeights[Ciphertext]]:
    """Return the kind of a model's encrypted weights; WeightsInClear if it has none."""
    if model.weight_kind is None:
        raise WeightsInClear(model.name)
    return model.weight_kind
