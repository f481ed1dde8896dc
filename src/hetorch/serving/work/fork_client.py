"""The server's side of the fork server: starting it, and asking it for workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from hetorch.errors import PlanUseError
from hetorch.progress import Progress
from hetorch.serving.models.loaded_model import ModelSource
from hetorch.serving.work.fork_server import ENCODED, ENDED, FORKED, READY
from hetorch.serving.work.messages import pack, read, receive

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""Environment of the processes that compute, for glibc: a worker keeps up to 64 MiB that it has freed, and blocks below
32 MiB among them, instead of asking the system for memory in every operation, a tenth of the time of small ones."""
FORK_SECONDS = 60.0
"""Longest time for one fork, in seconds; it takes some 10 ms for each gigabyte of weights."""
STATUS_SECONDS = 5.0
"""Longest time for the exit status of a worker that has ended, in seconds; it is told for the log only."""


@dataclass(frozen=True, slots=True)
class Forked:
    """A new worker: its process id, a descriptor that stands for that process alone, and the connection to it."""

    pid: int
    process: int
    connection: socket.socket

    def kill(self) -> None:
        """End the process at once, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def forget(self) -> None:
        """Close the descriptor."""
        os.close(self.process)


class ForkServer:
    """A running fork server. It ends when this object is closed or forgotten."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lock = asyncio.Lock()
        self._forked: asyncio.Future[int] | None = None
        self._statuses: dict[int, asyncio.Future[int]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._finalizer = weakref.finalize(self, _end, process, control)
        self.ended: asyncio.Event = asyncio.Event()

    @classmethod
    def start(cls, sources: Iterable[ModelSource], progress: Progress | None = None) -> ForkServer:
        """Start a fork server and wait until it has loaded all models; `progress` is told names and fractions. This
        blocks: call it in a thread.

        Raises:
            PlanUseError: a model cannot be loaded, or the process ended.
        """
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "hetorch.serving.work.fork_server", str(theirs.fileno())]
        with theirs:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=ALLOCATOR | os.environ
            )
        try:
            entries = [asdict(source) | {"folder": str(source.folder)} for source in sources]
            with contextlib.suppress(ConnectionError):  # it ended with the models unread
                ours.sendall(pack({"models": entries}))
                while (message := receive(ours)) is not None:
                    head, _ = message
                    if head["is"] == READY:
                        return cls(process, ours)
                    if head["is"] != ENCODED:
                        raise PlanUseError(str(head["sentence"]))
                    if progress is not None:
                        progress(head["model"], head["fraction"])
            raise PlanUseError(ended_early(process.wait()))
        except BaseException:
            _end(process, ours)
            raise

    async def attach(self) -> None:
        """Listen to the fork server in the running event loop; `ended` is set when it ends."""
        self._control.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=self._control)
        self._listener = asyncio.create_task(self._listen(reader, writer))

    async def fork(self, memory: int, key_memory: int) -> Forked:
        """Return a new worker that may allocate `memory` bytes, and keeps up to `key_memory` bytes of them for keys.

        Raises:
            OSError: the fork server has ended, or does not answer.
        """
        async with self._lock:
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    self._forked = asyncio.get_running_loop().create_future()
                    socket.send_fds(self._control, [b"f"], [theirs.fileno()])
                    self._control.send(pack({"memory": memory, "key_memory": key_memory}))
                    pid = await asyncio.wait_for(self._forked, FORK_SECONDS)
                ours.setblocking(False)
                return Forked(pid, os.pidfd_open(pid), ours)
            except BaseException:
                ours.close()
                raise

    async def status(self, pid: int) -> int | None:
        """Return the exit code of a worker that has ended, negative for a signal; None if it is not told in time."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._status(pid)), STATUS_SECONDS)
        except TimeoutError:
            return None
        finally:
            self._statuses.pop(pid, None)

    async def stop(self) -> None:
        """End the fork server. Its workers end when their own connections are closed."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await asyncio.to_thread(self._finalizer)

    def _status(self, pid: int) -> asyncio.Future[int]:
        return self._statuses.setdefault(pid, asyncio.get_running_loop().create_future())

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (message := await read(reader, 0)) is not None:
                head, _ = message
                if head["is"] == FORKED and self._forked is not None and not self._forked.done():
                    self._forked.set_result(head["pid"])
                elif head["is"] == ENDED and not self._status(head["pid"]).done():
                    self._status(head["pid"]).set_result(os.waitstatus_to_exitcode(head["status"]))
        finally:
            writer.transport.abort()
            if self._forked is not None and not self._forked.done():
                self._forked.set_exception(ConnectionError("the fork server has ended"))
            self.ended.set()


def ended_early(code: int) -> str:
    """Return the sentence on a process that ended with this exit code, negative for a signal, before it had loaded
    all models."""
    if code < 0:
        return f"signal {-code} ended the process that loads the models; is there memory for their weights?"
    return f"the process that loads the models ended with exit code {code}; its error output has the reason"


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """Close the connection to a fork server, at which it ends, and take its exit status."""
    control.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:  # it still loads
        process.kill()
        process.wait()
