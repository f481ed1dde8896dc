"""Reading request bodies: their size is checked before and while they come, and the memory for them is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from hetorch.quantities import size_text
from hetorch.server.refusal import Refusal
from hetorch.wire.addresses import OCTETS
from hetorch.wire.codes import Code
from hetorch.wire.limits import SLOWEST_BYTES_PER_SECOND

MAX_LENGTH_DIGITS = 18
"""Digits of a Content-Length header that are read: more than any plan allows, and below 2^63."""


class BodyBudget:
    """The memory for request bodies, in bytes, over all requests of one event loop."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Hold the memory of one request's body until the block ends.

        Only bytes that have come are counted: a length that is declared and never sent takes no room from anyone.
        """
        held = Held(self)
        try:
            yield held
        finally:
            self._free += held.size

    def check_free(self, size: int) -> None:
        """Raise Refusal (busy) unless `size` bytes are free."""
        if size > self._free:
            raise Refusal(Code.BUSY, "the server holds as many request bodies as it may; try again")

    def take(self, size: int) -> None:
        """Take `size` bytes; Refusal (busy) unless they are free."""
        self.check_free(size)
        self._free -= size


class Held:
    """The part of a budget that one request's body takes."""

    def __init__(self, budget: BodyBudget) -> None:
        self.budget = budget
        self.size = 0

    def more(self, size: int) -> None:
        """Count `size` bytes that have come; Refusal (busy) if there is no room for them."""
        self.budget.take(size)
        self.size += size


def check_content_type(request: Request) -> None:
    """Raise Refusal unless the body is an octet stream."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != OCTETS:
        raise Refusal(
            Code.CONTENT_TYPE_UNSUPPORTED,
            f"the body must be {OCTETS}, the request says {content_type[:60] or 'nothing'!r}",
        )


async def read_body(
    request: Request, held: Held, *, smallest: int, largest: int, what: str, idle_timeout: float
) -> bytearray:
    """Read the whole body of a request into memory, as `receive_body` does."""
    body = bytearray()

    async def take(piece: bytes) -> None:
        held.more(len(piece))
        body.extend(piece)

    await receive_body(
        request, take, held=held, smallest=smallest, largest=largest, what=what, idle_timeout=idle_timeout
    )
    return body


async def receive_body(
    request: Request,
    take: Callable[[bytes], Awaitable[None]],
    *,
    held: Held | None = None,
    smallest: int,
    largest: int,
    what: str,
    idle_timeout: float,
) -> int:
    """Pass the body of a request on as it comes; return its length.

    A declared Content-Length is checked before anything is read.

    Args:
        request: the request, its body not yet read.
        take: gets each piece.
        held: has the budget in which a declared length must fit; None for none.
        smallest: fewest bytes of the body.
        largest: most bytes of the body.
        what: a noun phrase for error sentences, such as "an upload of keys".
        idle_timeout: seconds without a byte after which the client is refused.

    Raises:
        Refusal: the body is too large, too short, incomplete or too slow, its length is malformed, or it does not fit
            beside the bodies that are held.
    """
    declared = request.headers.get("content-length")
    if declared is not None:
        if not (declared.isascii() and declared.isdigit()) or len(declared) > MAX_LENGTH_DIGITS:
            raise Refusal(Code.CONTENT_LENGTH_MALFORMED, f"Content-Length is not a number: {declared[:40]!r}")
        _check_size(int(declared), smallest, largest, what)
        if held is not None:
            held.budget.check_free(int(declared))
    length = 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + idle_timeout + largest / SLOWEST_BYTES_PER_SECOND
    async for piece in _chunks(request, idle_timeout):
        if loop.time() > deadline:
            raise Refusal(
                Code.BODY_TOO_SLOW,
                f"{what} came slower than {SLOWEST_BYTES_PER_SECOND >> 10} KiB a second; the server stopped reading",
            )
        if length + len(piece) > largest:
            raise Refusal(
                Code.BODY_TOO_LARGE, f"{what} has at most {size_text(largest)}, this body is larger"
            )
        await take(piece)
        length += len(piece)
    _check_size(length, smallest, largest, what)
    return length


def _check_size(size: int, smallest: int, largest: int, what: str) -> None:
    if size > largest:
        raise Refusal(
            Code.BODY_TOO_LARGE, f"{what} has at most {size_text(largest)}, this body has {size_text(size)}"
        )
    if size < smallest:
        raise Refusal(
            Code.BODY_TOO_SHORT,
            f"{what} has at least {smallest} bytes, this body has {size}; it was cut short",
        )


async def _chunks(request: Request, idle_timeout: float) -> AsyncIterator[bytes]:
    """Yield the pieces of a body as they come."""
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(idle_timeout):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refusal(Code.BODY_TOO_SLOW, f"no byte of the body came for {idle_timeout:g} s") from None
        except ClientDisconnect:
            raise Refusal(
                Code.BODY_INCOMPLETE, "the connection closed before the body was complete"
            ) from None
        yield chunk
