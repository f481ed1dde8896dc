"""The jobs of a server, as a client asks for them and waits for them.

A server may answer a prediction by a job, which takes longer than a request may; whoever asked follows it until it has
ended, fetches the result and acknowledges it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from hetorch.client.transport import Answer, Transport
from hetorch.errors import RemoteError, WireError
from hetorch.wire import addresses
from hetorch.wire.jobs import PREFER_HEADER, JobState, JobStatus, load_job

FOLLOW_SECONDS = 1
"""Time after which the server tells the status of a job that goes on, in seconds; raised, progress is shown less often,
and the server is asked less often."""

Told = Callable[[JobStatus], None]
"""A function that is called with each status of a job."""
_TOLD: ContextVar[Told | None] = ContextVar("who is told of the jobs of the running call", default=None)


@contextlib.contextmanager
def told_of_jobs(told: Told) -> Iterator[None]:
    """Tell a function of the jobs that this thread or task waits for in the block."""
    token = _TOLD.set(told)
    try:
        yield
    finally:
        _TOLD.reset(token)


class RemoteJobs:
    """The jobs of the server behind a transport. Every method raises RemoteError, with the code of the refusal, and
    WireError for a malformed answer."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def status(self, job: str, wait: int | None = None) -> JobStatus:
        """Ask for the status of a job; with `wait`, when it has ended or so many seconds have passed."""
        headers = {} if wait is None else {PREFER_HEADER: f"wait={wait}"}
        answer = await self._transport.send("GET", addresses.job(job), headers=headers)
        return _checked(load_job(answer.body), job)

    async def follow(self, job: str, told: Told | None = None) -> JobStatus:
        """Wait until a job has ended; return its last status. `told` is called with each."""
        while True:
            status = await self.status(job, FOLLOW_SECONDS)
            if told is not None:
                told(status)
            if status.status.has_ended:
                return status

    async def result(self, job: str, limit: int) -> Answer:
        """Fetch the result of a job, of at most `limit` bytes; RemoteError with the reason if it failed."""
        return await self._transport.send("GET", addresses.job_result(job), limit=limit)

    async def remove(self, job: str) -> None:
        """Acknowledge the result of a job, or cancel it."""
        await self._transport.send("DELETE", addresses.job(job))

    async def finished(self, answer: Answer, limit: int) -> Answer:
        """Return the answer to a prediction: the one given, or the result of the job that it tells of. If this is
        interrupted, the job is cancelled."""
        if not is_job(answer):
            return answer
        job = load_job(answer.body).job
        try:
            status = await self.follow(job, _TOLD.get())
            if status.status is JobState.CANCELLED:
                raise RemoteError(f"the job {job[:12]}… was cancelled by someone else")
            return await self.result(job, limit)
        finally:
            with contextlib.suppress(RemoteError):  # the server forgets it by itself when its time is over
                await self.remove(job)


def is_job(answer: Answer) -> bool:
    """True if the answer to a prediction tells of a job and not the result."""
    return "location" in answer.headers


def _checked(status: JobStatus, job: str) -> JobStatus:
    if status.job != job:
        raise WireError("the server's answer is about another job than was asked for")
    return status
