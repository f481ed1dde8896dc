"""The endpoints of the service: the work and the answer of each address."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hetorch.engine.native import Ciphertext
from hetorch.errors import PlanUseError, WireError
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.quantities import exact_size_text
from hetorch.server.access import check_model, check_operator, token_of
from hetorch.server.audit import AuditLog
from hetorch.server.body import BodyBudget, check_content_type, read_body
from hetorch.server.isolation import loaded_secret_modules
from hetorch.server.key_store import KeyStore
from hetorch.server.metrics import Metrics
from hetorch.server.models import ServedModel
from hetorch.server.quiet_log import QuietLog
from hetorch.server.refusal import Refusal
from hetorch.server.settings import Settings
from hetorch.server.stored_kinds import StoredKind
from hetorch.server.tokens import ANYONE
from hetorch.server.workers import WorkerPool
from hetorch.wire.addresses import JSON, KEY_ID_HEADER, MODELS, OCTETS, SERVER_TIMING_HEADER
from hetorch.wire.answers import KEY_ID, ModelEntry, dump_key_id, dump_models
from hetorch.wire.codes import Code
from hetorch.wire.predict import dump_response, load_request
from hetorch.wire.server_timing import dump_server_timing
from hetorch.wire.time_limit import TIME_LIMIT_HEADER, dump_time_limit

if TYPE_CHECKING:
    from hetorch.server.connections import (
        ConnectionLimits,  # needs uvicorn, which another ASGI server does without
    )

log = logging.getLogger("hetorch.server")

ROOM_SECONDS = 30.0
"""Time between two emptyings of the stores for want of memory, in seconds. A lower value lets a request that never fits
take everybody's keys out of memory by asking again."""


