"""Run the service on a socket until it is told to stop."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from hetorch.errors import InputError
from hetorch.server.isolation import isolate
from hetorch.server.settings import Settings

Listening = Callable[[str], None]
"""Called with the base address once the server accepts connections."""


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to this host and port (0: any free one); InputError if that is not possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen on {host!r} port {port}: {error}; choose another host or port"
        ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """`http://host:port` of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Starlette, bound: socket.socket, settings: Settings, listening: Listening) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests end (at most `shutdown_timeout` seconds).

    From here on this process cannot import key generation or decryption.
    """
    isolate()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
    )
    # uvicorn passes Ctrl-C on after it has closed everything; to be stopped so is no failure.
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, lambda: listening(address_of(bound)), settings.idle_timeout).run(sockets=[bound])


def write_ready_file(path: Path, address: str) -> None:
    """The address as one line, complete from the moment the file exists."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    # The folder may be one for all, as /tmp is, and the name can be guessed: a link that waits there is not followed.
    partial.unlink(missing_ok=True)
    with partial.open("x") as file:
        file.write(address + "\n")
    partial.replace(path)


class _Server(uvicorn.Server):
    """Says when it listens, and closes connections on which nothing happens: uvicorn waits for ever for the head of a
    request, and for a client that has been answered to read the rest."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], idle_timeout: float) -> None:
        super().__init__(config)
        self._listening = listening
        self._idle_timeout = idle_timeout
        # Connections without a request in progress: the last one they had, and since when this was seen.
        self._idle: dict[Any, tuple[object, float]] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            self._close_idle(time.monotonic())
        return await super().on_tick(counter)

    def _close_idle(self, now: float) -> None:
        idle: dict[Any, tuple[object, float]] = {}
        for connection in list(self.server_state.connections):
            last = getattr(connection, "cycle", None)  # a request and its answer
            # A connection that is given up closes only when its reader takes what is left: it counts as idle too.
            if last is not None and not last.response_complete and not connection.transport.is_closing():
                continue
            seen, since = self._idle.get(connection, (last, now))
            if seen is not last:  # there was one in between
                since = now
            if now - since > self._idle_timeout:
                connection.transport.abort()
            else:
                idle[connection] = last, since
        self._idle = idle
