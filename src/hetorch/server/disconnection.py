"""Work for a client that may go away: nothing more is done for it then."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

R = TypeVar("R")

UNWATCHED_SECONDS = 0.05
"""Time of a request in which its client is not watched, in seconds: most requests end in it, and need no watcher.
Raised, the work for a client that has gone goes on for longer."""


async def while_connected(request: Request, work: Coroutine[Any, Any, R]) -> R:
    """Return the result of `work`, which is cancelled when the client closes its connection.

    The body of the request must have been read.

    Raises:
        ClientDisconnect: the client went away.
        Exception: whatever `work` raises.
    """
    watch = _Watch(request)
    timer = asyncio.get_running_loop().call_later(UNWATCHED_SECONDS, watch.begin)
    try:
        return await work
    except asyncio.CancelledError:
        if not watch.gone:
            raise
        watch.task.uncancel()
        raise ClientDisconnect from None
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """A watcher of one client, who cancels the task in which it was made when the client goes."""

    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.gone = False
        self._request = request
        self._watcher: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Watch from now on."""
        self._watcher = asyncio.create_task(self._watch())

    def end(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()