class Service:
    """The endpoints, over one set of models, keys and workers. PlanUseError if the settings do not suffice for one of
    the models: it would refuse every request."""

    def __init__(self, models: Mapping[str, ServedModel], settings: Settings) -> None:
        self.metrics = Metrics()
        self.workers = WorkerPool(settings.workers, settings.queue)
        self._models = models
        self._settings = settings
        bodies = {
            name: max(model.limits.largest, *(kind.largest_upload for kind in model.kinds))
            for name, model in models.items()
        }
        uploads = [sum(kind.memory_bytes for kind in model.kinds) for model in models.values()]
        key_memory, body_memory = settings.memory_limits(
            max(uploads, default=0), max(bodies.values(), default=0)
        )
        self._keys = KeyStore(key_memory, settings.key_folder, settings.key_disk)
        self._quiet = QuietLog(log)
        self._next_room = float("-inf")
        self._bodies = BodyBudget(body_memory)
        for name, model in models.items():
            self._keys.check_fits(model.kinds, name)
            if bodies[name] > body_memory:
                raise PlanUseError(
                    f"requests for {name!r} have bodies of up to {exact_size_text(bodies[name])}, the limit is "
                    f"{exact_size_text(body_memory)}; raise body_memory= (--body-memory)"
                )

    async def health(self, request: Request) -> Response:
        """Answer GET /v1/health."""
        return JSONResponse({"status": "ok", "models": len(self._models)})

    async def list_models(self, request: Request) -> Response:
        """Answer GET /v1/models: the names and fingerprints of the models that the token may use."""
        token = token_of(request)
        models = [model for model in self._models.values() if token.may_use(model.name)]
        entries = [ModelEntry(model.name, model.public.fingerprint) for model in models]
        return Response(dump_models(entries), media_type=JSON)

    async def public_plan(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}: the public plan, and the longest time of a request."""
        limit = dump_time_limit(self._settings.request_timeout)
        return Response(
            self._model(request).public_bytes, media_type=JSON, headers={TIME_LIMIT_HEADER: limit}
        )

    async def find_keys(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}/keys/{key_id}: 200 if the server has these keys, else 404."""
        model = self._model(request)
        key_id = _check_key_id(request.path_params["key_id"])
        if not self._keys.has(model.key_kind, key_id):
            raise _keys_missing(key_id)
        return Response(dump_key_id(key_id), media_type=JSON)

    async def put_keys(self, request: Request) -> Response:
        """Answer PUT /v1/models/{name}/keys: take evaluation keys; the same upload again changes nothing."""
        model = self._model(request)
        return await self._put(request, model, model.key_kind)

    async def find_weights(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}/weights/{key_id}: 200 if the server has weights for these keys, else 404."""
        model = self._model(request)
        key_id = _check_key_id(request.path_params["key_id"])
        if not self._keys.has(_weight_kind(model), key_id):
            raise _weights_missing(model, key_id, status=404)
        return Response(dump_key_id(key_id), media_type=JSON)

    async def put_weights(self, request: Request) -> Response:
        """Answer PUT /v1/models/{name}/weights: take encrypted weights, in place of earlier ones for the same keys."""
        model = self._model(request)
        return await self._put(request, model, _weight_kind(model))

    async def _put(self, request: Request, model: ServedModel, kind: StoredKind[object]) -> Response:
        """Take an upload of keys or weights."""
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
        """Answer POST /v1/models/{name}/predict: compute the ciphertexts of the results from those of the samples."""
        model = self._model(request)
        check_content_type(request)
        key_id = _check_key_id(request.headers.get(KEY_ID_HEADER, ""))
        if not self._keys.has(model.key_kind, key_id):
            raise _keys_missing(key_id)
        if model.weight_kind is not None and not self._keys.has(model.weight_kind, key_id):
            raise _weights_missing(model, key_id)
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
        return Response(body, media_type=OCTETS, headers={SERVER_TIMING_HEADER: dump_server_timing(times)})

    async def refuse_without_memory(self, request: Request, error: Exception) -> Response:
        """Answer a request for which there is no memory with 503. The least recently used keys are dropped for it, at
        most once in ROOM_SECONDS."""
        traceback.clear_frames(error.__traceback__)  # they hold what the request had taken
        self.metrics.ran_out_of_memory()
        now, made = time.monotonic(), "no keys were dropped, since some were shortly before"
        if now >= self._next_room:
            self._next_room = now + ROOM_SECONDS
            made = "the least recently used keys were dropped"
            await asyncio.to_thread(self._make_room)
        self._quiet.warn(
            f"{request.method} {request.scope['path'][:200]!r} found no memory; {made}. "
            "Lower --key-memory (key_memory=), --body-memory (body_memory=) or --workers (workers=)"
        )
        return Refusal(Code.BUSY, "the server has no memory for this request now; try again").response()

    async def show_metrics(self, request: Request) -> Response:
        """Answer GET /v1/metrics: the counters, and the secret modules loaded (none, unless a test asked for it)."""
        check_operator(request)
        snapshot = self.metrics.snapshot() | self._keys.snapshot()
        snapshot |= {"pending": self.workers.pending, "secret_modules": loaded_secret_modules()}
        limits: ConnectionLimits | None = getattr(request.app.state, "connections", None)
        if limits is not None:  # not under an ASGI server of the embedder's own
            snapshot |= {"connections": limits.open, "connections_refused": limits.refused}
        audit_log: AuditLog | None = request.app.state.audit_log
        snapshot["audit_lines_lost"] = 0 if audit_log is None else audit_log.lost
        return JSONResponse(snapshot)

    def _make_room(self) -> None:
        """Drop the least recently used keys and all converted ones; in a thread, since it waits for locks."""
        gc.collect()
        self._keys.make_room()
        for model in self._models.values():
            model.engines.clear()

    def _compute(
        self, model: ServedModel, key_id: str, data: bytearray, waited: float
    ) -> tuple[bytes, dict[str, float]]:
        """Compute a prediction, in a worker: the response, and the milliseconds of each step of STEPS."""
        start = time.perf_counter()
        request = load_request(model.public, data)
        if request.key_id != key_id:
            raise WireError(
                f"the header names the keys {key_id[:12]}…, the message was made for {request.key_id[:12]}…"
            )
        keys = self._keys.get(model.key_kind, key_id)
        if keys is None:
            raise _keys_missing(key_id)
        weights = None
        if model.weight_kind is not None:
            weights = self._keys.get(model.weight_kind, key_id)
            if weights is None:
                raise _weights_missing(model, key_id)
        parsed = time.perf_counter()
        result = model.run(keys, request.ciphertexts, weights)
        ran = time.perf_counter()
        body = dump_response(model.public, key_id, result, data)
        dumped = time.perf_counter()
        self.metrics.ran(model.name, (ran - parsed) * 1e3)
        seconds = {"queue": waited, "parse": parsed - start, "run": ran - parsed, "dump": dumped - ran}
        return body, {step: value * 1e3 for step, value in seconds.items()}

    def _model(self, request: Request) -> ServedModel:
        """Return the model that the address names, with the uploads of the request's tenant; Refusal if there is none,
        or the request's token may not use it."""
        name = request.path_params["name"]
        check_model(request, name)
        model = self._models.get(name)
        if model is None:
            raise Refusal(
                Code.MODEL_UNKNOWN, f"there is no model {name[:128]!r} here; models are listed at {MODELS!r}"
            )
        token = token_of(request)
        return model if token is ANYONE else model.for_tenant(token.tenant)


def _check_key_id(key_id: str) -> str:
    if not KEY_ID.fullmatch(key_id):
        raise Refusal(Code.KEY_ID_MALFORMED, f"a key id has 64 hexadecimal digits, got {key_id[:80]!r}")
    return key_id


def _weight_kind(model: ServedModel) -> StoredKind[EncryptedWeights[Ciphertext]]:
    if model.weight_kind is None:
        raise Refusal(
            Code.WEIGHTS_IN_CLEAR, f"the server has the weights of {model.name!r} in clear; it takes none"
        )
    return model.weight_kind


def _keys_missing(key_id: str) -> Refusal:
    return Refusal(Code.KEYS_MISSING, f"the keys {key_id[:12]}… are not here; upload them again")


def _weights_missing(model: ServedModel, key_id: str, status: int | None = None) -> Refusal:
    return Refusal(
        Code.WEIGHTS_MISSING,
        f"{model.name!r} computes on encrypted weights, and there are none for the keys {key_id[:12]}…: they were not "
        "uploaded yet, or left the server's memory; whoever has the whole plan uploads them, with "
        "Client.upload_weights(plan) or `hetorch upload-weights`",
        status,
    )
