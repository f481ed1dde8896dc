"""The two ways of waiting, as the client's one implementation sees them.

All that a client does is written once, as coroutines over a Driver. `blocking` waits in the thread of the caller, so
that its coroutines end without ever being suspended; `event_loop` waits in asyncio. Only these two modules wait.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import httpx

from hetorch.client.attempt import Attempt, Reply

T = TypeVar("T")

AnyTransport = httpx.BaseTransport | httpx.AsyncBaseTransport
"""A transport of httpx, of the kind that the driver needs."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The options of a client of httpx, of either kind."""

    base_url: str
    auth: httpx.BasicAuth | None = field(repr=False)
    verify: ssl.SSLContext | bool
    trust_env: bool
    headers: dict[str, str] = field(repr=False)
    transport: AnyTransport | None


class Exchange(Protocol):
    """Connections to one server."""

    async def once(self, attempt: Attempt) -> Reply:
        """Send one request and read its answer. RemoteError from Reading, and the errors of httpx; its TimeoutException
        too where the whole takes too long in small steps."""

    async def close(self) -> None:
        """Close the connections."""


class Signal(Protocol):
    """A mark that is set once, and for which others wait."""

    def set(self) -> None:
        """Set the mark."""

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until the mark is set, or until `seconds` have passed; return True if it is set."""


class Driver(Protocol):
    """A way of waiting."""

    def exchange(self, options: HttpOptions) -> Exchange:
        """Return connections with these options. ValueError, ImportError or httpx.InvalidURL if the proxy that the
        environment names cannot be used."""

    async def pause(self, seconds: float) -> None:
        """Wait."""

    async def compute(self, work: Callable[[], T]) -> T:
        """Return the result of work that takes processor time."""
        ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Return a new lock among the users of one client."""
        ...

    def signal(self) -> Signal:
        """Return a new signal."""
        ...
