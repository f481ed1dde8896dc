"""Reading request bodies: the size is checked before and while they come, and what is held at once is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

OCTETS = "application/octet-stream"
RETRY_AFTER = {"Retry-After": "1"}
SLOWEST_BYTES_PER_SECOND = 64 << 10
"""A body that comes slower than this on the whole is given up: held bodies take room from everyone."""


class BodyBudget:
    """Bytes of request bodies in memory, over all requests of one event loop."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """For one request: what it takes until it ends. Only what has come is taken: a length that is declared and
        never sent takes no room from anyone."""
        held = Held(self)
        try:
            yield held
        finally:
            self._free += held.size

    def check_free(self, size: int) -> None:
        """503 with Retry-After if `size` bytes are not free."""
        if size > self._free:
            raise HTTPException(
                503, "the server holds as many request bodies as it may; try again", RETRY_AFTER
            )

    def take(self, size: int) -> None:
        """check_free, and take them."""
        self.check_free(size)
        self._free -= size


class Held:
    """What one request holds of a budget."""

    def __init__(self, budget: BodyBudget) -> None:
        self.budget = budget
        self.size = 0

    def more(self, size: int) -> None:
        """`size` bytes have come; 503 if there is no room for them."""
        self.budget.take(size)
        self.size += size


def check_content_type(request: Request) -> None:
    """415 unless the body is an octet-stream."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != OCTETS:
        raise HTTPException(
            415, f"the body must be {OCTETS}, the request says {content_type[:60] or 'nothing'!r}"
        )


async def read_body(
    request: Request, held: Held, *, smallest: int, largest: int, what: str, idle_timeout: float
) -> bytearray:
    """The whole body, of `smallest`..`largest` bytes; 413 above, 400 below, 408 if the client stalls or drips, 503 if
    it does not fit beside the others that are `held`.

    A declared Content-Length is checked before anything is read; what really comes is counted as it comes.
    """
    declared = request.headers.get("content-length")
    if declared is not None:
        if not (declared.isascii() and declared.isdigit()) or len(declared) > 18:
            raise HTTPException(400, f"Content-Length is not a number: {declared[:40]!r}")
        _check_size(int(declared), smallest, largest, what)
        held.budget.check_free(int(declared))
    body = bytearray()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + idle_timeout + largest / SLOWEST_BYTES_PER_SECOND
    async for chunk in _chunks(request, idle_timeout):
        if loop.time() > deadline:
            raise HTTPException(
                408, f"{what} came slower than {SLOWEST_BYTES_PER_SECOND >> 10} KiB a second; it was given up"
            )
        if len(body) + len(chunk) > largest:
            raise HTTPException(413, f"{what} has at most {largest} bytes, this body is larger")
        held.more(len(chunk))
        body += chunk
    _check_size(len(body), smallest, largest, what)
    return body


def _check_size(size: int, smallest: int, largest: int, what: str) -> None:
    if size > largest:
        raise HTTPException(413, f"{what} has at most {largest} bytes, this body has {size}")
    if size < smallest:
        raise HTTPException(
            400, f"{what} has at least {smallest} bytes, this body has {size}; it was cut short"
        )


async def _chunks(request: Request, idle_timeout: float) -> AsyncIterator[bytes]:
    stream = request.stream().__aiter__()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), idle_timeout)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HTTPException(408, f"no byte of the body came for {idle_timeout:g} s") from None
        except ClientDisconnect:
            raise HTTPException(400, "the connection closed before the body was complete") from None
        yield chunk
