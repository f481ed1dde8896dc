"""The driver that waits in asyncio, for hetorch.AsyncClient; processor time is spent in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import httpx

from hetorch.client.attempt import Attempt, Body, Reading, Reply
from hetorch.client.driver import HttpOptions
from hetorch.errors import InputError
from hetorch.wire.limits import SLOWEST_BYTES_PER_SECOND

T = TypeVar("T")


class EventLoopDriver:
    """Waits in the running event loop."""

    def exchange(self, options: HttpOptions) -> EventLoopExchange:
        return EventLoopExchange(options)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def compute(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def lock(self) -> AbstractAsyncContextManager[object]:
        return asyncio.Lock()

    def signal(self) -> _LoopSignal:
        return _LoopSignal()


class EventLoopExchange:
    """Connections of httpx.AsyncClient. InputError if the transport is a blocking one."""

    def __init__(self, options: HttpOptions) -> None:
        if options.transport is not None and not isinstance(options.transport, httpx.AsyncBaseTransport):
            raise InputError(
                "transport= must be an httpx.AsyncBaseTransport; hetorch.Client takes the other kind"
            )
        self._http = httpx.AsyncClient(
            base_url=options.base_url,
            auth=options.auth,
            verify=options.verify,
            trust_env=options.trust_env,
            headers=options.headers,
            transport=options.transport,
        )

    async def once(self, attempt: Attempt) -> Reply:
        start = time.perf_counter()
        content = _pieces(attempt.content.pieces()) if isinstance(attempt.content, Body) else attempt.content
        loop = asyncio.get_running_loop()
        # httpx bounds each read and write; a server that takes or sends byte by byte keeps within that for ever.
        slow = attempt.size / SLOWEST_BYTES_PER_SECOND + attempt.timeout.connect  # type: ignore[operator]
        end = None if attempt.left is None else loop.time() + attempt.left
        head = asyncio.timeout(_least(slow + attempt.seconds, attempt.left))

        async def trace(event: str, info: Mapping[str, object]) -> None:
            if event.endswith(".receive_response_headers.started"):
                head.reschedule(_least(loop.time() + attempt.seconds, end))

        request = self._http.build_request(
            attempt.method,
            attempt.path,
            content=content,
            headers=attempt.headers,
            timeout=attempt.timeout,
            extensions={"trace": trace},
        )
        try:
            async with head:
                response = await self._http.send(request, stream=True)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the server is too slow") from error
        try:
            reading = Reading(attempt, response, start)
            if not reading.enough:
                async for piece in response.aiter_raw():
                    if reading.take(piece):
                        break
            return reading.reply()
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._http.aclose()


class _LoopSignal:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._event.wait()
        except TimeoutError:
            return False


def _least(seconds: float, other: float | None) -> float:
    return seconds if other is None else min(seconds, other)


async def _pieces(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body, each made in a thread: those of weights are encrypted as they are sent."""
    iterator = iter(pieces)
    while (piece := await asyncio.to_thread(next, iterator, None)) is not None:
        yield piece
