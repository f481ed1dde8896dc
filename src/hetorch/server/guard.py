"""The layer around the application: no failure shows the inside of the server, and no client keeps its memory."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hetorch.errors import HetorchError
from hetorch.server.ambiguity import tell_ambiguity
from hetorch.server.refusal import Refusal
from hetorch.server.request_record import record_of
from hetorch.wire.codes import Code
from hetorch.wire.limits import SLOWEST_BYTES_PER_SECOND

log = logging.getLogger("hetorch.server")

MAX_DISCARD = 64 << 20
"""Most bytes of a refused request's body that are read and dropped, so that a client which sends before it reads sees
the answer. Behind a longer body the connection is closed."""
DISCARD_SECONDS = 10.0
"""Longest time for reading and dropping the body of a refused request, in seconds."""

PIECE_BYTES = 64 << 10
"""Response chunk size: the connection buffers one chunk, and takes the next when the client has read. A larger value
lets a client that does not read keep more memory."""


class Guard:
    """ASGI middleware that turns an unexpected failure into a 500 with the id of the request.

    The failure itself goes to the log under that id, never to the client. Answers go out in chunks, and a client that
    reads one too slowly is disconnected: otherwise the unread part would stay in memory as long as the client likes.
    """

    def __init__(self, app: ASGIApp, idle_timeout: float) -> None:
        self._app = app
        self._idle_timeout = idle_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request to the application and its answer to the client."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ambiguity = tell_ambiguity(scope)
        if ambiguity is not None:
            # Nothing more is read: where the request ends is what is in doubt.
            refusal = Refusal(Code.REQUEST_AMBIGUOUS, ambiguity).response()
            if scope.get("http_version", "1.1").startswith("1"):  # HTTP/2 forbids the header
                refusal.headers["Connection"] = "close"
            with contextlib.suppress(_SlowReader):
                await refusal(scope, receive, functools.partial(self._send, send))
            return
        # A client that waits for "100 Continue" has sent no body yet; reading would ask it to.
        body = _Body(receive, complete=any(name == b"expect" for name, _ in scope["headers"]))
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] >= 400:
                    await body.discard()
            await self._send(send, message)

        try:
            await self._app(scope, body.receive, guarded)
        except _SlowReader:
            return  # the answer is not complete: the connection is closed
        except ClientDisconnect:
            return  # there is nobody to answer
        except Exception as error:
            request_id = record_of(scope).id
            # Our own errors need no traceback. Their message stays in the log: it may tell what the plan holds.
            log.error(
                "request %s failed: %s", request_id, error, exc_info=not isinstance(error, HetorchError)
            )
            if started:
                raise
            failure = Refusal(Code.INTERNAL, f"the server failed; its log has more under {request_id}")
            with contextlib.suppress(_SlowReader):
                await failure.response(request_id)(scope, body.receive, guarded)

    async def _send(self, send: Send, message: Message) -> None:
        """Send a message, its body in chunks; _SlowReader if the client reads slower than clients may send."""
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
    """The receiving side of one request, which knows when its body is complete."""

    def __init__(self, receive: Receive, *, complete: bool) -> None:
        self._receive = receive
        self._complete = complete

    async def receive(self) -> Message:
        """Receive the next message."""
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._complete = True
        return message

    async def discard(self) -> None:
        """Read and drop the rest of the body, up to MAX_DISCARD bytes and DISCARD_SECONDS."""
        left = MAX_DISCARD
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._complete and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
