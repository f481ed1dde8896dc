"""The driver that waits in the caller's thread, for hetorch.Client; many threads may use one client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import httpx

from hetorch.client.attempt import Attempt, Body, Reading, Reply
from hetorch.client.driver import HttpOptions
from hetorch.client.watch import Watch
from hetorch.errors import InputError

T = TypeVar("T")


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine over a BlockingDriver, which is never suspended."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine over the blocking driver was suspended; it awaits something else")


class BlockingDriver:
    """Waits in the thread of the caller."""

    def exchange(self, options: HttpOptions) -> BlockingExchange:
        return BlockingExchange(options)

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    async def compute(self, work: Callable[[], T]) -> T:
        return work()

    def lock(self) -> AbstractAsyncContextManager[object]:
        return _ThreadLock()

    def signal(self) -> _ThreadSignal:
        return _ThreadSignal()


class BlockingExchange:
    """Connections of httpx.Client. InputError if the transport is one for asyncio."""

    def __init__(self, options: HttpOptions) -> None:
        if options.transport is not None and not isinstance(options.transport, httpx.BaseTransport):
            raise InputError(
                "transport= must be an httpx.BaseTransport; hetorch.AsyncClient takes the other kind"
            )
        self._watches: set[Watch] = set()
        self._http = httpx.Client(
            base_url=options.base_url,
            auth=options.auth,
            verify=options.verify,
            trust_env=options.trust_env,
            headers=options.headers,
            transport=options.transport,
        )

    async def once(self, attempt: Attempt) -> Reply:
        start = time.perf_counter()
        content = attempt.content.pieces() if isinstance(attempt.content, Body) else attempt.content
        watch = Watch()
        self._watches.add(watch)
        try:
            with (
                watch.over_request(attempt.size, attempt.seconds, attempt.left),
                self._http.stream(
                    attempt.method,
                    attempt.path,
                    content=content,
                    headers=attempt.headers,
                    timeout=attempt.timeout,
                    extensions={"trace": watch.trace},
                ) as response,
            ):
                reading = Reading(attempt, response, start)
                if not reading.enough:
                    for piece in response.iter_raw():
                        if reading.take(piece):
                            break
                return reading.reply()
        except httpx.HTTPError as error:
            if watch.expired:
                raise httpx.ReadTimeout("the server is too slow") from error
            raise
        finally:
            self._watches.discard(watch)

    async def close(self) -> None:
        """Close the connections, also those on which another thread waits: closing alone would not wake it."""
        for watch in list(self._watches):
            watch.cut()
        self._http.close()


class _ThreadLock:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


class _ThreadSignal:
    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        return self._event.wait(seconds)
