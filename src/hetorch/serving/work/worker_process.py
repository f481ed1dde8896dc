"""A worker process as the server sees it."""

from __future__ import annotations

import asyncio
import time

from hetorch.serving.work.computation import Computation
from hetorch.serving.work.fork_client import Forked, ForkServer
from hetorch.serving.work.messages import Head, pack, read
from hetorch.serving.work.worker import CANCEL, COMPUTE
from hetorch.wire.status import WorkerStatus

BUFFER_BYTES = 1 << 20
"""Bytes of an answer that are read ahead; a response of more is read in several rounds of the event loop."""


class WorkerProcess:
    """A worker that computes one thing at a time.

    Attributes:
        computation: what it computes; None between two computations.
        since: the monotonic time when that began.
        stopping: True once it was told to stop.
        is_idle: True if it can begin a computation.
        computations: the number of those that it has begun.
        fork_server: the one that forked it.
    """

    def __init__(
        self, forked: Forked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, parent: ForkServer
    ) -> None:
        self.pid = forked.pid
        self.fork_server = parent
        self.computation: Computation | None = None
        self.since = time.monotonic()
        self.stopping = False
        self.is_idle = True
        self.computations = 0
        self._forked = forked
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, forked: Forked, parent: ForkServer) -> WorkerProcess:
        """Connect a worker that was just forked to the running event loop."""
        reader, writer = await asyncio.open_connection(sock=forked.connection, limit=BUFFER_BYTES)
        return cls(forked, reader, writer, parent)

    def begin(self, computation: Computation) -> None:
        """Let it compute."""
        order = computation.order
        self.computation, self.since, self.stopping, self.is_idle = (
            computation,
            time.monotonic(),
            False,
            False,
        )
        self.computations += 1
        head = {
            "do": COMPUTE,
            "model": order.model.version,
            "key_id": order.key_id,
            "keys": str(order.keys),
            "weights": None if order.weights is None else str(order.weights),
            "tell": computation.tell is not None,
        }
        self._writer.writelines((pack(head, len(order.request)), order.request))

    def stop(self) -> None:
        """Tell it to stop at the next operation."""
        self.stopping = True
        self._writer.write(pack({"do": CANCEL}))

    def end(self) -> None:
        """Note that its computation has ended."""
        self.computation, self.stopping = None, False

    async def read(self, largest: int) -> tuple[Head, bytes] | None:
        """Read its next message, of at most `largest` raw bytes; None when it has ended. WireError for no message."""
        return await read(self._reader, largest)

    def kill(self) -> None:
        """End the process at once; `read` then returns None."""
        self._forked.kill()

    def close(self) -> None:
        """Close the connection, at which the process ends. Nothing else may be called behind it."""
        self._writer.transport.abort()
        self._forked.forget()

    def snapshot(self) -> WorkerStatus:
        """Return its process id, and the model and the seconds of what it computes."""
        if self.computation is None:
            return WorkerStatus(self.pid, None, None)
        return WorkerStatus(self.pid, self.computation.order.model.name, time.monotonic() - self.since)
