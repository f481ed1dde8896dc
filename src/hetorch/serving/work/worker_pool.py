"""The pool of worker processes: who computes, what waits, and what is stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from hetorch.errors import MixupError, WireError
from hetorch.progress import Progress
from hetorch.serving.errors import (
    Busy,
    ComputationFailed,
    DeadlinePassed,
    KeysMissing,
    ModelUnknown,
    OutOfMemory,
    WeightsMissing,
    WorkerLost,
)
from hetorch.serving.metrics import Metrics
from hetorch.serving.models import ServedModel
from hetorch.serving.quiet_log import QuietLog
from hetorch.serving.work import worker as told
from hetorch.serving.work.computation import Computation, Computed, Order, Tell
from hetorch.serving.work.crew import Crew, WorkLimits
from hetorch.serving.work.estimates import Estimates
from hetorch.serving.work.messages import Head
from hetorch.serving.work.waiting import Waiting
from hetorch.serving.work.worker_process import WorkerProcess
from hetorch.wire.codes import Code
from hetorch.wire.status import WorkerStatus

log = logging.getLogger("hetorch.server")

STOPPED = "the server was stopped; try again when it runs"
"""The sentence for requests that a stopped server does not fulfil."""
STOP_SECONDS = 60.0
"""Time that a worker has for the operation during which it was told to stop, in seconds; then its process is killed.
Raised, one that hangs is missing for longer."""
STARTS = 2
"""Number of workers that begin a computation, one after the other, when they die of it: it is retried once."""


class WorkerPool:
    """Worker processes for a set of models. Used from one event loop.

    Args:
        models: all versions of all models.
        limits: see WorkLimits.
        metrics: is told `step_seconds` by `model` and `step`, `worker_deaths`, `retries`, and `abandoned` by
            `reason`, for computations that nobody waits for any more.
    """

    def __init__(self, models: Sequence[ServedModel], limits: WorkLimits, metrics: Metrics) -> None:
        self._known = {model.version for model in models}
        self._limits = limits
        self._metrics = metrics
        self._waiting = Waiting(limits.workers, limits.queue, limits.queue_per_lane)
        self._estimates = Estimates()
        self._estimates.predict({model.version: model.need.seconds for model in models})
        self._crew = Crew(models, limits, take=self._take, lost=self._lost, joined=self._dispatch)
        self._renewing = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._closed = False
        self._quiet = QuietLog(log)

    @property
    def _workers(self) -> list[WorkerProcess]:
        return [*self._crew.workers, *self._crew.leaving]

    @property
    def pending(self) -> int:
        """The number of computations that run or wait."""
        return len(self._waiting) + sum(worker.computation is not None for worker in self._workers)

    def snapshot(self) -> list[WorkerStatus]:
        """Return what each worker does."""
        return [worker.snapshot() for worker in self._workers]

    @property
    def waiting(self) -> int:
        """The number of computations that wait."""
        return len(self._waiting)

    def not_ready(self) -> list[str]:
        """Return the reasons for which no computation is taken now, as clauses that name no model and no tenant."""
        starting, workers = self._starting, self._crew.workers
        idle = any(worker.is_idle for worker in workers)
        reasons = {
            "the server is stopping": self._closed,
            "the models are being loaded": starting is not None and not starting.done(),
            "no worker runs": starting is not None and starting.done() and not workers,
            "the queue is full": bool(workers) and not idle and self.waiting >= self._limits.queue,
            "all workers compute beyond their time": bool(workers) and all(w.stopping for w in workers),
        }
        return [reason for reason, holds in reasons.items() if holds]

    def expected_seconds(self, model: ServedModel, lane: str) -> float:
        """Return the seconds after which a computation that comes now would end."""
        return self._predicted_wait(lane) + self.seconds(model)

    def seconds(self, model: ServedModel) -> float:
        """Return the expected time of a run of a model."""
        return self._estimates.seconds(model.version)

    async def start(self, progress: Progress | None = None) -> None:
        """Load the models and fork the workers; at once if that was done. `progress` is told names and fractions of
        encoded weights.

        Raises:
            PlanUseError: a model cannot be loaded.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(self._crew.start(progress))
        await asyncio.shield(self._starting)

    async def renew(self, models: Sequence[ServedModel]) -> None:
        """Go over to other models, as Crew.renew; its errors are the same."""
        async with self._renewing:
            await self.start()
            await self._crew.renew(models)
            self._known = {model.version for model in models}
            self._estimates.predict({model.version: model.need.seconds for model in models})

    def computes(self, model: ServedModel) -> bool:
        """True while a computation of this version waits or runs."""
        running = [worker.computation for worker in self._workers]
        return any(
            c is not None and c.order.model.version == model.version for c in (*running, *self._waiting)
        )

    async def compute(self, order: Order, tell: Tell | None = None) -> Computed:
        """Compute in a worker. If the caller is cancelled, what waits is taken out, and what runs ends at its next
        operation; so too after the order's timeout.

        Raises:
            Busy: the queue is full, the wait would take too long, or the server is stopped.
            DeadlinePassed: it did not end in its time.
            WireError: the request is malformed, or made for other keys.
            KeysMissing, WeightsMissing: they left the store, or are damaged there.
            OutOfMemory: the worker may not take as much memory.
            WorkerLost: two workers died while they computed it.
            ComputationFailed: it failed as only a fault of ours can.
        """
        if self._closed:
            raise Busy(STOPPED)
        await self.start()
        if order.model.version not in self._known:
            raise ModelUnknown(order.model.name)  # it was retired just now
        loop = asyncio.get_running_loop()
        computation = Computation(order, loop.create_future(), loop.time(), tell)
        self._admit(computation)
        if order.timeout is not None:
            computation.timer = loop.call_later(order.timeout, self._expire, computation)
        self._dispatch()
        try:
            return await computation.future
        except asyncio.CancelledError:
            self._abandon(computation, "gone")
            if self._closed:
                raise Busy(STOPPED) from None
            raise
        finally:
            if computation.timer is not None:
                computation.timer.cancel()

    def close(self) -> None:
        """Take no more computations, and refuse waiting ones at once; running ones go on."""
        self._closed = True
        self._crew.close()
        for computation in self._waiting.clear():
            _fail(computation, Busy(STOPPED))

    async def stop(self) -> None:
        """End all processes, also those that compute."""
        self.close()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._crew.stop()
        for worker in self._workers:
            if worker.computation is not None:
                _fail(worker.computation, Busy(STOPPED))
        self._crew.workers.clear()
        self._crew.leaving.clear()

    def _admit(self, computation: Computation) -> None:
        """Let a computation wait, or raise Busy."""
        order = computation.order
        wait = self._predicted_wait(order.lane, long=order.long)
        if (
            order.timeout is not None
            and wait > order.timeout
            and self._estimates.is_measured(order.model.version)
        ):
            raise Busy(f"the computations before this one take about {wait:.0f} s; try again later", wait)
        if self._can_begin(order) and not len(self._waiting):
            self._waiting.push_first(computation)
            return
        added, dropped = self._waiting.push(computation)
        if not added:
            raise Busy(
                f"no more computations are taken beside {self.pending} that run or wait; try again", wait
            )
        if dropped is not None:
            _fail(dropped, Busy("this computation lost its place to those of others; try again", wait))

    def _predicted_wait(self, lane: str, *, long: bool = False) -> float:
        """Return the seconds after which a new computation would begin."""
        if any(worker.is_idle for worker in self._crew.workers) and not len(self._waiting):
            return 0.0
        now = time.monotonic()
        running = [
            max(0.0, self.seconds(worker.computation.order.model) - (now - worker.since))
            for worker in self._workers
            if worker.computation is not None
        ]
        waiting = [self.seconds(ahead.order.model) for ahead in self._waiting.ahead(lane, long=long)]
        return (sum(running) + sum(waiting)) / self._limits.workers

    def _can_begin(self, order: Order) -> bool:
        """True if there is an idle worker, and memory beside what runs; one alone always has it."""
        running = [w.computation.order for w in self._workers if w.computation is not None]
        if not any(worker.is_idle for worker in self._crew.workers):
            return False
        used = sum(other.model.need.memory for other in running)
        return not running or used + order.model.need.memory <= self._limits.work_memory

    def _dispatch(self) -> None:
        """Begin as many waiting computations as there are idle workers, and memory, for."""
        while True:
            long_running = sum(w.computation is not None and w.computation.order.long for w in self._workers)
            first = self._waiting.first(long_running)
            if first is None or not self._can_begin(first.order):
                return
            self._waiting.take(first)
            worker = next(worker for worker in self._crew.workers if worker.is_idle)
            first.starts += 1
            first.waited = asyncio.get_running_loop().time() - first.submitted
            worker.begin(first)

    def _expire(self, computation: Computation) -> None:
        assert computation.order.timeout is not None
        _fail(computation, DeadlinePassed(computation.order.timeout, long=computation.order.long))
        self._abandon(computation, "deadline")

    def _abandon(self, computation: Computation, reason: str) -> None:
        """Stop a computation that nobody waits for any more."""
        if self._waiting.remove(computation):
            self._metrics.count("abandoned", reason=reason)
            return
        for worker in self._workers:
            if worker.computation is computation and not worker.stopping:
                self._metrics.count("abandoned", reason=reason)
                worker.stop()
                asyncio.get_running_loop().call_later(STOP_SECONDS, self._kill_stuck, worker, computation)

    def _kill_stuck(self, worker: WorkerProcess, computation: Computation) -> None:
        if worker.computation is computation:
            log.warning("worker %d does not stop; it is killed", worker.pid)
            worker.kill()

    def _lost(self, worker: WorkerProcess) -> None:
        """Take note of a worker that has ended."""
        if worker.computation is not None:
            self._crew.run(self._retry(worker, worker.computation))

    async def _retry(self, worker: WorkerProcess, computation: Computation) -> None:
        """Begin the computation of a dead worker again, or fail it."""
        self._metrics.count("worker_deaths")
        status = await worker.fork_server.status(worker.pid)
        reason = "ended"
        if status is not None:
            reason = f"was ended by signal {-status}" if status < 0 else f"ended with exit code {status}"
        self._quiet.warn(f"worker {worker.pid} {reason} while it computed {computation.order.model.name!r}")
        if computation.future.done() or self._closed:
            _fail(computation, Busy(STOPPED))
        elif computation.starts < STARTS:
            self._metrics.count("retries")
            self._waiting.push_first(computation)
            self._dispatch()
        else:
            _fail(computation, WorkerLost(reason))

    def _take(self, worker: WorkerProcess, head: Head, body: bytes) -> None:
        """Take a message of a worker about its computation."""
        computation = worker.computation
        if computation is None:
            raise WireError("an answer to nothing")
        if head["is"] == told.PROGRESS:
            if computation.tell is not None and not computation.future.done():
                computation.tell(int(head["done"]), str(head["layer"]))
            return
        worker.end()
        if not computation.future.done():
            self._settle(computation, head, body)
        if worker in self._crew.leaving:
            worker.kill()
        elif head["is"] != told.NO_MEMORY:  # after that a worker ends
            worker.is_idle = True
        self._dispatch()

    def _settle(self, computation: Computation, head: Head, body: bytes) -> None:
        """Give a computation its result or its error."""
        order, how = computation.order, head["is"]
        name = order.model.name
        if how == told.DONE:
            milliseconds = {step: float(head["milliseconds"][step]) for step in ("parse", "run", "dump")}
            self._estimates.observe(order.model.version, milliseconds["run"] / 1e3)
            steps = {"queue": computation.waited * 1e3} | milliseconds
            for step, value in steps.items():
                self._metrics.observe("step_seconds", value / 1e3, model=name, step=step)
            computation.future.set_result(Computed(body, steps))
        elif how == told.NO_MEMORY:
            self._metrics.count("out_of_memory")
            _fail(computation, OutOfMemory(name))
        elif how == told.FAILED:
            _fail(computation, ComputationFailed(str(head["traceback"])))
        elif head.get("code") == Code.KEYS_MISSING:
            _fail(computation, KeysMissing(order.key_id))
        elif head.get("code") == Code.WEIGHTS_MISSING:
            _fail(computation, WeightsMissing(name, order.key_id))
        elif head.get("code") == told.MIXUP:
            _fail(computation, MixupError(str(head.get("what")), str(head["sentence"])))
        else:
            _fail(computation, WireError(str(head["sentence"])))


def _fail(computation: Computation, error: Exception) -> None:
    if not computation.future.done():
        computation.future.set_exception(error)
