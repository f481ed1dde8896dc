"""The jobs on disk: a SQLite database that knows each job, and files with requests and responses.

The database is the truth: a file that it does not name is deleted at the start. A job is there from the moment when its
client is told of it, also after kill -9 and after a loss of power.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from hetorch.atomic_files import TEMPORARY_PREFIX, write_atomically
from hetorch.errors import StorageError
from hetorch.wire.jobs import JobState

DATABASE = "jobs.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, tenant TEXT, model TEXT NOT NULL, key_id TEXT NOT NULL, lane TEXT NOT NULL,
  state TEXT NOT NULL, starts INTEGER NOT NULL, bytes INTEGER NOT NULL, left REAL NOT NULL,
  code TEXT, message TEXT, milliseconds TEXT, number INTEGER NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A job.

    Args:
        id: its id.
        tenant: whose it is; None where there are no tenants.
        model: the model's name.
        key_id: the evaluation keys to use.
        lane: who asks, for the turns in the queue.
        state: where it is.
        starts: times that it was begun, by whichever process.
        bytes: those of its files, the response's included before it is there.
        left: seconds until it is forgotten; they pass only when it has ended.
        code: the reason of a failure.
        message: the same for people.
        milliseconds: the times of its steps, as JSON.
        number: its place in the order of submission.
    """

    id: str
    tenant: str | None
    model: str
    key_id: str
    lane: str
    state: JobState
    starts: int
    bytes: int
    left: float
    code: str | None = None
    message: str | None = None
    milliseconds: str | None = None
    number: int = 0


_COLUMNS = ", ".join(field.name for field in fields(Job))
_MARKS = ", ".join("?" for _ in fields(Job))


class JobStore:
    """The jobs in a folder, which is made if it is missing. Safe to use from many threads; one process uses it.

    Every method raises StorageError where the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        with _told(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                folder / DATABASE, check_same_thread=False, isolation_level=None, timeout=10
            )
            os.chmod(folder / DATABASE, 0o600)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA secure_delete = ON")
            self._database.execute(_SCHEMA)
            self._drop_unknown_files()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def load(self) -> list[Job]:
        """Return all jobs in the order in which they were submitted."""
        with self._lock, _told(self._folder):
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM jobs ORDER BY number").fetchall()
        return [replace(job, state=JobState(job.state)) for job in (Job(*row) for row in rows)]

    def add(self, job: Job, request: bytes | bytearray) -> None:
        """Keep a new job and its request."""
        with _told(self._folder):
            write_atomically(self._request(job.id), request)
        values = [str(value) if isinstance(value, JobState) else value for value in astuple(job)]
        with self._lock, _told(self._folder):
            self._database.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({_MARKS})", values)

    def write(self, job: Job) -> bool:
        """Keep what has changed of a job; False if it was removed."""
        with self._lock, _told(self._folder):
            changed = self._database.execute(
                "UPDATE jobs SET state = ?, starts = ?, code = ?, message = ?, milliseconds = ? WHERE id = ?",
                (str(job.state), job.starts, job.code, job.message, job.milliseconds, job.id),
            )
            return changed.rowcount > 0

    def finish(self, job: Job, response: bytes) -> None:
        """Keep the response of a job, then that it is done; its request is no longer needed."""
        with _told(self._folder):
            write_atomically(self._response(job.id), response)
            unneeded = self._request(job.id) if self.write(job) else self._response(job.id)
            unneeded.unlink(missing_ok=True)

    def request(self, job_id: str) -> bytes:
        """Return the request of a job that is not done."""
        with _told(self._folder):
            return self._request(job_id).read_bytes()

    def response(self, job_id: str) -> bytes:
        """Return the response of a job that is done."""
        with _told(self._folder):
            return self._response(job_id).read_bytes()

    def remove(self, job_id: str) -> None:
        """Forget a job and delete its files."""
        with self._lock, _told(self._folder):
            self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        with _told(self._folder):
            for path in (self._request(job_id), self._response(job_id)):
                path.unlink(missing_ok=True)

    def age(self, seconds: float) -> list[str]:
        """Let so many seconds pass for the jobs that have ended; return the ids of those whose time is over.

        The seconds are counted by the server while it runs: a clock that jumps deletes nothing.
        """
        ended = [str(state) for state in JobState if state.has_ended]
        marks = ", ".join("?" for _ in ended)
        with self._lock, _told(self._folder):
            self._database.execute(
                f"UPDATE jobs SET left = left - ? WHERE state IN ({marks})", (seconds, *ended)
            )
            rows = self._database.execute(
                f"SELECT id FROM jobs WHERE left <= 0 AND state IN ({marks})", ended
            ).fetchall()
        return [row[0] for row in rows]

    def _request(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.request"

    def _response(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.response"

    def _drop_unknown_files(self) -> None:
        known = {row[0] for row in self._database.execute("SELECT id FROM jobs")}
        for path in self._folder.iterdir():
            ours = path.suffix in (".request", ".response") and path.stem not in known
            if ours or path.name.startswith(TEMPORARY_PREFIX):
                path.unlink(missing_ok=True)


def dump_milliseconds(milliseconds: dict[str, float]) -> str:
    """Encode the times of a job's steps."""
    return json.dumps(milliseconds)


def load_milliseconds(text: str | None) -> dict[str, float]:
    """Return the times of a job's steps; none if there are none."""
    return {} if text is None else json.loads(text)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell an error of the system or the database as a StorageError."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the jobs in {folder} cannot be read or written: {error}") from error
