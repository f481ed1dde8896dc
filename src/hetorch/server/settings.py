"""Limits of a server; every one has a default that suits one machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hetorch.errors import InputError
from hetorch.ir.matrix_memory import physical_memory
from hetorch.quantities import exact_size_text
from hetorch.wire.limits import REQUEST_SECONDS

GIB = 1 << 30
SHUTDOWN_SECONDS = 30.0
"""Time that running requests have when the server is stopped, in seconds, unless its owner chooses another."""

CONNECTIONS = 4096
"""Most connections at once unless the server's owner chooses another number; each takes a descriptor and up to 200 KB
of memory."""


def default_key_memory() -> int:
    """Return a quarter of this machine's memory, at most 16 GiB."""
    return min(16 * GIB, (physical_memory() or 64 * GIB) // 4)


def default_body_memory() -> int:
    """Return an eighth of this machine's memory, at most 8 GiB."""
    return min(8 * GIB, (physical_memory() or 64 * GIB) // 8)


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of one server. InputError if one is out of range, or keys and bodies may take more memory than there
    is.

    Args:
        workers: predictions computed at once.
        queue: predictions that may wait behind them.
        body_memory: bytes of request bodies held at once; an eighth of this machine's memory, at most 8 GiB, if left
            out. Memory is that of the control group (a container, a unit of systemd) where it has a limit.
        key_memory: bytes of evaluation keys and encrypted weights ready for use; a quarter of this machine's memory, at
            most 16 GiB, if left out.
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
        tokens: the file of API tokens (`hetorch token`) of which each request needs one; None lets anyone ask.
        audit_log: a file that gets a JSON line for each request; None for none.
    """

    workers: int = 2
    queue: int = 16
    body_memory: int = field(default_factory=default_body_memory)
    key_memory: int = field(default_factory=default_key_memory)
    key_folder: Path | None = None
    key_disk: int = 64 * GIB
    request_timeout: float = REQUEST_SECONDS
    head_timeout: float = 10.0
    idle_timeout: float = 30.0
    shutdown_timeout: float = SHUTDOWN_SECONDS
    connections: int = CONNECTIONS
    connections_per_address: int | None = None
    tokens: Path | None = None
    audit_log: Path | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "body_memory", "key_memory", "key_disk"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("connections", "connections_per_address"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        memory = physical_memory()
        if memory is not None and self.key_memory + self.body_memory > memory:
            raise InputError(
                f"key_memory {exact_size_text(self.key_memory)} and body_memory {exact_size_text(self.body_memory)} "
                f"exceed the memory of this machine or control group, {exact_size_text(memory)}; lower key_memory="
            )
        if self.queue < 0:
            raise InputError(f"queue must be at least 0, got {self.queue}")
        for name in ("request_timeout", "head_timeout", "idle_timeout", "shutdown_timeout"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be a positive number of seconds, got {getattr(self, name)!r}")
