"""The outermost layer of the service: every answer is counted, and no failure shows its inside."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hetorch.errors import HetorchError, WireError
from hetorch.server.body import SLOWEST_BYTES_PER_SECOND
from hetorch.server.metrics import Metrics
from hetorch.wire.answers import dump_error

log = logging.getLogger("hetorch.server")

# The rest of a refused body is read and dropped, so that a client which sends before it reads sees the answer. More
# than this, or slower, is not waited for: the connection is closed.
MAX_DISCARD = 64 << 20
DISCARD_SECONDS = 10.0

PIECE_BYTES = 64 << 10
"""Of an answer handed over at a time. A connection takes what it is given and keeps it until the client reads; only
before it takes more does it wait for that."""


def error_response(status: int, sentence: str, request_id: str | None = None) -> Response:
    """`{"error": sentence}` with this status."""
    return Response(dump_error(sentence, request_id), status, media_type="application/json")


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """A refusal of ours or of the router, as one sentence."""
    assert isinstance(error, HTTPException)
    sentence = error.detail
    if error.status_code == 404 and sentence == "Not Found":
        sentence = f"there is nothing at {request.url.path[:200]!r}; models are listed at '/v1/models'"
    if error.status_code == 405 and sentence == "Method Not Allowed":
        sentence = f"{request.method} is not allowed at {request.url.path[:200]!r}"
    response = error_response(error.status_code, sentence)
    response.headers.update(error.headers or {})
    return response


async def answer_bad_bytes(request: Request, error: Exception) -> Response:
    """A body that the parsers refuse is the client's mistake: 400 with the parser's sentence."""
    assert isinstance(error, WireError)
    return error_response(400, str(error))


class Guard:
    """ASGI middleware: counts answers, and turns an unexpected failure into a 500 with a request id.

    The failure itself goes to the log under that id, never to the client. Answers go out piece by piece, and a client
    that reads one too slowly is given up: what it does not read would stay in memory as long as it likes.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, idle_timeout: float) -> None:
        self._app = app
        self._metrics = metrics
        self._idle_timeout = idle_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A client that waits for "100 Continue" has sent no body yet; reading would ask it to.
        body = _Body(receive, complete=any(name == b"expect" for name, _ in scope["headers"]))
        started = False

        async def counted(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._metrics.count(message["status"])
                if message["status"] >= 400:
                    await body.discard()
            await self._send(send, message)

        try:
            await self._app(scope, body.receive, counted)
        except _SlowReader:
            return  # the answer is not complete: the connection is closed
        except Exception as error:
            request_id = secrets.token_hex(8)
            # Of our own errors the message is enough. It stays in the log: it may tell what the plan holds.
            log.error(
                "request %s failed: %s", request_id, error, exc_info=not isinstance(error, HetorchError)
            )
            if started:
                raise
            response = error_response(
                500, f"the server failed; its log has more under {request_id}", request_id
            )
            with contextlib.suppress(_SlowReader):
                await response(scope, body.receive, counted)

    async def _send(self, send: Send, message: Message) -> None:
        """`message`, its body in pieces; _SlowReader if they are taken slower than bodies may come."""
        content = message.get("body", b"")
        try:
            async with asyncio.timeout(self._idle_timeout + len(content) / SLOWEST_BYTES_PER_SECOND):
                for begin in range(0, len(content) - PIECE_BYTES, PIECE_BYTES):
                    piece = content[begin : begin + PIECE_BYTES]
                    await send({**message, "body": piece, "more_body": True})
                last = (len(content) - 1) // PIECE_BYTES * PIECE_BYTES
                await send({**message, "body": content[last:]} if last > 0 else message)
        except TimeoutError:
            raise _SlowReader from None


class _SlowReader(Exception):
    """A client that does not read its answer."""


class _Body:
    """The receiving side of one request, which knows whether its body is complete."""

    def __init__(self, receive: Receive, *, complete: bool) -> None:
        self._receive = receive
        self._complete = complete

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._complete = True
        return message

    async def discard(self) -> None:
        left = MAX_DISCARD
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._complete and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
