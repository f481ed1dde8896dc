"""The connections of a server: how many there may be, below the limit of file descriptors, and which are closed.

uvicorn takes every connection, waits for ever for the head of a request and for a client to read its answer, and a
minute for a TLS handshake. A stranger with idle connections would so use up the descriptors of the process, which then
accepts nobody. Its parser in C, llhttp, also takes heads of any length and any number of requests before the first is
answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
import socket
import time
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hetorch.errors import InputError
from hetorch.server.exposure import CERTIFICATE, certificate_of
from hetorch.server.settings import Settings
from hetorch.serving.quiet_log import QuietLog

log = logging.getLogger("hetorch.server")

RESERVED_DESCRIPTORS = 192
"""File descriptors kept for everything but connections: files and the event loop. Raising it takes connections away."""
ACCEPTED_AT_ONCE = 16
"""Connections accepted, or refused, in one round of the event loop; more let a flood of them delay the requests."""
WAITING_FOR_ACCEPT = 1024
"""Connections that the kernel holds until they are accepted; the kernel's own limit (somaxconn) may be lower."""
UNLIMITED = 1 << 30
"""The number that stands for no limit of file descriptors."""
MAX_HEAD_BYTES = 64 << 10
"""Most bytes of a request's line, headers and trailers, of each counted HEADER_BYTES more. Raising it lets a connection
take more memory before any check."""
HEADER_BYTES = 32
"""Bytes that count for a header beside its name and value, as it takes them in memory."""
MAX_PIPELINED = 16
"""Requests that may wait on one connection behind the one that is answered; one more closes it. Raising it lets a
connection take more memory."""
IPV6_NETWORK_BITS = 64
"""Length of the IPv6 prefix that counts as one address: a network gives a customer at least this much."""


def raise_descriptor_limit(connections: int) -> int:
    """Raise this process's soft limit of file descriptors to what so many connections need, at most to the hard one;
    return the limit that holds."""
    needed = connections + RESERVED_DESCRIPTORS
    soft, hard = (
        UNLIMITED if n == resource.RLIM_INFINITY else n for n in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft < min(needed, hard):
        with contextlib.suppress(OSError, ValueError):  # macOS allows fewer than its hard limit says
            _, unchanged = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), unchanged))
            return min(needed, hard)
    return soft


