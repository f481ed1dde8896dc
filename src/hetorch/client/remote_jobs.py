"""The jobs of a server, as a client asks for them and waits for them.

A server may answer a prediction by a job, which takes longer than a request may; whoever asked follows it until it has
ended, fetches the result and acknowledges it. Where somebody watches the progress, the client asks for a job of
shorter predictions too, since only a job tells its layers. Such a followed job has as long as a request. If the server
does not know it, being another or a new one, the client asks again and waits for the answer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace

from hetorch.client.retries import afterwards
from hetorch.client.transport import Answer, Transport
from hetorch.errors import RemoteError, WireError
from hetorch.wire import addresses
from hetorch.wire.jobs import (
    PREFER_HEADER,
    PREFERENCE_APPLIED_HEADER,
    JobState,
    JobStatus,
    load_job,
    load_preference,
)

WATCHED_SECONDS = 5
"""Expected time of an answer, in whole seconds, above which a client asks for a job where somebody watches the
progress. Raised, longer predictions show the time only, and no layers; lowered, the server also writes requests and
results of shorter ones to its disk, and each costs 20 ms (60 ms on a busy machine) and three small requests more."""
FOLLOW_SECONDS = 1
"""Time after which the server tells the status of a job that goes on, in whole seconds; raised, progress is shown less
often, and the server is asked less often. A job that WATCHED_SECONDS makes is told of that many times at least."""
REMOVE_SECONDS = 5.0
"""Longest time for acknowledging or cancelling the job of a call that has ended, in seconds. Raised, a call that is
interrupted ends later where the server does not answer; lowered, a job over a slow network may stay."""

Told = Callable[[JobStatus], None]
"""A function that is called with each status of a job."""
_TOLD: ContextVar[Told | None] = ContextVar("who is told of the jobs of the running call", default=None)


@contextlib.contextmanager
def told_of_jobs(told: Told | None) -> Iterator[None]:
    """Tell a function of the jobs that this thread or task waits for in the block; None where nobody watches."""
    token = _TOLD.set(told)
    try:
        yield
    finally:
        _TOLD.reset(token)


def longest_wait(patience: float) -> float:
    """Return the seconds after which the running call rather has a job than an answer that it waits for.

    `patience`: the seconds that the server allows itself for a request.
    """
    return patience if _TOLD.get() is None else min(WATCHED_SECONDS, patience)


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

    async def follow(self, job: str, told: Told | None = None, seconds: float | None = None) -> JobStatus:
        """Wait until a job has ended, or `seconds` have passed; return its last status. `told` is called with each."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            status = await self.status(job, FOLLOW_SECONDS)
            if told is not None:
                told(status)
            if status.status.has_ended or (end is not None and time.monotonic() >= end):
                return status

    async def result(self, job: str, limit: int) -> Answer:
        """Fetch the result of a job, of at most `limit` bytes; RemoteError with the reason if it failed."""
        return await self._transport.send("GET", addresses.job_result(job), limit=limit)

    async def remove(self, job: str) -> None:
        """Acknowledge the result of a job, or cancel it."""
        await self._transport.send("DELETE", addresses.job(job))

    async def finished(self, answer: Answer, asked: str, limit: int) -> Answer:
        """Return the answer to a prediction: the one given, or the result of the job that it tells of, with its times
        since the prediction was sent. If this is interrupted, the job is cancelled.

        Args:
            answer: the answer given.
            asked: the request, for messages.
            limit: most bytes of the result.
        """
        if not is_job(answer):
            return answer
        start = time.perf_counter() - answer.last_byte
        job = load_job(answer.body).job
        seconds = self._transport.timeout if is_followed(answer) else None
        try:
            status = await self.follow(job, _TOLD.get(), seconds)
            if status.status is JobState.CANCELLED:
                raise RemoteError(f"the job {job[:12]}… was cancelled by someone else")
            if seconds is not None and not status.status.has_ended:
                raise self._transport.late(asked, seconds)
            before = time.perf_counter() - start
            result = await self.result(job, limit)
        finally:
            # The server forgets it by itself when its time is over.
            with contextlib.suppress(RemoteError), afterwards(REMOVE_SECONDS):
                await self.remove(job)
        return replace(result, first_byte=before + result.first_byte, last_byte=before + result.last_byte)


def is_job(answer: Answer) -> bool:
    """True if the answer to a prediction tells of a job and not the result."""
    return "location" in answer.headers


def is_followed(answer: Answer) -> bool:
    """True if it tells of a followed job: one that a request would have had the time for."""
    return load_preference(answer.headers.get(PREFERENCE_APPLIED_HEADER, "")).wait is not None


def _checked(status: JobStatus, job: str) -> JobStatus:
    if status.job != job:
        raise WireError("the server's answer is about another job than was asked for")
    return status
