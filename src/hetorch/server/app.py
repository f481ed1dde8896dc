"""The service as an ASGI application: what each address does."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hetorch.errors import PlanError, WireError
from hetorch.server.body import OCTETS, BodyBudget, check_content_type, read_body
from hetorch.server.guard import Guard, answer_bad_bytes, answer_http_exception
from hetorch.server.isolation import loaded_secret_modules
from hetorch.server.key_store import KeyStore
from hetorch.server.metrics import Metrics
from hetorch.server.models import ServedModel
from hetorch.server.settings import Settings
from hetorch.server.stored_kinds import StoredKind, WeightKind
from hetorch.server.workers import WorkerPool
from hetorch.wire.answers import KEY_ID, ModelEntry, dump_key_id, dump_models
from hetorch.wire.predict import dump_response, load_request
from hetorch.wire.server_timing import dump_server_timing

JSON = "application/json"


class Service:
    """The endpoints, over one set of models, keys and workers."""

    def __init__(self, models: Mapping[str, ServedModel], settings: Settings) -> None:
        self.metrics = Metrics()
        self.workers = WorkerPool(settings.workers, settings.queue)
        self._models = models
        self._settings = settings
        self._keys = KeyStore(settings.key_memory, settings.key_folder, settings.key_disk)
        self._bodies = BodyBudget(settings.body_memory)
        for name, model in models.items():
            self._keys.check_fits(model.kinds, name)
            largest = max(model.limits.largest, *(kind.largest_upload for kind in model.kinds))
            if largest > settings.body_memory:
                raise PlanError(
                    f"requests for {name!r} have bodies of up to {largest} bytes, the limit is {settings.body_memory}; "
                    "raise --body-memory"
                )

    async def health(self, request: Request) -> Response:
        """GET /v1/health"""
        return JSONResponse({"status": "ok", "models": len(self._models)})

    async def list_models(self, request: Request) -> Response:
        """GET /v1/models"""
        entries = [ModelEntry(m.name, m.public.fingerprint) for m in self._models.values()]
        return Response(dump_models(entries), media_type=JSON)

    async def public_plan(self, request: Request) -> Response:
        """GET /v1/models/{name}: the public plan."""
        return Response(self._model(request).public_bytes, media_type=JSON)

    async def find_keys(self, request: Request) -> Response:
        """GET /v1/models/{name}/keys/{key_id}: 200 if the server has these keys, else 404."""
        model = self._model(request)
        key_id = _check_key_id(request.path_params["key_id"])
        if not self._keys.has(model.key_kind, key_id):
            raise _unknown_key(key_id)
        return Response(dump_key_id(key_id), media_type=JSON)

    async def put_keys(self, request: Request) -> Response:
        """PUT /v1/models/{name}/keys: evaluation keys; the same upload again changes nothing."""
        model = self._model(request)
        return await self._put(request, model, model.key_kind)

    async def find_weights(self, request: Request) -> Response:
        """GET /v1/models/{name}/weights/{key_id}: 200 if the server has weights for these keys, else 404."""
        model = self._model(request)
        key_id = _check_key_id(request.path_params["key_id"])
        if not self._keys.has(_weight_kind(model), key_id):
            raise HTTPException(404, _missing_weights(model, key_id))
        return Response(dump_key_id(key_id), media_type=JSON)

    async def put_weights(self, request: Request) -> Response:
        """PUT /v1/models/{name}/weights: encrypted weights, in the place of earlier ones for the same keys."""
        model = self._model(request)
        return await self._put(request, model, _weight_kind(model))

    async def _put(self, request: Request, model: ServedModel, kind: StoredKind[object]) -> Response:
        check_content_type(request)
        with self._bodies.hold() as held:
            data = await read_body(
                request,
                held,
                smallest=kind.smallest_upload,
                largest=kind.largest_upload,
                what=f"an upload of {kind.what} for {model.name!r}",
                idle_timeout=self._settings.idle_timeout,
            )
            key_id = await self.workers.run(
                lambda waited: self._keys.put(kind, data), self._settings.request_timeout
            )
        return Response(dump_key_id(key_id), media_type=JSON)

    async def predict(self, request: Request) -> Response:
        """POST /v1/models/{name}/predict: ciphertexts of a sample or batch in, of its results out."""
        model = self._model(request)
        check_content_type(request)
        key_id = _check_key_id(request.headers.get("hetorch-key-id", ""))
        if not self._keys.has(model.key_kind, key_id):
            raise _unknown_key(key_id)
        if model.weight_kind is not None and not self._keys.has(model.weight_kind, key_id):
            raise HTTPException(409, _missing_weights(model, key_id))
        with self._bodies.hold() as held:
            data = await read_body(
                request,
                held,
                smallest=model.limits.smallest,
                largest=model.limits.largest,
                what=f"a predict request for {model.name!r}",
                idle_timeout=self._settings.idle_timeout,
            )
            work = functools.partial(self._compute, model, key_id, data)
            body, times = await self.workers.run(work, self._settings.request_timeout)
        return Response(body, media_type=OCTETS, headers={"Server-Timing": dump_server_timing(times)})

    async def show_metrics(self, request: Request) -> Response:
        """GET /v1/metrics"""
        snapshot = self.metrics.snapshot() | self._keys.snapshot()
        snapshot |= {"pending": self.workers.pending, "secret_modules": loaded_secret_modules()}
        return JSONResponse(snapshot)

    def _compute(
        self, model: ServedModel, key_id: str, data: bytearray, waited: float
    ) -> tuple[bytes, dict[str, float]]:
        start = time.perf_counter()
        request = load_request(model.public, data)
        if request.key_id != key_id:
            raise WireError(
                f"the header names the keys {key_id[:12]}…, the message was made for {request.key_id[:12]}…"
            )
        keys = self._keys.get(model.key_kind, key_id)
        if keys is None:
            raise _unknown_key(key_id)
        weights = None
        if model.weight_kind is not None:
            weights = self._keys.get(model.weight_kind, key_id)
            if weights is None:
                raise HTTPException(409, _missing_weights(model, key_id))
        parsed = time.perf_counter()
        result = model.run(keys, request.ciphertexts, weights)
        ran = time.perf_counter()
        body = dump_response(model.public, key_id, result)
        dumped = time.perf_counter()
        self.metrics.ran(model.name, (ran - parsed) * 1e3)
        seconds = {"queue": waited, "parse": parsed - start, "run": ran - parsed, "dump": dumped - ran}
        return body, {step: value * 1e3 for step, value in seconds.items()}

    def _model(self, request: Request) -> ServedModel:
        name = request.path_params["name"]
        model = self._models.get(name)
        if model is None:
            raise HTTPException(
                404, f"there is no model {name[:128]!r} here; models are listed at '/v1/models'"
            )
        return model


def create_app(models: Mapping[str, ServedModel], settings: Settings | None = None) -> Starlette:
    """The ASGI application that serves these models. PlanError if the settings do not suffice for one of them."""
    settings = settings or Settings()
    service = Service(models, settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.workers.close()

    routes = [
        Route("/v1/health", service.health),
        Route("/v1/metrics", service.show_metrics),
        Route("/v1/models", service.list_models),
        Route("/v1/models/{name}", service.public_plan),
        Route("/v1/models/{name}/keys", service.put_keys, methods=["PUT"]),
        Route("/v1/models/{name}/keys/{key_id}", service.find_keys),
        Route("/v1/models/{name}/weights", service.put_weights, methods=["PUT"]),
        Route("/v1/models/{name}/weights/{key_id}", service.find_weights),
        Route("/v1/models/{name}/predict", service.predict, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, metrics=service.metrics, idle_timeout=settings.idle_timeout)],
        exception_handlers={HTTPException: answer_http_exception, WireError: answer_bad_bytes},
        lifespan=lifespan,
    )


def _check_key_id(key_id: str) -> str:
    if not KEY_ID.fullmatch(key_id):
        raise HTTPException(400, f"a key id has 64 hexadecimal digits, got {key_id[:80]!r}")
    return key_id


def _unknown_key(key_id: str) -> HTTPException:
    return HTTPException(404, f"the keys {key_id[:12]}… are not here; upload them again")


def _weight_kind(model: ServedModel) -> WeightKind:
    if model.weight_kind is None:
        raise HTTPException(409, f"the server has the weights of {model.name!r} in clear; it takes none")
    return model.weight_kind


def _missing_weights(model: ServedModel, key_id: str) -> str:
    return (
        f"{model.name!r} computes on encrypted weights, and there are none for the keys {key_id[:12]}…: they were not "
        "uploaded yet, or left the server's memory; whoever has the whole plan uploads them, with "
        "Client.upload_weights(plan) or `hetorch upload-weights`"
    )
