"""The connections of a server: how many there may be, below the limit of file descriptors, and which are closed.

uvicorn takes every connection, waits for ever for the head of a request and for a client to read its answer, and a
minute for a TLS handshake. A stranger with idle connections would so use up the descriptors of the process, which then
accepts nobody.
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

from hetorch.errors import InputError
from hetorch.server.bounded_protocol import BoundedProtocol
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


def ready_protocol(limits: ConnectionLimits) -> type[BoundedProtocol]:
    """Return the protocol that tells the limits when a connection is ready for a request, and the application the
    client's certificate."""

    class Ready(BoundedProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            limits.drop_unready(transport.get_extra_info("socket").fileno())
            certificate = certificate_of(transport.get_extra_info("peercert"))
            if certificate is not None:
                self.app_state = self.app_state | {CERTIFICATE: certificate}

    return Ready
