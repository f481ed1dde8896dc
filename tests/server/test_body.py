"""Bodies that come too slowly are refused, however regularly their bytes come."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from hetorch.server.body import BodyBudget, read_body
from hetorch.server.refusal import Refusal
from hetorch.wire.codes import Code

IDLE = 0.3


async def read_dripping(pieces: int, pause: float) -> bytearray:
    """Call read_body with `pieces` single bytes, `pause` seconds apart, where up to `pieces` are allowed."""
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        await asyncio.sleep(pause)
        sent += 1
        return {"type": "http.request", "body": b"x", "more_body": sent < pieces}

    request = Request({"type": "http", "method": "PUT", "headers": []}, receive)
    with BodyBudget(pieces).hold() as held:
        return await read_body(request, held, smallest=1, largest=pieces, what="an upload", idle_timeout=IDLE)


def test_a_dripping_body_is_refused() -> None:
    # No pause reaches the idle limit, but all of them together exceed it many times.
    with pytest.raises(Refusal, match="slower than 64 KiB a second") as caught:
        asyncio.run(read_dripping(1000, IDLE / 6))
    assert caught.value.code is Code.BODY_TOO_SLOW


def test_a_body_that_comes_at_once_is_read() -> None:
    assert asyncio.run(read_dripping(50, 0.0)) == b"x" * 50


def test_what_comes_is_counted_and_given_back() -> None:
    budget = BodyBudget(10)
    with budget.hold() as first, budget.hold() as second:
        first.more(6)
        second.more(4)
        with pytest.raises(Refusal, match="try again") as caught:
            first.more(1)
        assert caught.value.code is Code.BUSY
    with budget.hold() as held:
        held.more(10)
