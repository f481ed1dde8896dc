"""The service: finding models, keys and weights, keeping uploads, and predicting."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from hetorch.engine.native import Ciphertext
from hetorch.errors import WireError
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.serving.errors import KeysMissing, ModelUnknown, WeightsInClear, WeightsMissing
from hetorch.serving.keys.catalogue import UploadEntry
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.stored_kinds import StoredKind
from hetorch.serving.keys.uploads import Uploads
from hetorch.serving.metrics import Metrics
from hetorch.serving.models import ServedModel
from hetorch.serving.work.worker_pool import WorkerPool
from hetorch.wire.predict import dump_response, load_request

ROOM_SECONDS = 30.0
"""Time between two emptyings of the stores for want of memory, in seconds. A lower value lets a request that never fits
take everybody's keys out of memory by asking again."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The response to a predict request, and the milliseconds of each step of its computation."""

    response: bytes
    milliseconds: dict[str, float]


class Service:
    """One set of models, and the keys and workers that they share. Used from one event loop.

    Args:
        models: by name.
        keys: what clients have uploaded.
        uploads: what they are uploading in pieces.
        workers: they compute.
        metrics: is told of runs (`run_seconds`, by `model`) and of requests without memory (`out_of_memory`).
        request_timeout: seconds for one computation, its wait included.

    Raises:
        PlanUseError: the uploads of one client for a model exceed the memory for keys; it would be refused for ever.
    """

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        *,
        keys: KeyStore,
        uploads: Uploads,
        workers: WorkerPool,
        metrics: Metrics,
        request_timeout: float,
    ) -> None:
        self.models = models
        self.keys = keys
        self.uploads = uploads
        self.workers = workers
        self._metrics = metrics
        self._request_timeout = request_timeout
        self._next_room = float("-inf")
        for name, model in models.items():
            keys.check_fits(model.kinds, name)

    def close(self) -> None:
        """Take no more computations and refuse waiting ones; running ones end by themselves."""
        self.workers.close()

    def close_store(self) -> None:
        """Close the files of keys and weights, after the last computation; in a thread, since it waits for the disk."""
        self.uploads.close()
        self.keys.close()

    def sweep(self) -> None:
        """Delete uploads that are too old; to be called every few seconds, in a thread."""
        self.keys.sweep()
        self.uploads.sweep()

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

    async def put(self, kind: StoredKind[object], upload: BinaryIO, length: int) -> str:
        """Check and keep an upload of `length` bytes, in a worker; return the id of the keys that it is or belongs to.

        The same upload again changes nothing; other weights for the same keys replace the earlier ones.

        Raises:
            WireError: the upload is malformed.
            QuotaExceeded: it is larger than what a tenant may have.
            Busy, DeadlinePassed: as WorkerPool.run.
        """
        return await self.workers.run(
            lambda waited: self.keys.put(kind, upload, length), self._request_timeout
        )

    async def finish_upload(self, kind: StoredKind[object], upload: UploadEntry) -> str:
        """Check and keep an upload whose pieces have all come, in a worker; return the id of its keys.

        Raises:
            WireError, QuotaExceeded, UploadUnknown: as Uploads.finish.
            Busy, DeadlinePassed: as WorkerPool.run.
        """
        return await self.workers.run(lambda waited: self.uploads.finish(kind, upload), self._request_timeout)

    async def predict(self, model: ServedModel, key_id: str, request: bytes | bytearray) -> Prediction:
        """Compute the response to a predict request, in a worker.

        Raises:
            WireError: the request is malformed, or made for other keys than `key_id`.
            KeysMissing, WeightsMissing: they left since they were checked.
            Busy, DeadlinePassed: as WorkerPool.run.
        """
        work = functools.partial(self._compute, model, key_id, request)
        return await self.workers.run(work, self._request_timeout)

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

    def snapshot(self) -> dict[str, object]:
        """Return the numbers of keys, of weights and of pending computations, for the metrics."""
        return {**self.keys.snapshot(), "pending": self.workers.pending}

    def _drop_keys(self) -> None:
        """Drop the least recently used keys and all converted ones; in a thread, since it waits for locks."""
        gc.collect()
        self.keys.make_room()
        for model in self.models.values():
            model.engines.clear()

    def _compute(self, model: ServedModel, key_id: str, data: bytes | bytearray, waited: float) -> Prediction:
        start = time.perf_counter()
        request = load_request(model.public, data)
        if request.key_id != key_id:
            raise WireError(
                f"the header names the keys {key_id[:12]}…, the message was made for {request.key_id[:12]}…"
            )
        keys = self.keys.get(model.key_kind, key_id)
        if keys is None:
            raise KeysMissing(key_id)
        weights = None
        if model.weight_kind is not None:
            weights = self.keys.get(model.weight_kind, key_id)
            if weights is None:
                raise WeightsMissing(model.name, key_id)
        parsed = time.perf_counter()
        result = model.run(keys, request.ciphertexts, weights)
        ran = time.perf_counter()
        body = dump_response(model.public, key_id, result, data)
        dumped = time.perf_counter()
        self._metrics.observe("run_seconds", ran - parsed, model=model.name)
        seconds = {"queue": waited, "parse": parsed - start, "run": ran - parsed, "dump": dumped - ran}
        return Prediction(body, {step: value * 1e3 for step, value in seconds.items()})


def weight_kind(model: ServedModel) -> StoredKind[EncryptedWeights[Ciphertext]]:
    """Return the kind of a model's encrypted weights; WeightsInClear if it has none."""
    if model.weight_kind is None:
        raise WeightsInClear(model.name)
    return model.weight_kind
