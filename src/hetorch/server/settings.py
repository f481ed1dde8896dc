"""Limits of a server; every one has a default that suits one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hetorch.errors import InputError
from hetorch.wire.limits import REQUEST_SECONDS

GIB = 1 << 30
SHUTDOWN_SECONDS = 30.0
"""Time that running requests have when the server is stopped, in seconds, unless its owner chooses another."""

CONNECTIONS = 4096
"""Most connections at once unless the server's owner chooses another number; each takes a descriptor and up to 200 KB
of memory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of one server. InputError if one is out of range.

    Args:
        workers: predictions computed at once.
        queue: predictions that may wait behind them.
        body_memory: bytes of request bodies held at once.
        key_memory: bytes of evaluation keys and encrypted weights ready for use.
        key_folder: a folder that keeps uploads on disk too; None for memory only.
        key_disk: bytes that uploads in `key_folder` may take.
        request_timeout: seconds for one computation, its wait included. Clients are told and wait as long.
        head_timeout: seconds for the head of a request, from the connection or the answer before it.
        idle_timeout: seconds between two pieces of a body, and for reading an answer beyond the time that its length
            allows.
        shutdown_timeout: seconds for running requests when the server stops.
        connections: most connections at once; fewer if the process may not open as many files.
        connections_per_address: most connections from one address (IPv6: one /64 network); None for half of all.
            Behind a proxy, which is one address, allow all.
    """

    workers: int = 2
    queue: int = 16
    body_memory: int = 8 * GIB
    key_memory: int = 16 * GIB
    key_folder: Path | None = None
    key_disk: int = 64 * GIB
    request_timeout: float = REQUEST_SECONDS
    head_timeout: float = 10.0
    idle_timeout: float = 30.0
    shutdown_timeout: float = SHUTDOWN_SECONDS
    connections: int = CONNECTIONS
    connections_per_address: int | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "body_memory", "key_memory", "key_disk"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("connections", "connections_per_address"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.queue < 0:
            raise InputError(f"queue must be at least 0, got {self.queue}")
        for name in ("request_timeout", "head_timeout", "idle_timeout", "shutdown_timeout"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be a positive number of seconds, got {getattr(self, name)!r}")
