"""Answers go out as fast as clients read them: an unread answer must not fill the memory."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hetorch.server import guard
from hetorch.server.guard import PIECE_BYTES, Guard
from hetorch.serving.models import ServedModel
from tests.server.live import live

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}


def answering(content: bytes) -> Guard:
    """Return the guard around an application that answers everything with `content`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(content)(scope, receive, send)

    return Guard(app, idle_timeout=0.2)


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 5 * PIECE_BYTES + 7]
)
def test_an_answer_goes_out_in_pieces(size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(answering(content)(SCOPE, nothing, send))
    start, *pieces = sent
    assert start["type"] == "http.response.start"
    assert b"".join(piece["body"] for piece in pieces) == content
    assert all(len(piece["body"]) <= PIECE_BYTES for piece in pieces)
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PIECE_BYTES", 256)
    sent = 0

    async def send(message: Message) -> None:
        nonlocal sent
        if sent:  # as a connection does whose buffers are full
            await asyncio.Event().wait()
        sent += len(message.get("body", b""))

    begin = time.monotonic()
    asyncio.run(asyncio.wait_for(answering(bytes(1024))(SCOPE, nothing, send), 20))
    assert time.monotonic() - begin < 10
    assert sent == 256


def test_a_large_answer_arrives_whole(served: ServedModel) -> None:
    large = dataclasses.replace(served, public_bytes=bytes(range(256)) * (1 << 14))
    with live({"small": large}) as url, httpx.Client(base_url=url, trust_env=False) as http:
        assert http.get("/v1/models/small").content == large.public_bytes
        assert http.head("/v1/models/small").headers["content-length"] == str(len(large.public_bytes))
