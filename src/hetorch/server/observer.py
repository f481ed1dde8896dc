"""The outermost layer of the service: each request gets an id, a line in the log, its place in the metrics, a span."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hetorch.server.access import OPEN
from hetorch.server.logs import DETAILS
from hetorch.server.request_record import CURRENT, RequestRecord, record_of
from hetorch.server.telemetry import Tracing
from hetorch.serving.metrics import Metrics
from hetorch.wire.addresses import REQUEST_ID_HEADER

log = logging.getLogger("hetorch.access")

MAX_METHOD_LENGTH = 16
"""Characters of a request's method that a line repeats; those of HTTP are shorter."""
MAX_PATH_LENGTH = 256
"""Characters of a request's path that a line repeats; the paths of the service are shorter."""


class Observer:
    """ASGI middleware that observes requests from their head to the end of their answer.

    Args:
        app: the application behind it.
        metrics: counts answers (`requests`, by endpoint, status and code) and measures their time.
        tracing: makes a span of each request; None for none.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and observe it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = record_of(scope)
        traffic = _Traffic(record, receive, send)
        before = CURRENT.set(record)
        # Probes come every few seconds and tell nothing.
        tracing = None if scope["path"] in OPEN else self._tracing
        span = None if tracing is None else tracing.begin(record)
        try:
            await self._app(scope, traffic.receive, traffic.send)
        finally:
            self._measure(record, traffic)
            _tell(record, traffic)
            if tracing is not None and span is not None:
                tracing.end(span, record, traffic.status)
            CURRENT.reset(before)

    def _measure(self, record: RequestRecord, traffic: _Traffic) -> None:
        endpoint = endpoint_of(record.scope)
        self._metrics.count(
            "requests",
            endpoint=endpoint,
            status="none" if traffic.status is None else str(traffic.status),
            code="none" if record.code is None else record.code.value,
        )
        self._metrics.observe("request_seconds", traffic.seconds(), endpoint=endpoint)
        if traffic.received and traffic.uploaded is not None:
            self._metrics.observe("upload_seconds", traffic.uploaded - traffic.began, endpoint=endpoint)


def endpoint_of(scope: Scope) -> str:
    """Return the name of the endpoint that answers a request; "none" if no route leads there. There are as many names
    as routes, whatever strangers ask for."""
    return getattr(scope.get("endpoint"), "__name__", "none")


class _Traffic:
    """The two directions of one request, with the id of the request in the head of the answer."""

    def __init__(self, record: RequestRecord, receive: Receive, send: Send) -> None:
        self._id = record.id.encode()
        self._receive = receive
        self._send = send
        self.began = time.monotonic()
        self.uploaded: float | None = None
        self.status: int | None = None
        self.received = 0
        self.sent = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.uploaded = time.monotonic()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), (REQUEST_ID_HEADER.lower().encode(), self._id)]
            message = {**message, "headers": headers}
        await self._send(message)
        self.sent += len(message.get("body", b""))

    def seconds(self) -> float:
        """Return the time since the head of the request had come."""
        return time.monotonic() - self.began


def _tell(record: RequestRecord, traffic: _Traffic) -> None:
    """Write the line of a request. Probes that find the server well are of level debug: they come every few seconds."""
    path = record.scope["path"][:MAX_PATH_LENGTH]
    quiet = path in OPEN and traffic.status == 200
    level = logging.DEBUG if quiet else logging.INFO
    if not log.isEnabledFor(level):
        return
    code = None if record.code is None else record.code.value
    details = {
        "method": record.scope["method"][:MAX_METHOD_LENGTH],
        "path": path,
        "status": traffic.status,
        "code": code,
        "milliseconds": round(traffic.seconds() * 1e3, 1),
        "request_bytes": traffic.received,
        "response_bytes": traffic.sent,
        "steps": {step: round(value, 1) for step, value in record.milliseconds.items()} or None,
    }
    log.log(
        level,
        "%s %s %s%s, %.1f ms, %d B in, %d B out",
        details["method"],
        path,
        "closed" if traffic.status is None else traffic.status,
        "" if code is None else f" {code}",
        details["milliseconds"],
        traffic.received,
        traffic.sent,
        extra={DETAILS: details},
    )
