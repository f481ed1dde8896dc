"""The state of the server as one record (`hetorch.wire.status`), and its address: a page for browsers, else JSON."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import Response

from hetorch.server.access import check_operator
from hetorch.server.endpoints import Endpoints
from hetorch.server.request_record import CURRENT
from hetorch.server.status_page import POLICY, status_page
from hetorch.serving.models import ServedModel
from hetorch.user_information import without_user_information
from hetorch.wire.addresses import JSON
from hetorch.wire.status import LogLine, ModelStatus, Status, dump_status

KEPT_LINES = 20
"""Warnings and errors of the log that a status shows; more make a longer page."""
MAX_LINE_LENGTH = 600
"""Characters of a line of the log that are kept."""


class LastErrors(logging.Handler):
    """Keeps the last warnings and errors of the server's log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, without its traceback."""
        request = CURRENT.get()
        message = without_user_information(record.getMessage())[:MAX_LINE_LENGTH]
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        self._lines.append(
            LogLine(time, record.levelname.lower(), message, None if request is None else request.id)
        )

    def newest(self) -> tuple[LogLine, ...]:
        """Return the lines, the newest first."""
        return tuple(reversed(self._lines))


class StatusAddress:
    """The address of the status, for operators; `errors` has the last lines of the log."""

    def __init__(self, endpoints: Endpoints, errors: LastErrors) -> None:
        self._endpoints = endpoints
        self._errors = errors

    async def status(self, request: Request) -> Response:
        """Answer GET /v1/status: the state of the server, as a page if the client takes HTML, else as JSON."""
        check_operator(request)
        status = await asyncio.to_thread(self.collect)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if "text/html" in request.headers.get("accept", ""):
            page = status_page(status)
            return Response(page, media_type="text/html", headers=headers | POLICY)
        return Response(dump_status(status), media_type=JSON, headers=headers)

    def collect(self) -> Status:
        """Return the state of the server now."""
        endpoints = self._endpoints
        codes = endpoints.metrics.by_label("requests_total", "code")
        return Status(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            version=_version(),
            not_ready=tuple(endpoints.reasons()),
            models=tuple(self._model(model) for model in list(endpoints.service.models.values())),
            workers=tuple(endpoints.service.workers.snapshot()),
            numbers=endpoints.numbers(),
            answers={"ok" if code == "none" else code: int(count) for code, count in sorted(codes.items())},
            errors=self._errors.newest(),
        )

    def _model(self, model: ServedModel) -> ModelStatus:
        labels = {"model": model.name, "step": "run"}
        runs = self._endpoints.metrics.sum("step_seconds_count", **labels)
        seconds = self._endpoints.metrics.sum("step_seconds_sum", **labels)
        return ModelStatus(model.name, model.public.fingerprint, int(runs), seconds / runs if runs else 0.0)


def _version() -> str:
    try:
        return version("hetorch")
    except PackageNotFoundError:
        return "unknown"
