"""The worker processes of a pool: forked, listened to, and replaced when they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from hetorch.errors import WireError
from hetorch.progress import Progress
from hetorch.serving.models import ServedModel
from hetorch.serving.quiet_log import QuietLog
from hetorch.serving.work.fork_client import ForkServer
from hetorch.serving.work.messages import Head
from hetorch.serving.work.process_limits import SPARE_BYTES
from hetorch.serving.work.worker_process import WorkerProcess
from hetorch.wire.predict import response_limits

log = logging.getLogger("hetorch.server")

PAUSE_SECONDS = 1.0
"""Time between two attempts to fork a worker or to start a fork server when the last one ended at once, in seconds."""


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """The limits of a pool.

    workers        processes, and so computations at once
    queue          computations that may wait
    queue_per_lane those that may wait of one lane
    key_memory     bytes of keys and encrypted weights that all workers together keep ready
    work_memory    bytes that running computations may take together, as their plans predict
    worker_memory  bytes that one worker may allocate; None for what the largest model needs, and some more
    """

    workers: int
    queue: int
    queue_per_lane: int
    key_memory: int
    work_memory: int
    worker_memory: int | None = None


class Crew:
    """The workers for a set of models. Used from one event loop.

    Args:
        models: all versions of all models.
        limits: see WorkLimits.
        take: called with a worker and each of its messages; WireError, LookupError or TypeError of it end the worker.
        lost: called with a worker that has ended, after it was taken out.
        joined: called when there is a new worker.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        limits: WorkLimits,
        *,
        take: Callable[[WorkerProcess, Head, bytes], None],
        lost: Callable[[WorkerProcess], None],
        joined: Callable[[], None],
    ) -> None:
        self.workers: list[WorkerProcess] = []
        self.fork_server: ForkServer | None = None
        self.leaving: list[WorkerProcess] = []  # of earlier models; they end after what they compute
        self._models = tuple(models)
        self._limits = limits
        self._take, self._lost, self._joined = take, lost, joined
        self._tasks: set[asyncio.Task[None]] = set()
        self._filling = asyncio.Lock()
        self._closed = False
        self._quiet = QuietLog(log)
        self._largest = _largest_response(models)

    async def start(self, progress: Progress | None) -> None:
        """Load the models and fork the workers; PlanUseError if a model cannot be loaded."""
        self.fork_server = await self._load(self._models, progress)
        await self._fill()

    async def renew(self, models: Sequence[ServedModel]) -> None:
        """Go over to other models: new workers, which know them, take what waits, and the present ones end after what
        they compute. While the new ones load, the weights of both are in memory.

        Raises:
            PlanUseError: a model cannot be loaded; the present ones stay.
        """
        replacement = await self._load(models, None)
        before, self.fork_server = self.fork_server, replacement
        self._models = tuple(models)
        self._largest = max(self._largest, _largest_response(models))
        present, self.workers[:] = list(self.workers), []
        self.leaving += present
        for worker in present:
            if worker.computation is None:
                worker.kill()
        if before is not None:
            await before.stop()
        await self._fill()

    async def _load(self, models: Sequence[ServedModel], progress: Progress | None) -> ForkServer:
        """Return a new fork server that has loaded these models."""
        sources = [model.source for model in models]
        fork_server = await asyncio.to_thread(ForkServer.start, sources, progress)
        await fork_server.attach()
        self.run(self._mind_fork_server(fork_server))
        return fork_server

    def close(self) -> None:
        """Replace nobody who ends from now on."""
        self._closed = True

    async def stop(self) -> None:
        """End all processes, also those that compute."""
        self._closed = True
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in (*self.workers, *self.leaving):
            worker.kill()
            worker.close()
        if self.fork_server is not None:
            await self.fork_server.stop()

    async def _mind_fork_server(self, fork_server: ForkServer) -> None:
        """Start another fork server when this one ends; its workers go on."""
        await fork_server.ended.wait()
        if self.fork_server is not fork_server:  # other models have another one
            return
        while not self._closed:
            log.error("the process that forks workers ended; another one is started")
            try:
                self.fork_server = None
                replacement = await self._load(self._models, None)
            except Exception as error:
                log.error("it could not be started: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self.fork_server = replacement
            await fork_server.stop()
            await self._fill()
            return

    async def _fill(self) -> None:
        """Fork the workers that are missing."""
        async with self._filling:
            while self.fork_server is not None and len(self.workers) < self._limits.workers:
                await self._add_worker(self.fork_server)

    async def _add_worker(self, fork_server: ForkServer) -> None:
        limits = self._limits
        keys = limits.key_memory // limits.workers
        largest = max((model.need.memory for model in self._models), default=0)
        memory = limits.worker_memory or SPARE_BYTES + keys + largest * 5 // 4
        forked = await fork_server.fork(memory, keys)
        worker = await WorkerProcess.connect(forked, fork_server)
        if fork_server is not self.fork_server:  # it knows earlier models
            worker.kill()
            worker.close()
            return
        self.workers.append(worker)
        self.run(self._listen(worker))
        self._joined()

    async def _listen(self, worker: WorkerProcess) -> None:
        """Take what a worker tells, until it ends; then replace it."""
        try:
            while (message := await worker.read(self._largest)) is not None:
                self._take(worker, *message)
        except (WireError, LookupError, TypeError) as error:
            self._quiet.warn(f"worker {worker.pid} sent what is no answer: {error}")
            worker.kill()
        (self.workers if worker in self.workers else self.leaving).remove(worker)
        worker.close()
        self.run(self._replace(worker))
        self._lost(worker)

    async def _replace(self, worker: WorkerProcess) -> None:
        """Fork a worker in place of one that ended; after a pause if that one had computed nothing."""
        if not worker.computations:
            await asyncio.sleep(PAUSE_SECONDS)
        while not self._closed:
            try:
                await self._fill()
                return
            except (OSError, TimeoutError) as error:
                self._quiet.warn(f"no worker can be forked: {error}")
                await asyncio.sleep(PAUSE_SECONDS)

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine in the background until this stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _largest_response(models: Sequence[ServedModel]) -> int:
    return max((response_limits(model.public).largest for model in models), default=0)
