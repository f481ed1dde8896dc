"""The addresses of jobs: their status, events, result and end."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hetorch.server.access import check_model, token_of
from hetorch.server.tokens import ANYONE
from hetorch.serving.jobs.jobs import Jobs
from hetorch.wire.addresses import EVENTS, JSON, OCTETS, SERVER_TIMING_HEADER
from hetorch.wire.addresses import job as job_address
from hetorch.wire.jobs import (
    PREFER_HEADER,
    PREFERENCE_APPLIED_HEADER,
    JobStatus,
    dump_job,
    dump_preference,
    load_preference,
)
from hetorch.wire.server_timing import dump_server_timing

LONGEST_WAIT_SECONDS = 30.0
"""Longest time for which the answer to a question for the status waits for the end of the job, in seconds. Proxies
break connections on which nothing comes for a minute."""
SILENCE_SECONDS = 10.0
"""Time between two signs of life on a stream of events, in seconds, for the same reason."""


class JobEndpoints:
    """The endpoints of the jobs of one service. JobUnknown for a job of another tenant, as for one that is not there;
    Refusal where the token may not use its model."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def show_job(self, request: Request) -> Response:
        """Answer GET /v1/jobs/{job}: the status; with `Prefer: wait=N` when the job has ended, or after N seconds."""
        job, tenant = self._find(request)
        wait = load_preference(request.headers.get(PREFER_HEADER, "")).wait
        if wait is None:
            return _answer(self._jobs.status(job, tenant))
        return _answer(await self._jobs.wait(job, tenant, min(wait, LONGEST_WAIT_SECONDS)))

    async def job_events(self, request: Request) -> Response:
        """Answer GET /v1/jobs/{job}/events: a server-sent event with the status at each change, until the job has
        ended. The event's name is the state, or `progress` while it runs."""
        job, tenant = self._find(request)

        async def lines() -> AsyncIterator[bytes]:
            async for status in self._jobs.events(job, tenant, SILENCE_SECONDS):
                yield b": nothing new\n\n" if status is None else _event(status)

        # Proxies must not wait for more before they pass an event on, nor keep any.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(lines(), media_type=EVENTS, headers=headers)

    async def job_result(self, request: Request) -> Response:
        """Answer GET /v1/jobs/{job}/result: the response to the predict request; it stays until it is acknowledged."""
        job, tenant = self._find(request)
        computed = await self._jobs.result(job, tenant)
        headers = {SERVER_TIMING_HEADER: dump_server_timing(computed.milliseconds)}
        return Response(computed.response, media_type=OCTETS, headers=headers)

    async def remove_job(self, request: Request) -> Response:
        """Answer DELETE /v1/jobs/{job}: acknowledge a result, or cancel; the job is then unknown."""
        job, tenant = self._find(request)
        return _answer(await self._jobs.remove(job, tenant))

    def _find(self, request: Request) -> tuple[str, str | None]:
        """Return the job that the address names and the tenant whose it is."""
        job, tenant = request.path_params["job"], tenant_of(request)
        check_model(request, self._jobs.status(job, tenant).model)
        return job, tenant


def tenant_of(request: Request) -> str | None:
    """Return the tenant of a request; None where everyone may ask."""
    token = token_of(request)
    return None if token is ANYONE else token.tenant


def accepted(status: JobStatus, wait: float | None = None) -> Response:
    """Return the answer to a prediction that has become a job; `wait`: the client's, if the job is a followed one."""
    headers = {"Location": job_address(status.job), PREFERENCE_APPLIED_HEADER: dump_preference(wait)}
    return Response(dump_job(status), 202, headers, media_type=JSON)


def _answer(status: JobStatus) -> Response:
    return Response(dump_job(status), media_type=JSON, headers={"Cache-Control": "no-store"})


def _event(status: JobStatus) -> bytes:
    name = "progress" if status.status == "running" else status.status.value
    return f"event: {name}\ndata: ".encode() + dump_job(status) + b"\n\n"
