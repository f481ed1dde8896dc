"""Limits of a server; every one has a default that suits one machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from hetorch.errors import InputError
from hetorch.ir.matrix_memory import physical_memory
from hetorch.quantities import exact_size_text
from hetorch.serving.keys.disk_store import DiskLimits
from hetorch.wire.limits import REQUEST_SECONDS

log = logging.getLogger("hetorch.server")

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
        body_memory: bytes of request bodies held at once; None for the default of `memory_limits`.
        key_memory: bytes of evaluation keys and encrypted weights ready for use; None for the default of
            `memory_limits`.
        key_folder: a folder that keeps uploads; None for a temporary one, which goes when the process ends.
        key_disk: bytes that uploads in `key_folder` may take; in a temporary one, at most twice `key_memory`.
        key_quota: bytes of one tenant's uploads; None for no limit of its own.
        key_days: days after which uploads that nobody has used are deleted; None to keep them.
        uploads_per_tenant: uploads in pieces that one tenant may have under way at once.
        upload_hours: hours after which an upload in pieces that has not ended is given up.
        request_timeout: seconds for one computation, its wait included. Clients are told and wait as long.
        head_timeout: seconds for the head of a request, from the connection or the answer before it.
        idle_timeout: seconds between two pieces of a body, and for reading an answer beyond the time that its length
            allows.
        shutdown_timeout: seconds for running requests when the server stops.
        connections: most connections at once; fewer if the process may not open as many files.
        connections_per_address: most connections from one address (IPv6: one /64 network); None for half of all.
            Behind a proxy, which is one address, allow all.
        tokens: the file of API tokens (`hetorch token`) of which each request needs one; None lets anyone ask.
        audit_log: a file that gets a JSON line for each request; None for none.
    """

    workers: int = 2
    queue: int = 16
    body_memory: int | None = None
    key_memory: int | None = None
    key_folder: Path | None = None
    key_disk: int = 64 * GIB
    key_quota: int | None = None
    key_days: float | None = 90.0
    uploads_per_tenant: int = 16
    upload_hours: float = 24.0
    request_timeout: float = REQUEST_SECONDS
    head_timeout: float = 10.0
    idle_timeout: float = 30.0
    shutdown_timeout: float = SHUTDOWN_SECONDS
    connections: int = CONNECTIONS
    connections_per_address: int | None = None
    tokens: Path | None = None
    audit_log: Path | None = None

    def __post_init__(self) -> None:
        for name in (
            "workers",
            "body_memory",
            "key_memory",
            "key_disk",
            "key_quota",
            "uploads_per_tenant",
            "connections",
            "connections_per_address",
        ):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.queue < 0:
            raise InputError(f"queue must be at least 0, got {self.queue}")
        for name in ("request_timeout", "head_timeout", "idle_timeout", "shutdown_timeout"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be a positive number of seconds, got {getattr(self, name)!r}")
        for name in ("key_days", "upload_hours"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive, got {getattr(self, name)!r}")

    def key_limits(self, key_memory: int) -> DiskLimits:
        """Return the limits of the key folder. A temporary one, which may lie in memory, has at most twice
        `key_memory`, so that what is open fits."""
        size = self.key_disk if self.key_folder is not None else min(self.key_disk, 2 * key_memory)
        return DiskLimits(size, self.key_quota, None if self.key_days is None else self.key_days * 86400)

    def memory_limits(self, keys_needed: int = 0, body_needed: int = 0) -> tuple[int, int]:
        """Return the bytes for keys and encrypted weights, and those for bodies. A line in the log tells if they exceed
        this machine's memory, which is that of the control group (a container, a unit of systemd) where it has a limit.

        A default is a quarter of the memory for keys, at most 16 GiB, and an eighth for bodies, at most 8 GiB and what
        the limit for keys leaves; or what is needed, if that is more and less than the memory.

        Args:
            keys_needed: bytes of keys and encrypted weights of one client, for the largest model.
            body_needed: bytes of the largest body.
        """
        memory = physical_memory() or 64 * GIB
        keys = self.key_memory
        if keys is None:
            keys = max(min(16 * GIB, memory // 4), keys_needed if keys_needed < memory else 0)
        bodies = self.body_memory
        if bodies is None:
            left = memory - keys if memory > keys else memory
            bodies = max(min(8 * GIB, memory // 8, left), body_needed if body_needed < memory else 0)
        if physical_memory() is not None and keys + bodies > memory:
            log.warning(
                "keys may take %s (--key-memory, key_memory=) and request bodies %s (--body-memory, body_memory=), "
                "more than the memory of this machine or control group, %s; lower one of them",
                exact_size_text(keys),
                exact_size_text(bodies),
                exact_size_text(memory),
            )
        return keys, bodies
