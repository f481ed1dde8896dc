"""The messages about jobs: predictions whose result is fetched later, or that a server makes of a long request.

A client that wants a job, or accepts one, says so with the header Prefer of RFC 7240: `respond-async` asks for a job,
and `respond-async, wait=60` for one if the answer would take longer than 60 s. The server may answer either way.

A job of a prediction that a request would have had the time for is a followed one: only its client's wait made it a
job, and the server says so by naming the wait in Preference-Applied. Its client asks for its status until it has ended.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from enum import StrEnum

from hetorch.errors import WireError
from hetorch.wire.answers import MODEL_NAME
from hetorch.wire.codes import CODE
from hetorch.wire.limits import MAX_ANSWER_BYTES, MAX_REQUEST_SECONDS, MAX_SENTENCE_LENGTH

PREFER_HEADER = "Prefer"
"""Request header: of a prediction as above; of a job's status, `wait=10` answers when the job has ended, or in 10 s."""
PREFERENCE_APPLIED_HEADER = "Preference-Applied"
"""Response header of RFC 7240 beside a job: `respond-async`, and the `wait` of the request if the job is a followed
one."""
JOB_ID = re.compile(r"[A-Za-z0-9_-]{43}")
"""The form of a job's id: 256 random bits in base64url. Whoever has it, and the tenant's token, has the result."""
MAX_LAYER_LENGTH = 200
"""Characters of a layer's name in a status; the rest is cut off."""
MAX_OPERATIONS = 1 << 31
"""Bound of the numbers of operations that a client believes."""
_WAIT = re.compile(r"wait=([0-9]{1,9})")


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """True if nothing more happens."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The status of a job.

    Args:
        job: its id.
        model: the model's name.
        status: where it is.
        operations_done: operations that have run, 0 until it runs.
        operations: operations of the whole run.
        layer: the layer of the last of them, with its place if it was a bootstrap; None until it runs.
        code: the stable reason of a failure; None for any other state.
        message: the same for people.
    """

    job: str
    model: str
    status: JobState
    operations_done: int
    operations: int
    layer: str | None = None
    code: str | None = None
    message: str | None = None

    @property
    def fraction(self) -> float:
        """The share of the operations that have run."""
        return min(1.0, self.operations_done / self.operations) if self.operations else 0.0


@dataclass(frozen=True, slots=True)
class Preference:
    """The wishes of a Prefer header: an answer by a job (`respond_async`), and the seconds to wait before."""

    respond_async: bool
    wait: float | None


def load_preference(header: str) -> Preference:
    """Parse a stranger's Prefer header; what is not understood is ignored, as RFC 7240 says."""
    words = [word.partition(";")[0].strip().lower() for word in header[:1000].split(",")]
    waits = [match for word in words if (match := _WAIT.fullmatch(word))]
    wait = min(float(waits[0][1]), MAX_REQUEST_SECONDS) if waits else None
    return Preference("respond-async" in words, wait)


def dump_preference(wait: float | None = None) -> str:
    """Encode the wish for a job; with `wait`, if the answer would take longer than so many seconds."""
    return "respond-async" if wait is None else f"respond-async, wait={math.ceil(wait)}"


def dump_job(status: JobStatus) -> bytes:
    """Encode a status as one line of JSON."""
    layer = None if status.layer is None else status.layer[:MAX_LAYER_LENGTH]
    return json.dumps(asdict(status) | {"layer": layer}).encode()


def load_job(data: bytes) -> JobStatus:
    """Parse a status from an untrusted server; WireError unless it is one. Sentences are made fit for a terminal."""
    if len(data) > MAX_ANSWER_BYTES:
        raise WireError(f"the status of a job has {len(data)} bytes; at most {MAX_ANSWER_BYTES} are read")
    try:
        body = json.loads(data)
        job, model, state = body["job"], body["model"], JobState(body["status"])
        done, operations = body["operations_done"], body["operations"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise WireError("the server's answer is no status of a job") from None
    if not isinstance(job, str) or not JOB_ID.fullmatch(job):
        raise WireError("the status of a job has no valid id")
    if not isinstance(model, str) or not MODEL_NAME.fullmatch(model):
        raise WireError("the status of a job has no valid name of a model")
    for number in (done, operations):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < MAX_OPERATIONS:
            raise WireError("the status of a job has no valid number of operations")
    code = body.get("code")
    return JobStatus(
        job,
        model,
        state,
        done,
        operations,
        _printable(body.get("layer"), MAX_LAYER_LENGTH),
        code if isinstance(code, str) and CODE.fullmatch(code) else None,
        _printable(body.get("message"), MAX_SENTENCE_LENGTH),
    )


def _printable(text: object, longest: int) -> str | None:
    if not isinstance(text, str):
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest]
