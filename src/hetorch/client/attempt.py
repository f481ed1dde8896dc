"""One HTTP request and its answer as data: what a driver (`blocking`, `event_loop`) sends, and how it reads the answer.

Nothing here waits or opens a connection, so that both drivers obey the same limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpx

from hetorch.client.foreign_answers import is_web_page
from hetorch.errors import RemoteError
from hetorch.quantities import size_text
from hetorch.wire.limits import MAX_ANSWER_BYTES

MAX_CONNECT_SECONDS = 10.0
"""Longest time for making a connection, in seconds, also where one request may take longer."""


@dataclass(frozen=True, slots=True)
class Body:
    """A large request body of `size` bytes. `pieces` is called at each attempt and makes the bytes as they are sent."""

    size: int
    pieces: Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to be sent.

    `seconds`: time for the head of the answer, from the end of the request, and for its body. `left`: time for the
    whole attempt, None for no such bound. `limit`: most bytes of the body of a success.
    """

    url: str
    method: str
    path: str
    content: bytes | Body | None
    headers: dict[str, str]
    limit: int
    seconds: float
    left: float | None = None

    @property
    def size(self) -> int:
        """The bytes of the request's body."""
        return self.content.size if isinstance(self.content, Body) else len(self.content or b"")

    @property
    def timeout(self) -> httpx.Timeout:
        """The time for the connection, and for each read and write."""
        return httpx.Timeout(self.seconds, connect=min(self.seconds, MAX_CONNECT_SECONDS))


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: its head, and its body or the beginning of it.

    `complete`: True for the whole body of a success. `first_byte`, `last_byte`: seconds from the start of the request.
    """

    response: httpx.Response
    body: bytes
    complete: bool
    first_byte: float
    last_byte: float


class Reading:
    """The body of one response, taken piece by piece. RemoteError if it is compressed, too long or too slow.

    Of a refusal or a web page at most MAX_ANSWER_BYTES are read, and nothing of one that is compressed.
    """

    def __init__(self, attempt: Attempt, response: httpx.Response, start: float) -> None:
        self._attempt = attempt
        self._response = response
        self._start = start
        self._first_byte = time.perf_counter() - start
        # httpx bounds each read; a server that sends byte by byte keeps within that bound for ever.
        left = attempt.seconds if attempt.left is None else attempt.left - self._first_byte
        self._deadline = time.monotonic() + min(attempt.seconds, left)
        self._body = bytearray()
        self._complete = response.is_success and not is_web_page(response)
        compressed = "content-encoding" in response.headers
        if compressed and self._complete:
            raise RemoteError(
                f"the server at {attempt.url} sent a compressed answer, which was not asked for"
            )
        self.enough = compressed
        """True if no more needs to be read."""

    def take(self, piece: bytes) -> bool:
        """Take the next piece; return True if no more needs to be read."""
        url, limit = self._attempt.url, self._attempt.limit
        late = time.monotonic() > self._deadline
        if self._complete and late:
            raise RemoteError(
                f"the server at {url} did not finish its answer within {self._attempt.seconds:g} s of its beginning; "
                "wait longer with timeout="
            )
        self._body += piece
        if self._complete and len(self._body) > limit:
            raise RemoteError(f"the server at {url} sent more than the {size_text(limit)} expected")
        if not self._complete and (late or len(self._body) >= MAX_ANSWER_BYTES):
            del self._body[MAX_ANSWER_BYTES:]
            self.enough = True
        return self.enough

    def reply(self) -> Reply:
        """Return what was read."""
        end = time.perf_counter() - self._start
        return Reply(self._response, bytes(self._body), self._complete, self._first_byte, end)
