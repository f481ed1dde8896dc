"""A job in the process that runs it: its progress, and those who watch it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from hetorch.serving.jobs.job_store import Job
from hetorch.wire.jobs import JobState, JobStatus


@dataclass(slots=True, eq=False)
class LiveJob:
    """A job, its progress, and those who watch it. `followed`: as for Jobs.submit; `asked`: the time (time.monotonic)
    when somebody last asked for it."""

    job: Job
    operations: int
    followed: bool = False
    asked: float = field(default_factory=time.monotonic)
    done: int = 0
    layer: str | None = None
    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self) -> JobStatus:
        job = self.job
        done = self.operations if job.state is JobState.DONE else self.done
        return JobStatus(
            job.id, job.model, job.state, done, self.operations, self.layer, job.code, job.message
        )

    def tell(self) -> None:
        """Wake those who watch."""
        self.changed.set()
        self.changed = asyncio.Event()
