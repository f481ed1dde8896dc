"""The service as an ASGI application: its routes, and the isolation of the process that runs it."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from hetorch.errors import MixupError, WireError
from hetorch.progress import Progress
from hetorch.server.access import Access, TokenFile
from hetorch.server.audit import Audit, AuditLog
from hetorch.server.endpoints import Endpoints
from hetorch.server.guard import Guard
from hetorch.server.health import Health
from hetorch.server.job_endpoints import JobEndpoints
from hetorch.server.model_watch import ModelWatch
from hetorch.server.networks import parse_proxies
from hetorch.server.observer import Observer
from hetorch.server.open_inference import OpenInference
from hetorch.server.openapi import openapi
from hetorch.server.proxies import Proxies
from hetorch.server.refusal import Refusal
from hetorch.server.settings import Settings
from hetorch.server.status import LastErrors, StatusAddress
from hetorch.server.telemetry import Tracing
from hetorch.server.tenant_traffic import TenantTraffic
from hetorch.server.tenants_file import TenantsFile
from hetorch.server.upload_endpoints import UploadEndpoints
from hetorch.serving.errors import Busy, RateExceeded, ServiceError, UploadOffset
from hetorch.serving.isolation import isolate
from hetorch.serving.models import ServedModel
from hetorch.serving.models.model_folder import ModelFolder
from hetorch.serving.service import Service
from hetorch.serving.tenant_limits import TenantMeter
from hetorch.wire import addresses
from hetorch.wire.codes import Code

if TYPE_CHECKING:
    from hetorch.server.connections import (
        ConnectionLimits,  # needs uvicorn, which another ASGI server does without
    )

errors_log = logging.getLogger("hetorch")
"""The log whose last warnings and errors the status shows."""

SWEEP_SECONDS = 5.0
"""Time between two sweeps of the key store, in seconds. Raised, keys that another process deleted stay mapped longer,
and a killed process forgets more uses of keys."""

MIXUPS: Mapping[str, Code] = MappingProxyType(
    {
        "version": Code.OTHER_VERSION,
        "parameters": Code.OTHER_PARAMETERS,
    }
)
"""The codes of bodies that were made for something else, by what the parsers tell."""


def create_app(
    models: Mapping[str, ServedModel],
    settings: Settings | None = None,
    progress: Progress | None = None,
    folder: ModelFolder | None = None,
) -> Starlette:
    """Make the ASGI application that serves these models, for any ASGI server.

    The processes that compute start with the application's lifespan, or at the first prediction where there is none.
    `progress` is told the name of a model and the fraction of its weights that is encoded. What comes to `folder` is
    served, and what goes is retired, while the application runs.

    From here on this process cannot import a module through which a secret key could come in (`isolate`), as under
    `hetorch serve`.

    Raises:
        SecretImportError: the process has loaded such a module already; run the service in a process of its own.
        PlanUseError: the settings do not suffice for one of the models.
        StorageError: the file of tokens or tenants cannot be read, or the audit log cannot be written.
        InputError: the file of tenants has a mistake.
    """
    isolate()
    return _assemble(models, settings, progress, folder)


def insecure_app_beside_secrets(
    models: Mapping[str, ServedModel], settings: Settings | None = None, folder: ModelFolder | None = None
) -> Starlette:
    """Make the application without isolating its process, for tests only.

    Code in this process may load a secret key, or hold one already: tests run a client beside the service so. Raises
    PlanUseError like create_app.
    """
    return _assemble(models, settings, None, folder)


def _assemble(
    models: Mapping[str, ServedModel],
    settings: Settings | None,
    progress: Progress | None,
    folder: ModelFolder | None,
) -> Starlette:
    settings = settings or Settings()
    endpoints = Endpoints(models, settings)
    audit_log = None if settings.audit_log is None else AuditLog(settings.audit_log)
    errors = LastErrors()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        errors_log.addHandler(errors)
        try:
            await endpoints.start(progress)
            sweeping = asyncio.create_task(_sweep(endpoints.service))
            watch = None if folder is None else ModelWatch(folder, endpoints.service, endpoints.check_model)
            watching = None if watch is None else asyncio.create_task(watch.run())
            yield
            sweeping.cancel()
            if watching is not None:
                watching.cancel()
            await endpoints.stop()
        finally:
            errors_log.removeHandler(errors)

    app = Starlette(
        routes=_routes(endpoints, errors),
        middleware=_layers(endpoints, settings, audit_log),
        exception_handlers={
            Refusal: _answer_refusal,
            ServiceError: _answer_service_error,
            WireError: _answer_malformed_message,
            HTTPException: _answer_router,
            MemoryError: endpoints.refuse_without_memory,
        },
        lifespan=lifespan,
    )
    endpoints.outside = functools.partial(_outside_numbers, app, audit_log)
    app.router.redirect_slashes = False  # a redirect would name the host that the request names
    app.state.stop_work = endpoints.close  # hetorch.server.run calls it when the server stops
    return app


def _routes(endpoints: Endpoints, errors: LastErrors) -> list[Route]:
    """Return all routes; each has its Operation in hetorch.server.operations."""
    health = Health(endpoints.reasons)
    status = StatusAddress(endpoints, errors)
    jobs = JobEndpoints(endpoints.jobs)
    stored = UploadEndpoints(endpoints.service, endpoints.settings)
    name, key_id = "{name}", "{key_id}"
    return [
        Route(addresses.LIVE, health.live),
        Route(addresses.READY, health.ready),
        Route(addresses.METRICS, endpoints.show_metrics),
        Route(addresses.STATUS, status.status),
        Route(addresses.OPENAPI, openapi),
        Route(addresses.MODELS, endpoints.list_models),
        Route(addresses.public_plan(name), endpoints.public_plan),
        Route(addresses.keys(name), endpoints.put_keys, methods=["PUT"]),
        Route(addresses.stored_keys(name, key_id), endpoints.find_keys),
        Route(addresses.weights(name), endpoints.put_weights, methods=["PUT"]),
        Route(addresses.stored_weights(name, key_id), endpoints.find_weights),
        Route(addresses.keys(name), stored.list_keys),
        Route(addresses.stored_keys(name, key_id), stored.delete_keys, methods=["DELETE"]),
        Route(addresses.begin_upload(name), stored.begin_upload, methods=["POST"]),
        Route(addresses.upload("{upload}"), stored.show_upload),
        Route(addresses.upload("{upload}"), stored.continue_upload, methods=["PATCH"]),
        Route(addresses.upload("{upload}"), stored.cancel_upload, methods=["DELETE"]),
        Route(addresses.predict(name), endpoints.predict, methods=["POST"]),
        Route(addresses.job("{job}"), jobs.show_job),
        Route(addresses.job("{job}"), jobs.remove_job, methods=["DELETE"]),
        Route(addresses.job_events("{job}"), jobs.job_events),
        Route(addresses.job_result("{job}"), jobs.job_result),
        *OpenInference(endpoints).routes(),
    ]


def _layers(endpoints: Endpoints, settings: Settings, audit_log: AuditLog | None) -> list[Middleware]:
    """Return the layers around the routes, the outermost first."""
    tokens = None if settings.tokens is None else TokenFile(settings.tokens)
    layers = [
        Middleware(Proxies, networks=parse_proxies(settings.trusted_proxies)),
        Middleware(Observer, metrics=endpoints.metrics, tracing=Tracing() if settings.traces else None),
    ]
    if audit_log is not None:
        layers.append(Middleware(Audit, audit_log=audit_log))
    layers.append(Middleware(Guard, idle_timeout=settings.idle_timeout))
    layers.append(Middleware(Access, tokens=tokens, past_proxies=settings.insecure))
    if settings.tenants is not None:
        limits = TenantsFile(settings.tenants).limits
        layers.append(Middleware(TenantTraffic, meter=TenantMeter(limits, endpoints.metrics)))
    return layers


async def _sweep(service: Service) -> None:
    """Delete what is too old, every SWEEP_SECONDS."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await asyncio.to_thread(service.sweep)


