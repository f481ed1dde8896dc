"""The endpoints of the service: what each address reads from its request, and how it answers."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from hetorch.errors import PlanUseError, StorageError
from hetorch.progress import Progress
from hetorch.quantities import exact_size_text
from hetorch.server.access import check_model, check_operator, check_tenant, token_of
from hetorch.server.body import BodyBudget, check_content_type, read_body, receive_body
from hetorch.server.disconnection import while_connected
from hetorch.server.job_endpoints import accepted, tenant_of
from hetorch.server.metrics import PrometheusMetrics, peak_memory_bytes, private_memory_bytes
from hetorch.server.refusal import Refusal
from hetorch.server.request_record import record_of
from hetorch.server.settings import Settings
from hetorch.server.tokens import ANYONE
from hetorch.serving.errors import Busy, WeightsMissing
from hetorch.serving.isolation import loaded_secret_modules
from hetorch.serving.jobs.job_limits import JobLimits
from hetorch.serving.jobs.jobs import Jobs
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.shared_store import SharedStore
from hetorch.serving.keys.spare_files import memory_file
from hetorch.serving.keys.stored_kinds import StoredKind
from hetorch.serving.keys.uploads import UploadLimits, Uploads
from hetorch.serving.models import Registry, ServedModel
from hetorch.serving.quiet_log import QuietLog
from hetorch.serving.service import Service, weight_kind
from hetorch.serving.work.computation import Computed
from hetorch.serving.work.crew import WorkLimits
from hetorch.serving.work.thread_pool import ThreadPool
from hetorch.serving.work.worker_pool import WorkerPool
from hetorch.wire.addresses import JSON, KEY_ID_HEADER, OCTETS, PLAN_HEADER, SERVER_TIMING_HEADER
from hetorch.wire.answers import KEY_ID, ModelEntry, dump_key_id, dump_models
from hetorch.wire.codes import Code
from hetorch.wire.jobs import PREFER_HEADER, load_preference
from hetorch.wire.server_timing import dump_server_timing
from hetorch.wire.time_limit import TIME_LIMIT_HEADER, dump_time_limit

log = logging.getLogger("hetorch.server")


class Endpoints:
    """The endpoints, over one service. PlanUseError if the settings do not suffice for one of the models: it would
    refuse every request."""

    def __init__(self, models: Mapping[str, ServedModel], settings: Settings) -> None:
        self.metrics = PrometheusMetrics(self.numbers)
        self.outside: Callable[[], Mapping[str, float]] = dict
        self.settings = settings
        self._began = time.monotonic()
        registry = models if isinstance(models, Registry) else Registry(models)
        uploads = [sum(kind.memory_bytes for kind in model.kinds) for model in registry.all()]
        key_memory, body_memory = settings.memory_limits(
            max(uploads, default=0), max(map(_largest_body, registry.all()), default=0)
        )
        self._body_memory = body_memory
        for model in registry.all():
            self.check_model(model)
        self._quiet = QuietLog(log)
        self.bodies = BodyBudget(body_memory)
        share = None if settings.key_share is None else SharedStore(settings.key_share)
        keys = KeyStore(key_memory, settings.key_folder, settings.key_limits(key_memory), share)
        upload_limits = UploadLimits(settings.uploads_per_tenant, settings.key_disk, settings.upload_time)
        limits = WorkLimits(
            workers=settings.workers,
            queue=settings.queue,
            queue_per_lane=settings.queue_per_tenant or settings.queue,
            key_memory=key_memory,
            work_memory=settings.memory_for_work(key_memory + body_memory),
            worker_memory=settings.worker_memory,
        )
        self.service = Service(
            registry,
            keys=keys,
            uploads=Uploads(keys, upload_limits),
            workers=WorkerPool(registry.all(), limits, self.metrics),
            parsers=ThreadPool(settings.workers, settings.queue),
            metrics=self.metrics,
            request_timeout=settings.request_timeout,
        )
        self.jobs = Jobs(
            self.service,
            settings.job_folder,
            JobLimits(
                at_once=max(1, settings.workers - 1),
                per_tenant=settings.jobs_per_tenant,
                disk=settings.job_disk,
                timeout=settings.job_timeout,
                life=settings.job_life,
                request=settings.request_timeout,
            ),
        )

    def check_model(self, model: ServedModel) -> None:
        """Raise PlanUseError if the memory for bodies does not suffice for a model."""
        if _largest_body(model) > self._body_memory:
            raise PlanUseError(
                f"requests for {model.name!r} have bodies of up to {exact_size_text(_largest_body(model))}, the limit "
                f"is {exact_size_text(self._body_memory)}; raise body_memory= (--body-memory)"
            )

    async def list_models(self, request: Request) -> Response:
        """Answer GET /v1/models: the names and fingerprints of the models that the token may use."""
        token = token_of(request)
        models = [model for model in self.service.models.values() if token.may_use(model.name)]
        entries = [ModelEntry(model.name, model.public.fingerprint) for model in models]
        return Response(dump_models(entries), media_type=JSON)

    async def public_plan(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}: the public plan, and the longest time of a request."""
        limit = dump_time_limit(self.settings.request_timeout)
        return Response(self.model(request).public_bytes, media_type=JSON, headers={TIME_LIMIT_HEADER: limit})

    async def find_keys(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}/keys/{key_id}: 200 if the server has these keys, else 404."""
        model = self.model(request)
        key_id = _check_key_id(request.path_params["key_id"])
        await self.service.check_keys(model, key_id)
        return Response(dump_key_id(key_id), media_type=JSON)

    async def put_keys(self, request: Request) -> Response:
        """Answer PUT /v1/models/{name}/keys: take evaluation keys; the same upload again changes nothing."""
        model = self.model(request)
        return await self._put(request, model, model.key_kind)

    async def find_weights(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}/weights/{key_id}: 200 if the server has weights for these keys, else 404."""
        model = self.model(request)
        key_id = _check_key_id(request.path_params["key_id"])
        try:
            await self.service.check_weights(model, key_id)
        except WeightsMissing as error:
            raise Refusal(error.code, str(error), status=404) from None
        return Response(dump_key_id(key_id), media_type=JSON)

    async def put_weights(self, request: Request) -> Response:
        """Answer PUT /v1/models/{name}/weights: take encrypted weights, in place of earlier ones for the same keys."""
        model = self.model(request)
        return await self._put(request, model, weight_kind(model))

    async def _put(self, request: Request, model: ServedModel, kind: StoredKind[object]) -> Response:
        """Take an upload of keys or weights."""
        check_content_type(request)
        file = memory_file()
        with self.bodies.hold() as held:

            async def take(piece: bytes) -> None:
                held.more(len(piece))
                file.write(piece)

            length = await receive_body(
                request,
                take,
                held=held,
                smallest=kind.smallest_upload,
                largest=kind.largest_upload,
                what=f"an upload of {kind.what} for {model.name!r}",
                idle_timeout=self.settings.idle_timeout,
            )
            key_id = await self.service.put(kind, file, length)
        return Response(dump_key_id(key_id), media_type=JSON)

    async def predict(self, request: Request) -> Response:
        """Answer POST /v1/models/{name}/predict: compute the ciphertexts of the results from those of the samples."""
        model = self.model(request)
        check_content_type(request)
        key_id = _check_key_id(request.headers.get(KEY_ID_HEADER, ""))
        await self.service.check_uploads(model, key_id)
        with self.bodies.hold() as held:
            data = await read_body(
                request,
                held,
                smallest=model.limits.smallest,
                largest=model.limits.largest,
                what=f"a predict request for {model.name!r}",
                idle_timeout=self.settings.idle_timeout,
            )
            job = await self._job(request, model, key_id, data)
            if job is not None:
                return job
            prediction = await self.compute(request, model, key_id, data)
        timing = dump_server_timing(prediction.milliseconds)
        return Response(prediction.response, media_type=OCTETS, headers={SERVER_TIMING_HEADER: timing})

    async def _job(
        self, request: Request, model: ServedModel, key_id: str, data: bytes | bytearray
    ) -> Response | None:
        """Make a job of a prediction whose client takes one, and would wait longer for the answer than it wants or may.

        Return None for any other, and where there is no room for a job that a request would have the time for: that the
        client wants to be told of the progress is no reason to refuse it.
        """
        preference = load_preference(request.headers.get(PREFER_HEADER, ""))
        if not self.settings.jobs or not preference.respond_async:
            return None
        wait, followed = preference.wait, False
        if wait is not None:
            seconds = self.service.workers.expected_seconds(model, _lane(request))
            followed = seconds <= self.settings.request_timeout
            if followed and seconds <= wait:
                return None
        try:
            status = await self.jobs.submit(
                model, tenant_of(request), key_id, data, _lane(request), followed=followed
            )
        except (Busy, StorageError) as error:
            if not followed:
                raise
            if isinstance(error, StorageError):
                self._quiet.warn(f"a prediction is computed without a job: {error}")
            return None
        return accepted(status, wait if followed else None)

    async def start(self, progress: Progress | None) -> None:
        """Start the workers, and take up the jobs of an earlier process; `progress` as for WorkerPool.start."""
        await self.service.workers.start(progress)
        await self.jobs.start()

    def close(self) -> None:
        """Take no more work, and let nobody wait for what has not begun."""
        self.jobs.close()
        self.service.close()

    async def stop(self) -> None:
        """End all work; jobs go on in the next process."""
        await self.jobs.stop()
        await self.service.stop()

    async def compute(
        self, request: Request, model: ServedModel, key_id: str, data: bytes | bytearray
    ) -> Computed:
        """Compute a prediction in the turn of whoever asks, as long as the client is there and the time lasts.

        `check_uploads` of the service comes before it.
        """
        work = self.service.predict(
            model,
            key_id,
            data,
            lane=_lane(request),
            timeout=self.settings.request_timeout,
            looked_up=True,
            may_use=token_of(request).may_use,
        )
        prediction = await while_connected(request, work)
        record_of(request.scope).milliseconds = prediction.milliseconds
        return prediction

    async def refuse_without_memory(self, request: Request, error: Exception) -> Response:
        """Answer a request for which there is no memory with 503, and let the service make room."""
        traceback.clear_frames(error.__traceback__)  # they hold what the request had taken
        dropped = await self.service.make_room()
        told = "the least recently used keys" if dropped else "no keys"
        reason = "" if dropped else ", since some were shortly before"
        self._quiet.warn(
            f"{request.method} {request.scope['path'][:200]!r} found no memory; {told} were dropped{reason}. "
            "Lower --key-memory (key_memory=), --body-memory (body_memory=) or --workers (workers=)"
        )
        return Refusal(Code.BUSY, "the server has no memory for this request now; try again").response()

    async def show_metrics(self, request: Request) -> Response:
        """Answer GET /metrics: all numbers, for Prometheus."""
        check_operator(request)
        accept = request.headers.get("accept", "")
        body, media_type = await asyncio.to_thread(self.metrics.exposition, accept)
        return Response(body, headers={"Content-Type": media_type})

    def numbers(self) -> dict[str, float]:
        """Return the numbers that are read when they are asked for, by the names of their metrics."""
        workers = self.service.workers.snapshot()
        own = {
            "workers": len(workers),
            "worker_memory_bytes": sum(private_memory_bytes(worker.pid) for worker in workers),
            "queue": self.settings.queue,
            "ready": int(not self.reasons()),
            "secret_modules": len(loaded_secret_modules()),
            "peak_memory_bytes": peak_memory_bytes(),
            "up_seconds": time.monotonic() - self._began,
        }
        numbers = self.service.snapshot() | self.jobs.snapshot() | own
        return {**numbers, **self.outside()}

    def reasons(self) -> list[str]:
        """Return the reasons for which the server takes no predictions now; they name no model and no tenant."""
        return self.service.not_ready()

    def model(self, request: Request) -> ServedModel:
        """Return the model that the address names, with the uploads of the request's tenant.

        Raises:
            Refusal: the request's token may not use it.
            ModelUnknown: there is none.
            OtherTenant: the request names a tenant that is not its token's.
            OtherModel, OtherVersion: it names a plan that is not one of this model's.
        """
        name = request.path_params["name"]
        check_model(request, name)
        check_tenant(request)
        version = request.path_params.get("version", request.headers.get(PLAN_HEADER))
        may_use = token_of(request).may_use
        model = self.service.model(name, tenant_of(request), version, may_use=may_use)
        record_of(request.scope).model = name
        return model


def _lane(request: Request) -> str:
    """Return who asks, for the turns in the queue: the tenant, or the address where everyone may ask."""
    token = token_of(request)
    if token is not ANYONE:
        return f"tenant {token.tenant}"
    return f"address {'' if request.client is None else request.client.host}"


def _largest_body(model: ServedModel) -> int:
    return max(model.limits.largest, *(kind.largest_upload for kind in model.kinds))


def _check_key_id(key_id: str) -> str:
    if not KEY_ID.fullmatch(key_id):
        raise Refusal(Code.KEY_ID_MALFORMED, f"a key id has 64 hexadecimal digits, got {key_id[:80]!r}")
    return key_id
