"""Predictions whose results are fetched later: what `submit` returns, for hetorch.Client and hetorch.AsyncClient."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.client.blocking import finish
from hetorch.client.remote_jobs import RemoteJobs
from hetorch.errors import RemoteError
from hetorch.progress import ProgressOption, reporting
from hetorch.wire.codes import Code
from hetorch.wire.jobs import JobState, JobStatus

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Piece:
    """One request of a prediction: its job on a server, and how its response becomes results."""

    jobs: RemoteJobs
    job: str
    limit: int
    decrypt: Callable[[bytes], Awaitable[Array]]


class JobSteps:
    """A prediction that was submitted, a job for each request. `finish` makes of all rows what the caller gets."""

    def __init__(
        self,
        model: str,
        pieces: Sequence[Piece],
        finish: Callable[[Array], Any],
        progress: ProgressOption,
        lock: Any,
    ) -> None:
        self.model = model
        self.ids = tuple(piece.job for piece in pieces)
        self._pieces = pieces
        self._rows: list[Array | None] = [None] * len(pieces)
        self._finish = finish
        self._progress = progress
        self._lock = lock

    async def progress(self) -> float:
        """Return the share of all operations that have run, from 0 to 1."""
        shares = [
            1.0 if rows is not None else (await piece.jobs.status(piece.job)).fraction
            for piece, rows in zip(self._pieces, self._rows, strict=True)
        ]
        return sum(shares) / len(shares)

    async def result(self) -> Any:
        """Wait for all jobs, decrypt and acknowledge their results; the second call returns the same."""
        async with self._lock:
            with reporting(self._progress, f"the job of {self.model!r}") as report:
                for place, piece in enumerate(self._pieces):
                    if self._rows[place] is None:
                        self._rows[place] = await self._fetch(piece, place, report)
        return self._finish(np.concatenate([rows for rows in self._rows if rows is not None]))

    async def cancel(self) -> None:
        """Cancel what has not ended, and let the server forget all."""
        for piece, rows in zip(self._pieces, self._rows, strict=True):
            if rows is None:
                try:
                    await piece.jobs.remove(piece.job)
                except RemoteError as error:
                    if error.code != Code.JOB_UNKNOWN:
                        raise

    async def _fetch(self, piece: Piece, place: int, report: Callable[[str, float], None]) -> Array:
        def told(status: JobStatus) -> None:
            stage = status.layer or status.status.value
            report(stage, (place + status.fraction) / len(self._pieces))

        status = await piece.jobs.follow(piece.job, told)
        if status.status is JobState.CANCELLED:
            raise RemoteError(f"the job {piece.job[:12]}… was cancelled")
        answer = await piece.jobs.result(piece.job, piece.limit)
        rows = await piece.decrypt(answer.body)
        await piece.jobs.remove(piece.job)
        return rows


class Job:
    """A prediction that a server computes meanwhile, from `Client.submit`. It needs its client, which must stay open.

    Attributes:
        ids: the ids of its jobs on the server, one for each request.
    """

    def __init__(self, steps: JobSteps) -> None:
        self._steps = steps
        self.ids = steps.ids

    def __repr__(self) -> str:
        return f"Job({self._steps.model!r}, ids={[job[:12] + '…' for job in self.ids]})"

    @property
    def progress(self) -> float:
        """The share of the operations that have run, from 0 to 1, as the server tells it now. RemoteError as result."""
        return finish(self._steps.progress())

    def result(self) -> Any:
        """Wait until the server has computed, and return what `Client.predict` would; the client's progress is told
        meanwhile. The result is acknowledged, and kept here for the next call.

        Raises:
            RemoteError: the server cannot be reached, or the job failed, was cancelled, or its time is over.
            WireError: the server's answer is malformed, or for another request.
            VaultError: too many results were shared.
            InputError: the input was far beyond the range, as for Client.predict.
        """
        return finish(self._steps.result())

    def cancel(self) -> None:
        """Stop the computation at its next operation; the server forgets it. RemoteError if it cannot be reached."""
        finish(self._steps.cancel())


class AsyncJob:
    """A prediction under way, for asyncio: `AsyncClient.submit` returns it. Methods and `ids` are as those of Job."""

    def __init__(self, steps: JobSteps) -> None:
        self._steps = steps
        self.ids = steps.ids

    def __repr__(self) -> str:
        return f"AsyncJob({self._steps.model!r}, ids={[job[:12] + '…' for job in self.ids]})"

    async def progress(self) -> float:
        """Return the share of the operations that have run, as Job.progress."""
        return await self._steps.progress()

    async def result(self) -> Any:
        """Wait for the result and return it, as Job.result."""
        return await self._steps.result()

    async def cancel(self) -> None:
        """Stop the computation, as Job.cancel."""
        await self._steps.cancel()
