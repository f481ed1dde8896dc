"""The service: finding models, keys and weights, keeping uploads, and predicting."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO

from hetorch.engine.native import Ciphertext
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.serving.errors import (
    Busy,
    DeadlinePassed,
    KeysMissing,
    OtherKeys,
    OtherVersion,
    WeightsInClear,
    WeightsMissing,
)
from hetorch.serving.keys.catalogue import UploadEntry
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.stored_kinds import StoredKind
from hetorch.serving.keys.uploads import Uploads
from hetorch.serving.metrics import Metrics
from hetorch.serving.models import Registry, ServedModel
from hetorch.serving.models.registry import SHOWN
from hetorch.serving.work.computation import Computed, Order, Tell
from hetorch.serving.work.thread_pool import ThreadPool
from hetorch.serving.work.worker_pool import WorkerPool
from hetorch.wire.frame import Header, load_header

DRAIN_SECONDS = 0.1
"""Time between two looks whether a retired model still computes, in seconds."""
ROOM_SECONDS = 30.0
"""Time between two emptyings of the stores for want of memory, in seconds. A lower value lets a request that never fits
take everybody's keys out of memory by asking again."""


class Service:
    """One set of models, and the keys and workers that they share. Used from one event loop.

    Args:
        models: what is served now.
        keys: what clients have uploaded.
        uploads: what they are uploading in pieces.
        workers: they compute.
        parsers: they parse uploads.
        metrics: is told of uploads without memory (`out_of_memory`).
        request_timeout: seconds for one computation, its wait included.

    Raises:
        PlanUseError: the uploads of one client for a model exceed the memory for keys; it would be refused for ever.
    """

    def __init__(
        self,
        models: Registry,
        *,
        keys: KeyStore,
        uploads: Uploads,
        workers: WorkerPool,
        parsers: ThreadPool,
        metrics: Metrics,
        request_timeout: float,
    ) -> None:
        self.models = models
        self.keys = keys
        self.uploads = uploads
        self.workers = workers
        self._parsers = parsers
        self._metrics = metrics
        self._request_timeout = request_timeout
        self._next_room = float("-inf")
        self._changing = asyncio.Lock()
        for model in models.all():
            keys.check_fits(model.kinds, model.name)

    def close(self) -> None:
        """Take no more computations and refuse waiting ones; running ones end by themselves."""
        self.workers.close()
        self._parsers.close()

    async def stop(self) -> None:
        """End the processes that compute, whatever they do, and close the store."""
        self.close()
        await self.workers.stop()
        await asyncio.to_thread(self.uploads.close)
        await asyncio.to_thread(self.keys.close)

    def sweep(self) -> None:
        """Delete uploads that are too old; to be called every few seconds, in a thread."""
        self.keys.sweep()
        self.uploads.sweep()

    def model(
        self,
        name: str,
        tenant: str | None,
        version: str | None = None,
        *,
        may_use: Callable[[str], bool] = lambda name: True,
    ) -> ServedModel:
        """Return a version of a model with the uploads of one tenant, or with those of everyone where there are no
        tenants (None); arguments and errors beside it are those of Registry.find."""
        model = self.models.find(name, version, may_use=may_use)
        return model if tenant is None else model.for_tenant(tenant)

    async def change_models(self, added: Sequence[ServedModel], retired: Sequence[ServedModel]) -> None:
        """Serve more versions of models, the newest of their names, and others no longer, without a break.

        What is retired is found by nobody from then on; what was asked of it before is computed, for as long as one
        request may take.

        Raises:
            PlanUseError: the memory for keys does not suffice for a model, or it cannot be loaded; nothing has changed.
        """
        for model in added:
            self.keys.check_fits(model.kinds, model.name)
        async with self._changing:
            if added:
                replaced = {model.version for model in added}
                kept = [model for model in self.models.all() if model.version not in replaced]
                await self.workers.renew([*kept, *added])
            for model in added:
                self.models.add(model)
            for model in retired:
                self.models.retire(model.name, model.fingerprint)
            if retired:
                end = time.monotonic() + self._request_timeout
                while any(self.workers.computes(model) for model in retired) and time.monotonic() < end:
                    await asyncio.sleep(DRAIN_SECONDS)
                await self.workers.renew(self.models.all())

    async def check_keys(self, model: ServedModel, key_id: str) -> None:
        """Raise KeysMissing unless the evaluation keys are here, or can be fetched from the shared store."""
        await self._bring(model.key_kind, key_id)
        if not self.keys.has(model.key_kind, key_id):
            raise KeysMissing(key_id)

    async def check_weights(self, model: ServedModel, key_id: str) -> None:
        """Raise WeightsMissing unless the encrypted weights for these keys are here, or can be fetched from the shared
        store; WeightsInClear if the model has none."""
        await self._bring(weight_kind(model), key_id)
        if not self.keys.has(weight_kind(model), key_id):
            raise WeightsMissing(model.name, key_id)

    async def check_uploads(self, model: ServedModel, key_id: str) -> None:
        """Raise KeysMissing or WeightsMissing unless all that a prediction needs is here."""
        await self.check_keys(model, key_id)
        if model.weight_kind is not None:
            await self.check_weights(model, key_id)

    async def _bring(self, kind: StoredKind[object], key_id: str) -> None:
        """Fetch what another server took, in a thread; Busy or DeadlinePassed if that cannot be done now."""
        if self.keys.may_be_elsewhere(kind, key_id):
            await self._parsers.run(lambda waited: self.keys.bring(kind, key_id), self._request_timeout)

    async def put(self, kind: StoredKind[object], upload: BinaryIO, length: int) -> str:
        """Check and keep an upload of `length` bytes, in a thread; return the id of the keys that it is or belongs to.

        The same upload again changes nothing; other weights for the same keys replace the earlier ones.

        Raises:
            WireError: the upload is malformed.
            QuotaExceeded: it is larger than what a tenant may have.
            Busy, DeadlinePassed: as ThreadPool.run.
        """
        return await self._parsers.run(
            lambda waited: self.keys.put(kind, upload, length), self._request_timeout
        )

    async def pack_upload(self, kind: StoredKind[object], upload: UploadEntry) -> None:
        """Make the file of an upload as far as its bytes have come, in a thread; what finds no turn now is made at the
        end. WireError as Uploads.pack."""
        if not self.uploads.packs(upload):
            return
        with contextlib.suppress(Busy, DeadlinePassed):
            await self._parsers.run(lambda waited: self.uploads.pack(kind, upload), self._request_timeout)

    async def finish_upload(self, kind: StoredKind[object], upload: UploadEntry) -> str:
        """Check and keep an upload whose pieces have all come, in a thread; return the id of its keys.

        Raises:
            WireError, QuotaExceeded, UploadUnknown: as Uploads.finish.
            Busy, DeadlinePassed: as ThreadPool.run.
        """
        return await self._parsers.run(
            lambda waited: self.uploads.finish(kind, upload), self._request_timeout
        )

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
        looked_up: bool = False,
        may_use: Callable[[str], bool] = lambda name: True,
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
            looked_up: True if `check_uploads` was just awaited: a shared store is asked again only for what has left.
            may_use: tells which other models may be named in an error.

        Raises:
            WireError: the request is malformed.
            OtherModel, OtherVersion, OtherKeys: the request was made for another model, version or keys.
            MixupError: it was made for other parameters.
            KeysMissing, WeightsMissing: they left since they were checked, or are damaged.
            Busy, DeadlinePassed, WorkerLost, ComputationFailed: as WorkerPool.compute.
        """
        self._check_header(model, key_id, load_header(request), may_use)
        for kind in model.kinds:
            if not looked_up or not self.keys.has(kind, key_id):
                await self._bring(kind, key_id)
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

    def _check_header(
        self, model: ServedModel, key_id: str, header: Header, may_use: Callable[[str], bool]
    ) -> None:
        """Raise a Mixup unless a predict request was made for this version of the model and these keys."""
        made_for = header.model.hex()
        if made_for != model.fingerprint:
            self.models.find(model.name, made_for, may_use=may_use)
            raise OtherVersion(model.name, made_for[:SHOWN], [model.fingerprint[:SHOWN]])
        if header.key_id.hex() != key_id:
            raise OtherKeys(key_id, header.key_id.hex())

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
            "uploads": self.uploads.count,
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
