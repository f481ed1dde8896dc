"""Run the service on a socket until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from hetorch.atomic_files import SHARED, write_atomically
from hetorch.errors import InputError, StorageError
from hetorch.server.connections import (
    ACCEPTED_AT_ONCE,
    WAITING_FOR_ACCEPT,
    ConnectionLimits,
    ListeningSocket,
    raise_descriptor_limit,
    ready_protocol,
)
from hetorch.server.exposure import Tls
from hetorch.server.settings import Settings
from hetorch.serving.work.thread_pool import WORKER_THREADS

Listening = Callable[[str], None]
"""Called with the base address once the server accepts connections."""


def bind(host: str, port: int) -> ListeningSocket:
    """Return a socket bound to this host and port (0: any free one); InputError if that is not possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = ListeningSocket(family, kind, protocol)
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


def address_of(bound: socket.socket, *, tls: bool = False) -> str:
    """Return the address `http://host:port` of a bound socket, or `https://host:port`."""
    host, port = bound.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(
    app: Starlette,
    bound: ListeningSocket,
    settings: Settings,
    listening: Listening,
    *,
    tls: Tls | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests end (at most `shutdown_timeout` seconds), and return.

    `tls`: None for plain HTTP. `app.state.stop_work`, if there is one, is called when the server stops;
    `app.state.connections` is set here.
    """
    limits = ConnectionLimits.within(settings, raise_descriptor_limit(settings.connections))
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # hetorch.server.proxies reads them
        timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout)),
    )
    app.state.connections = limits  # for the metrics
    stopping = getattr(app.state, "stop_work", None)
    with stopped_by_signals():
        address = address_of(bound, tls=tls is not None)
        server = _Server(config, lambda: listening(address), settings, limits, stopping, tls)
        server.run(sockets=[bound])


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """End the block at SIGINT or SIGTERM, which are no failure of a server: nothing is raised after it.

    uvicorn has handlers of its own while it serves, and raises the signals again when it has closed everything. In
    another thread than the main one, where no signals arrive, the block is left as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave_computations() -> None:
    """End the process with exit code 0 if a worker still computes; return if none does.

    A computation cannot be stopped, and Python waits for the threads of its pools when it ends.
    """
    for thread in threading.enumerate():
        if thread.name.startswith(WORKER_THREADS):
            thread.join(0.2)  # an idle one ends at once
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)


@contextlib.contextmanager
def ready_file(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Give the function that writes the ready file; the file exists only while the server of this block is ready.

    A file that an earlier server left is removed first, and at the end the one of this block, unless another server has
    written its own there since. None is no file. StorageError if the earlier file cannot be removed.
    """
    if path is None:
        yield lambda address: None
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove the old ready file {path}: {error.strerror}") from error
    addresses: list[str] = []

    def write(address: str) -> None:
        write_ready_file(path, address)
        addresses.append(address)

    try:
        yield write
    finally:
        with contextlib.suppress(OSError, UnicodeDecodeError):  # the server has ended well without it
            if path.read_text() in [f"{address}\n" for address in addresses]:
                path.unlink()


def write_ready_file(path: Path, address: str) -> None:
    """Write the address as one line to a file that is complete from the moment it exists. OSError if that fails.

    A symbolic link at `path` is replaced, not followed: the folder may be one for all users, such as /tmp.
    """
    write_atomically(path, f"{address}\n".encode(), mode=SHARED)


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it listens, limits connections, and closes idle ones: uvicorn waits for ever for
    the head of a request, and for a client to read the rest of its answer."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: Callable[[], None],
        settings: Settings,
        limits: ConnectionLimits,
        stopping: Callable[[], None] | None = None,
        tls: Tls | None = None,
    ) -> None:
        config.http = ready_protocol(limits)
        config.ws = "none"  # an upgraded connection would leave the protocol that counts it
        config.loop = "asyncio"  # whose failure to accept tell_accept_failure knows
        config.backlog = ACCEPTED_AT_ONCE  # asyncio takes it for both; the kernel's is set in startup
        super().__init__(config)
        self._listening = listening
        self._limits = limits
        self._stopping = stopping
        self._tls = tls
        self._head_timeout = settings.head_timeout
        self._idle_timeout = settings.idle_timeout
        # For each connection without a request in progress: its last request, and the time when this was first seen.
        self._idle: dict[Any, tuple[object, float]] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._limits.tell_accept_failure)
        # Not with options of uvicorn's, which has chosen weak ciphers in some versions.
        self.config.ssl = None if self._tls is None else self._tls.context()
        for bound in sockets or []:
            if isinstance(bound, ListeningSocket):
                bound.limits = self._limits
        await super().startup(sockets)
        for bound in sockets or []:
            bound.listen(WAITING_FOR_ACCEPT)
        if self.started:
            self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse waiting computations at once, and let running ones end."""
        if self._stopping is not None:
            self._stopping()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Close idle connections once a second; uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            self._limits.close_unready(self._head_timeout)
            self._close_idle(time.monotonic())
        return await super().on_tick(counter)

    def _close_idle(self, now: float) -> None:
        idle: dict[Any, tuple[object, float]] = {}
        for connection in list(self.server_state.connections):
            last = getattr(connection, "cycle", None)  # the latest request with its answer
            # A connection that is closing does so only when its client has read the rest: it counts as idle too.
            if last is not None and not last.response_complete and not connection.transport.is_closing():
                continue
            seen, since = self._idle.get(connection, (last, now))
            if seen is not last:  # there was another request in between
                since = now
            reads = connection.transport.is_closing()
            if now - since > (self._idle_timeout if reads else self._head_timeout):
                connection.transport.abort()
            else:
                idle[connection] = last, since
        self._idle = idle
