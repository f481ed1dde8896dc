"""Limits of a server; every one has a default that suits one machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from hetorch.errors import InputError
from hetorch.machine_memory import physical_memory
from hetorch.quantities import exact_size_text
from hetorch.server.configuration.fields import check_fields
from hetorch.server.configuration.kinds import Bytes, Count, Integer, Seconds
from hetorch.server.networks import parse_proxies
from hetorch.serving.keys.disk_store import DiskLimits
from hetorch.wire.limits import REQUEST_SECONDS

log = logging.getLogger("hetorch.server")

GIB = 1 << 30
DAY = 86400.0
SHUTDOWN_SECONDS = 30.0
"""Time that running requests have when the server is stopped, in seconds, unless its owner chooses another."""

CONNECTIONS = 4096
"""Most connections at once unless the server's owner chooses another number; each takes a descriptor and up to 200 KB
of memory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of one server. InputError if one is out of range.

    A field is a setting of `hetorch serve` too: a key of its file, an environment variable and a flag, whose help is
    the field's line here.

    Args:
        workers: number of predictions computed at once.
        queue: number of predictions that may wait behind them.
        queue_per_tenant: number of them that one tenant, or one address where there are no tokens, may have; all if
            left out. In a full queue, whoever has most gives way to others.
        work_memory: memory for running predictions together, as their plans predict it; what keys and bodies leave of
            the machine's if left out.
        worker_memory: memory that one worker process may take beside the weights; what the largest model needs, and
            some more, if left out.
        jobs: answer with a job where a client takes one. With ray there are none, since another replica would be asked.
        job_folder: a folder that keeps jobs and their results; a private temporary one if left out, which ends with the
            process.
        jobs_per_tenant: most jobs of one tenant, or of all where there are no tokens, with results that nobody fetched.
        job_disk: disk space that the requests and results of jobs may take.
        job_timeout: time for one job, its wait for a worker included.
        job_life: time for which the result of a job is kept, unless it is acknowledged before.
        body_memory: memory for request bodies; an eighth of this machine's, at most 8 GiB, or what a model needs, if
            left out.
        key_memory: memory for clients' evaluation keys and encrypted weights; a quarter of this machine's, at most
            16 GiB, or what a model needs, if left out.
        key_folder: a folder that keeps uploaded keys and encrypted weights; a temporary one, which goes when the server
            ends, if left out.
        key_folder_shared: servers on several machines use the key folder; set with ray.
        key_share: an address for fsspec, such as s3://bucket/keys, where servers without a common folder share uploads;
            each of them keeps a folder of its own beside it. S3 needs hetorch[s3]. Not with ray.
        key_disk: disk space that the key folder may take; a temporary one takes at most twice `key_memory`.
        key_quota: disk space that the uploads of one tenant may take; all of `key_disk` if left out.
        key_age: time after which uploads that nobody has used are deleted.
        uploads_per_tenant: number of uploads in pieces that one tenant may have under way.
        upload_time: time after which an upload in pieces that is not complete is given up.
        request_timeout: time for one prediction, its wait included. Clients learn this time and wait as long.
        head_timeout: time for the head of a request, from the connection or the answer before it.
        idle_timeout: time between two pieces of a body, and for reading an answer beyond the time that its length
            allows.
        shutdown_timeout: time that running predictions have to end when the server is stopped.
        connections: most connections at once; fewer if the process may not open as many files.
        connections_per_address: most connections from one address, or IPv6 /64 network; half of all if left out, all
            with trusted proxies. Behind a proxy, which is one address, allow all.
        tokens: the file of API tokens (`hetorch token`), one of which each request needs. It is read again when it
            changes. Anyone may ask if left out.
        tenants: a file (TOML) with limits for tenants: requests_per_minute, bytes_per_day and concurrent_requests, for
            all and, in tables with their names, for single ones. It is read again when it changes. It needs tokens.
        audit_log: a file that gets a JSON line for each request: who, what, when, sizes, outcome, never contents.
        traces: make OpenTelemetry spans of requests and of the steps of predictions; OTEL_TRACES_EXPORTER and its like
            tell where they go. Needs hetorch[telemetry].
        trusted_proxies: the addresses or networks of the proxies at which TLS ends. The client's address is then taken
            from their X-Forwarded-For, and the id of a request from their X-Request-Id. Other machines that come past
            them over plain HTTP get the server's health only.
        insecure: let other machines reach the server without TLS or tokens, also past the trusted proxies.
    """

    workers: Count = 2
    queue: Annotated[int, Integer(0)] = 16
    queue_per_tenant: Count | None = None
    work_memory: Bytes | None = None
    worker_memory: Bytes | None = None
    jobs: bool = True
    job_folder: Path | None = None
    jobs_per_tenant: Count = 64
    job_disk: Bytes = 16 * GIB
    job_timeout: Seconds = 24 * 3600.0
    job_life: Seconds = 24 * 3600.0
    body_memory: Bytes | None = None
    key_memory: Bytes | None = None
    key_folder: Path | None = None
    key_folder_shared: bool = False
    key_share: str | None = None
    key_disk: Bytes = 64 * GIB
    key_quota: Bytes | None = None
    key_age: Seconds = 90 * DAY
    uploads_per_tenant: Count = 16
    upload_time: Seconds = DAY
    request_timeout: Seconds = REQUEST_SECONDS
    head_timeout: Seconds = 10.0
    idle_timeout: Seconds = 30.0
    shutdown_timeout: Seconds = SHUTDOWN_SECONDS
    connections: Count = CONNECTIONS
    connections_per_address: Count | None = None
    tokens: Path | None = None
    tenants: Path | None = None
    audit_log: Path | None = None
    traces: bool = False
    trusted_proxies: tuple[str, ...] = ()
    insecure: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        parse_proxies(self.trusted_proxies)
        if self.key_share is not None and self.key_folder_shared:
            raise InputError(
                "key_share= is for servers without a common folder: leave key_folder_shared= out"
            )
        if self.tenants is not None and self.tokens is None:
            raise InputError("tenants= needs tokens=, which tell the tenant of a request")

    def memory_for_work(self, taken: int) -> int:
        """Return the bytes for running predictions beside `taken` bytes of keys and bodies. One prediction alone may
        take more."""
        if self.work_memory is not None:
            return self.work_memory
        return max(0, (physical_memory() or 64 * GIB) - taken)

    def key_limits(self, key_memory: int) -> DiskLimits:
        """Return the limits of the key folder. A temporary one, which may lie in memory, has at most twice
        `key_memory`, so that what is open fits."""
        size = self.key_disk if self.key_folder is not None else min(self.key_disk, 2 * key_memory)
        return DiskLimits(size, self.key_quota, self.key_age, self.key_folder_shared)

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