def _outside_numbers(app: Starlette, audit_log: AuditLog | None) -> dict[str, float]:
    """Return the numbers of what stands around the endpoints."""
    numbers: dict[str, float] = {} if audit_log is None else {"audit_lines_lost": audit_log.lost}
    limits: ConnectionLimits | None = getattr(app.state, "connections", None)
    if limits is not None:  # set by hetorch.server.run, not by another ASGI server
        numbers |= {"connections": limits.open, "connections_refused": limits.refused}
    return numbers


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _answer_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    retry_after = error.retry_after if isinstance(error, Busy | RateExceeded) else None
    response = Refusal(error.code, str(error), retry_after=retry_after).response()
    if isinstance(error, UploadOffset):
        response.headers[addresses.UPLOAD_OFFSET_HEADER] = str(error.offset)
    return response


async def _answer_malformed_message(request: Request, error: Exception) -> Response:
    """Answer a body that the parsers refuse: the client's mistake, told in the parser's sentence."""
    code = MIXUPS.get(error.what, Code.MESSAGE_MALFORMED) if isinstance(error, MixupError) else None
    return Refusal(code or Code.MESSAGE_MALFORMED, str(error)).response()


async def _answer_router(request: Request, error: Exception) -> Response:
    """Answer the two refusals of the router; anything else is a failure of the server."""
    assert isinstance(error, HTTPException)
    path = repr(request.url.path[:200])
    if error.status_code == Code.NO_SUCH_ADDRESS.status:
        sentence = f"there is nothing at {path}; models are listed at {addresses.MODELS!r}"
        return Refusal(Code.NO_SUCH_ADDRESS, sentence).response()
    if error.status_code == Code.METHOD_NOT_ALLOWED.status:
        response = Refusal(Code.METHOD_NOT_ALLOWED, f"{request.method} is not allowed at {path}").response()
        # Starlette names the methods of one route; several may have the address, each with a method of its own.
        methods = {
            method
            for route in request.app.routes
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
            for method in route.methods or ()
        }
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response
    raise error
