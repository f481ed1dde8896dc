"""The jobs of a service: taken, run in turn, watched, cancelled, and kept until their result is acknowledged."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from hetorch.engine.random import random_seed
from hetorch.errors import HetorchError, WireError
from hetorch.serving.errors import (
    Busy,
    JobFailed,
    JobUnfinished,
    JobUnknown,
    OutOfMemory,
    ServiceError,
    WorkerLost,
)
from hetorch.serving.jobs.job_limits import JobLimits
from hetorch.serving.jobs.job_store import Job, JobStore, dump_milliseconds, load_milliseconds
from hetorch.serving.jobs.live_job import LiveJob
from hetorch.serving.models import ServedModel
from hetorch.serving.private_folder import PrivateFolder
from hetorch.serving.service import Service
from hetorch.serving.work.computation import Computed
from hetorch.serving.work.fair_queue import FairQueue
from hetorch.wire.codes import Code
from hetorch.wire.frame import load_header
from hetorch.wire.jobs import JobState, JobStatus
from hetorch.wire.predict import response_limits

log = logging.getLogger("hetorch.server")

AGE_SECONDS = 10.0
"""Time between two looks for results whose time is over, in seconds; raised, they stay for as much longer."""
BUSY_SECONDS = 1.0
"""Pause before a job is begun again for which the workers had no room, in seconds."""
STARTS = 2
"""Times that a job is begun by a server that dies meanwhile: once more than the first."""
MEMORY_STARTS = 3
"""Times that a job is begun for which a worker finds no memory."""
UNFOLLOWED_SECONDS = 300.0
"""Time after which a followed job is cancelled and forgotten if nobody asks for it, in seconds. Raised, jobs whose
clients were killed compute and count for longer; lowered, a client that is cut off for so long loses its result."""


class Jobs:
    """The jobs of a service. Used from one event loop.

    Tenants take turns, as in the queue of the workers. A job that runs when the process dies is begun again by the next
    one, once, and is a followed one no longer.

    Args:
        service: it computes.
        folder: where jobs are kept; None for a temporary folder, which ends with the process.
        limits: see JobLimits.
    """

    def __init__(self, service: Service, folder: Path | None, limits: JobLimits) -> None:
        self._service = service
        self._folder = PrivateFolder("jobs") if folder is None else folder
        self._opened: JobStore | None = None
        self._limits = limits
        self._jobs: dict[str, LiveJob] = {}
        self._queue: FairQueue[str] = FairQueue(1 << 30, 1 << 30)
        self._running = 0
        self._number = 0
        self._closed = False
        self._ageing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take up the jobs that an earlier process left. StorageError if the folder cannot be used."""
        folder = self._folder if isinstance(self._folder, Path) else self._folder.path
        self._opened = await asyncio.to_thread(JobStore, folder)
        for job in await asyncio.to_thread(self._store.load):
            live = LiveJob(job, self._operations(job.model))
            self._jobs[job.id] = live
            self._number = max(self._number, job.number)
            if job.state.has_ended:
                continue
            if job.starts >= STARTS:
                lost = WorkerLost("was ended by the end of the server")
                await self._end(live, JobState.FAILED, lost.code, str(lost))
                continue
            live.job = replace(job, state=JobState.QUEUED)
            self._queue.push(job.lane, job.id)
        self._ageing = asyncio.create_task(self._age())
        self._begin()

    async def stop(self) -> None:
        """End what runs here; the next process takes it up again."""
        self._closed = True
        for live in self._jobs.values():
            live.tell()
        tasks = [*self._tasks, *([] if self._ageing is None else [self._ageing])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._opened is not None:
            await asyncio.to_thread(self._opened.close)

    def close(self) -> None:
        """Take no more jobs, begin none, and let nobody wait for one."""
        self._closed = True
        for live in self._jobs.values():
            live.tell()

    async def submit(
        self,
        model: ServedModel,
        tenant: str | None,
        key_id: str,
        request: bytes | bytearray,
        lane: str,
        *,
        followed: bool = False,
    ) -> JobStatus:
        """Keep a new job and return its status.

        Args:
            model: the model, with the uploads of the tenant.
            tenant: whose job it is; None where there are no tenants.
            key_id: the evaluation keys to use.
            request: the predict request.
            lane: who asks, for the turns in the queue.
            followed: True for a job for which somebody waits as for a request: it takes its turn with requests, and
                ends when nobody has asked for it in UNFOLLOWED_SECONDS.

        Raises:
            Busy: the tenant has as many jobs as it may, or their files take as much disk as they may.
            StorageError: the job cannot be written.
        """
        size = len(request) + response_limits(model.public).largest
        self._check_room(tenant, size)
        self._number += 1
        job = Job(
            base64.urlsafe_b64encode(random_seed()).rstrip(b"=").decode(),
            tenant,
            model.name,
            key_id,
            lane,
            JobState.QUEUED,
            starts=0,
            bytes=size,
            left=self._limits.life,
            number=self._number,
        )
        live = LiveJob(job, model.need.operations, followed)
        self._jobs[job.id] = live
        try:
            await asyncio.to_thread(self._store.add, job, request)
        except BaseException:
            del self._jobs[job.id]
            raise
        status = live.status()
        if followed:
            self._launch(live)
        else:
            self._queue.push(lane, job.id)
            self._begin()
        return status

    def _check_room(self, tenant: str | None, size: int) -> None:
        """Raise Busy unless the tenant may have one more job, of that many bytes."""
        owned = Counter(live.job.tenant for live in self._jobs.values())
        if self._closed or self._opened is None:
            raise Busy("the server is stopped, or not ready for jobs; try again when it runs")
        if owned[tenant] >= self._limits.per_tenant:
            raise Busy(
                f"there are {owned[tenant]} jobs, the most that one tenant may have; fetch and acknowledge results, or "
                "cancel jobs (DELETE)"
            )
        if size + sum(live.job.bytes for live in self._jobs.values()) > self._limits.disk:
            raise Busy(
                "the jobs take as much disk as they may; try again when results have been acknowledged"
            )

    def status(self, job_id: str, tenant: str | None) -> JobStatus:
        """Return the status of a job; JobUnknown if this tenant has none with this id."""
        return self._find(job_id, tenant).status()

    async def wait(self, job_id: str, tenant: str | None, seconds: float) -> JobStatus:
        """Return the status of a job when it has ended, or after so many seconds; JobUnknown as for `status`."""
        live = self._find(job_id, tenant)
        try:
            async with asyncio.timeout(seconds):
                while not live.job.state.has_ended and not self._closed:
                    await live.changed.wait()
        except TimeoutError:
            pass
        live.asked = time.monotonic()
        return live.status()

    async def events(self, job_id: str, tenant: str | None, pause: float) -> AsyncIterator[JobStatus | None]:
        """Yield the status of a job now and whenever it changes, until it has ended; None after each `pause` seconds
        without a change. JobUnknown as for `status`."""
        live, last = self._find(job_id, tenant), None
        while True:
            changed, status = live.changed, live.status()
            live.asked = time.monotonic()
            yield None if status == last else status
            last = status
            if status.status.has_ended or self._closed:
                return
            try:
                async with asyncio.timeout(pause):
                    await changed.wait()
            except TimeoutError:
                continue

    async def result(self, job_id: str, tenant: str | None) -> Computed:
        """Return the response of a job.

        Raises:
            JobUnknown: this tenant has no job with this id.
            JobUnfinished: it has no result yet.
            JobFailed: it has none and never will.
            StorageError: the response cannot be read.
        """
        job = self._find(job_id, tenant).job
        if not job.state.has_ended:
            raise JobUnfinished(job_id, job.state)
        if job.state is not JobState.DONE:
            raise JobFailed(_code(job.code), job.message or "the job failed")
        response = await asyncio.to_thread(self._store.response, job_id)
        return Computed(response, load_milliseconds(job.milliseconds))

    async def remove(self, job_id: str, tenant: str | None) -> JobStatus:
        """Forget a job: a result is acknowledged, and what has not ended is cancelled and stops at its next operation.
        Return its last status. JobUnknown as for `status`."""
        live = self._find(job_id, tenant)
        if not live.job.state.has_ended:
            live.job = replace(live.job, state=JobState.CANCELLED)
        del self._jobs[job_id]
        self._queue.remove(live.job.lane, job_id)
        if live.task is not None:
            live.task.cancel()
        live.tell()
        await asyncio.to_thread(self._store.remove, job_id)
        return live.status()

    def snapshot(self) -> dict[str, int]:
        """Return the number of jobs in each state; from any thread."""
        states = Counter(live.job.state for live in list(self._jobs.values()))
        return {f"jobs_{state}": states[state] for state in JobState if state is not JobState.CANCELLED}

    @property
    def _store(self) -> JobStore:
        assert self._opened is not None, "start() comes first"
        return self._opened

    def _find(self, job_id: str, tenant: str | None) -> LiveJob:
        live = self._jobs.get(job_id)
        if live is None or live.job.tenant != tenant:
            raise JobUnknown(job_id)
        live.asked = time.monotonic()
        return live

    def _operations(self, model: str) -> int:
        served = self._service.models.get(model)
        return 0 if served is None else served.need.operations

    def _begin(self) -> None:
        """Begin as many jobs as may run."""
        while not self._closed and len(self._queue) and self._running < self._limits.at_once:
            live = self._jobs[self._queue.pop()]
            self._running += 1
            self._launch(live)

    def _launch(self, live: LiveJob) -> None:
        live.task = asyncio.create_task(self._run(live))
        self._tasks.add(live.task)
        live.task.add_done_callback(self._tasks.discard)

    async def _run(self, live: LiveJob) -> None:
        try:
            await self._compute(live)
        except asyncio.CancelledError:
            if not self._closed and live.job.state is not JobState.CANCELLED:
                raise
        except HetorchError as error:  # of the disk, which may be full
            log.error("job %s… cannot be kept: %s", live.job.id[:12], error)
            live.job = replace(
                live.job, state=JobState.FAILED, code=Code.INTERNAL, message="the server failed"
            )
            live.tell()
        finally:
            live.task = None
            if not live.followed:
                self._running -= 1
                self._begin()

    async def _compute(self, live: LiveJob) -> None:
        job = live.job
        live.job = job = replace(job, starts=job.starts + 1, state=JobState.RUNNING)
        await asyncio.to_thread(self._store.write, job)
        live.tell()
        attempts = 0
        while True:
            attempts += 1
            try:
                computed = await self._predict(live)
                break
            except Busy as error:
                if self._closed:
                    return
                if isinstance(error, OutOfMemory) and attempts >= MEMORY_STARTS:
                    return await self._end(live, JobState.FAILED, error.code, str(error))
                await asyncio.sleep(error.retry_after or BUSY_SECONDS)
            except ServiceError as error:
                return await self._end(live, JobState.FAILED, error.code, str(error))
            except WireError as error:
                return await self._end(live, JobState.FAILED, Code.MESSAGE_MALFORMED, str(error))
            except HetorchError as error:
                log.error("job %s… failed: %s", job.id[:12], error)
                told = f"the server failed; its log has more under {job.id[:12]}"
                return await self._end(live, JobState.FAILED, Code.INTERNAL, told)
        finished = replace(
            live.job, state=JobState.DONE, milliseconds=dump_milliseconds(computed.milliseconds)
        )
        await asyncio.to_thread(self._store.finish, finished, computed.response)
        live.job = finished
        live.tell()

    async def _predict(self, live: LiveJob) -> Computed:
        job = live.job
        request = await asyncio.to_thread(self._store.request, job.id)
        model = self._service.model(job.model, job.tenant, load_header(request).model.hex())

        def tell(done: int, layer: str) -> None:
            live.done, live.layer = done, layer
            live.tell()

        timeout = self._limits.request if live.followed else self._limits.timeout
        return await self._service.predict(
            model, job.key_id, request, lane=job.lane, timeout=timeout, long=not live.followed, tell=tell
        )

    async def _end(self, live: LiveJob, state: JobState, code: Code, message: str) -> None:
        """Keep the reason for which a job has no result."""
        ended = replace(live.job, state=state, code=code.value, message=message)
        await asyncio.to_thread(self._store.write, ended)
        live.job = ended
        live.tell()

    async def _age(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(min(AGE_SECONDS, self._limits.life))
            now = time.monotonic()
            try:
                over = await asyncio.to_thread(self._store.age, now - last)
                last = now
                for job_id in over:
                    live = self._jobs.pop(job_id, None)
                    if live is not None:
                        live.tell()
                    await asyncio.to_thread(self._store.remove, job_id)
                for live in list(self._jobs.values()):
                    if live.followed and now - live.asked > UNFOLLOWED_SECONDS:
                        await self.remove(live.job.id, live.job.tenant)
            except HetorchError as error:
                log.error("old jobs cannot be deleted: %s", error)


def _code(word: str | None) -> Code:
    """Return the code of a failure; INTERNAL for one that this version does not know."""
    return next((code for code in Code if code.value == word), Code.INTERNAL)