class ConnectionLimits:
    """The connections of one event loop: at most `total`, and `per_address` from one address. Refusals are counted, and
    told once a minute."""

    def __init__(self, total: int, per_address: int) -> None:
        self.total = total
        self.per_address = per_address
        self.refused = 0
        self._open: Counter[str] = Counter()
        self._count = 0
        self._quiet = QuietLog(log)
        self._unready: dict[
            int, tuple[socket.socket, float]
        ] = {}  # by descriptor, with the time of its begin

    @classmethod
    def within(cls, settings: Settings, descriptors: int) -> ConnectionLimits:
        """Return the limits that the settings ask for; InputError if there are too few file descriptors for them."""
        room = descriptors - RESERVED_DESCRIPTORS
        if room < 1:
            raise InputError(
                f"this process may open {descriptors} files, a server needs more than {RESERVED_DESCRIPTORS}; "
                "raise the hard limit (ulimit -Hn)"
            )
        total = min(settings.connections, room)
        if total < settings.connections:
            log.warning(
                "this process may open %d files, so it holds %d connections and not %d; raise the hard limit (ulimit "
                "-Hn) or lower --connections",
                descriptors,
                total,
                settings.connections,
            )
        share = total if settings.trusted_proxies else max(1, total // 2)  # a proxy is one address
        return cls(total, min(settings.connections_per_address or share, total))

    @property
    def open(self) -> int:
        """The number of connections."""
        return self._count

    def admit(self, address: str) -> bool:
        """Count a new connection from an address; False, and a line in the log, if it is one too many."""
        if self._count >= self.total:
            reason = f"there are {self._count}, the most that this server holds"
        elif self._open[address] >= self.per_address:
            reason = f"{address} has {self._open[address]}, the most for one address"
        else:
            self._count += 1
            self._open[address] += 1
            return True
        self.refused += 1
        self._quiet.warn(f"a connection was refused: {reason}")
        return False

    def release(self, address: str) -> None:
        """Count the end of a connection that was admitted."""
        self._count -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def add_unready(self, connection: socket.socket) -> None:
        """Note a connection that is not ready for a request: with TLS one whose handshake has not ended."""
        self._unready[connection.fileno()] = connection, time.monotonic()

    def drop_unready(self, descriptor: int) -> None:
        """Note that a connection is ready, or closes."""
        self._unready.pop(descriptor, None)

    def close_unready(self, seconds: float) -> None:
        """Shut down the connections that have not been ready for `seconds`; their transports then close them."""
        now = time.monotonic()
        for descriptor, (connection, since) in list(self._unready.items()):
            if now - since > seconds:
                del self._unready[descriptor]
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def tell_accept_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an exception of the event loop: the failure to accept, which would be told hundreds of times a second,
        once a minute; any other as asyncio does."""
        if "accept" in context.get("message", ""):
            self._quiet.warn(f"no connection can be accepted: {context.get('exception')}")
        else:
            loop.default_exception_handler(context)


def counted_address(host: str) -> str:
    """Return the address that a client's connections are counted under: the network of an IPv6 address."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))
    return host


class ListeningSocket(socket.socket):
    """A listening socket that admits connections within `limits`, and closes any other as soon as it is accepted.

    They count from here until their descriptor is closed, so that TLS handshakes count as well. None admits all.
    """

    limits: ConnectionLimits | None = None

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; BlockingIOError, which the event loop expects, after ACCEPTED_AT_ONCE refused ones."""
        if self.limits is None:
            return super().accept()
        for _ in range(ACCEPTED_AT_ONCE):
            accepted, address = super().accept()
            counted = counted_address(str(address[0]))
            if self.limits.admit(counted):
                return _Connection(accepted, self.limits, counted), address
            accepted.close()
        raise BlockingIOError


class _Connection(socket.socket):
    """An admitted connection, which counts until it is closed."""

    def __init__(self, accepted: socket.socket, limits: ConnectionLimits, address: str) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self._limits: ConnectionLimits | None = limits
        self._address = address
        limits.add_unready(self)

    def close(self) -> None:
        """Close the connection, which makes room for another."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.drop_unready(self.fileno())
            limits.release(self._address)
        super().close()


def ready_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with bounded heads. It tells the limits when a connection is ready for a request, and
    the application the client's certificate."""

    class Ready(HttpToolsProtocol):
        _head_bytes = 0
        _head_complete = False
        _body_came = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            limits.drop_unready(transport.get_extra_info("socket").fileno())
            certificate = certificate_of(transport.get_extra_info("peercert"))
            if certificate is not None:
                self.app_state = self.app_state | {CERTIFICATE: certificate}

        def data_received(self, data: bytes) -> None:
            before, self._body_came = self._head_bytes, False
            super().data_received(data)
            # The parser tells a header when it has all of it: until then its pieces count as they are.
            if not self._body_came and self._head_bytes == before:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                    self.send_400_response("The head of the request is too long.")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._head_bytes, self._head_complete = 0, False

        def on_url(self, url: bytes) -> None:
            self._count_head(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count_head(len(name) + len(value))
            if (
                not self._head_complete
            ):  # a trailer, which was not there when the headers were checked, is dropped
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            if len(self.pipeline) >= MAX_PIPELINED:
                raise _TooMuch
            self._head_complete = True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._body_came = True
            super().on_body(body)

        def send_400_response(self, msg: str) -> None:
            """Answer a malformed request, or close the connection where this would become part of another answer."""
            last = self.cycle
            if self.pipeline or (last is not None and last.response_started and not last.response_complete):
                self.transport.abort()
            else:
                super().send_400_response(msg)

        def _count_head(self, size: int) -> None:
            """Count bytes of a head and its trailers; the parser answers 400 to an exception."""
            self._head_bytes += size + HEADER_BYTES
            if self._head_bytes > MAX_HEAD_BYTES:
                raise _TooMuch

        def _unsupported_upgrade_warning(self) -> None:
            """Answer a request for a web socket as an ordinary one, without two lines in the log for each."""

    return Ready


class _TooMuch(Exception):
    """A head that is too long, or one request too many before the first is answered."""
