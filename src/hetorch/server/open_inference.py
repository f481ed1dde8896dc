"""The Open Inference Protocol, version 2, beside the addresses of hetorch: platforms probe and route the server by it.

Clients upload their keys at the addresses of `hetorch.wire.addresses` before they ask. A model's version is the
fingerprint of its plan.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hetorch.server.body import read_body
from hetorch.server.endpoints import Endpoints
from hetorch.server.refusal import Refusal
from hetorch.serving.errors import OtherModel, OtherVersion
from hetorch.serving.models import ServedModel
from hetorch.wire.addresses import (
    JSON,
    OCTETS,
    OPEN_INFERENCE,
    OPEN_INFERENCE_LIVE,
    OPEN_INFERENCE_MODELS,
    OPEN_INFERENCE_READY,
)
from hetorch.wire.codes import Code
from hetorch.wire.frame import load_header
from hetorch.wire.open_inference import (
    HEADER_LENGTH_HEADER,
    dump_infer,
    dump_model,
    dump_server,
    largest_infer_bytes,
    load_infer,
)


class OpenInference:
    """The addresses of the protocol, over the endpoints of the service."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        """Return the routes; those of a model exist with and without its version."""
        routes = [
            Route(OPEN_INFERENCE, self.inference_server),
            Route(OPEN_INFERENCE_LIVE, self.inference_live),
            Route(OPEN_INFERENCE_READY, self.inference_ready),
        ]
        for model in OPEN_INFERENCE_MODELS:
            routes += [
                Route(model, self.inference_model),
                Route(f"{model}/ready", self.inference_model_ready),
                Route(f"{model}/infer", self.infer, methods=["POST"]),
            ]
        return routes

    async def inference_server(self, request: Request) -> Response:
        """Answer GET /v2: the name and version of the server, and the extensions that it knows."""
        return Response(dump_server(version("hetorch")), media_type=JSON)

    async def inference_live(self, request: Request) -> Response:
        """Answer GET /v2/health/live."""
        return JSONResponse({"live": True})

    async def inference_ready(self, request: Request) -> Response:
        """Answer GET /v2/health/ready: 200 if the server takes predictions, else 503."""
        self._check_ready()
        return JSONResponse({"ready": True})

    async def inference_model(self, request: Request) -> Response:
        """Answer GET /v2/models/{name}: the tensors of a model, and its versions."""
        model = self._model(request)
        versions = self._endpoints.service.models.versions(model.name)
        return Response(
            dump_model(model.name, [version.public.fingerprint for version in versions]), media_type=JSON
        )

    async def inference_model_ready(self, request: Request) -> Response:
        """Answer GET /v2/models/{name}/ready."""
        model = self._model(request)
        self._check_ready()
        return JSONResponse({"name": model.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        """Answer POST /v2/models/{name}/infer: a prediction, with the keys that the predict request names."""
        model = self._model(request)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(Code.CONTENT_TYPE_UNSUPPORTED, "the body must not be compressed")
        with self._endpoints.bodies.hold() as held:
            data = await read_body(
                request,
                held,
                smallest=model.limits.smallest,
                largest=largest_infer_bytes(model.limits.largest),
                what=f"a request to infer for {model.name!r}",
                idle_timeout=self._endpoints.settings.idle_timeout,
            )
            asked = await asyncio.to_thread(load_infer, data, request.headers.get(HEADER_LENGTH_HEADER))
            del data
            key_id = load_header(asked.message).key_id.hex()
            await self._endpoints.service.check_uploads(model, key_id)
            prediction = await self._endpoints.compute(request, model, key_id, asked.message)
        body, head = await asyncio.to_thread(
            dump_infer, model.name, model.public.fingerprint, asked, prediction.response
        )
        headers = {} if head is None else {HEADER_LENGTH_HEADER: str(head)}
        return Response(body, media_type=JSON if head is None else OCTETS, headers=headers)

    def _check_ready(self) -> None:
        """Raise Refusal (not_ready) unless the server takes predictions."""
        reasons = self._endpoints.reasons()
        if reasons:
            raise Refusal(Code.NOT_READY, "; ".join(reasons))

    def _model(self, request: Request) -> ServedModel:
        """Return the model that the address names; Refusal (model_unknown) if it names another version."""
        try:
            return self._endpoints.model(request)
        except (OtherModel, OtherVersion) as error:  # part of the address here
            raise Refusal(Code.MODEL_UNKNOWN, str(error)) from None
