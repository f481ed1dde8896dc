"""The operations on predictions, and on jobs: predictions that outlive their request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetorch.server.operations.operation import BINARY, BODY_CODES, MODEL_CODES, TOKEN_CODES, Operation
from hetorch.wire import addresses
from hetorch.wire.addresses import EVENTS, JSON, KEY_ID_HEADER, OCTETS, SERVER_TIMING_HEADER
from hetorch.wire.codes import Code
from hetorch.wire.jobs import JOB_ID, PREFER_HEADER, JobState

_JOB: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "job": {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
        "model": {"type": "string"},
        "status": {"enum": [state.value for state in JobState]},
        "operations_done": {"type": "integer", "minimum": 0},
        "operations": {"type": "integer", "minimum": 0},
        "layer": {"type": ["string", "null"]},
        "code": {"type": ["string", "null"]},
        "message": {"type": ["string", "null"]},
    },
    "required": ["job", "model", "status", "operations_done", "operations", "layer", "code", "message"],
}
_JOB_CODES = (*TOKEN_CODES, Code.FORBIDDEN, Code.JOB_UNKNOWN)

PREDICTIONS = (
    Operation(
        "POST",
        addresses.predict("{name}"),
        "predict",
        "Compute the encrypted result of an encrypted sample or batch.",
        "The response, which names the digest of its request.",
        (
            *MODEL_CODES,
            *BODY_CODES,
            Code.KEY_ID_MALFORMED,
            Code.KEYS_MISSING,
            Code.WEIGHTS_MISSING,
            Code.WORKER_LOST,
            Code.OTHER_KEYS,
        ),
        content={OCTETS: BINARY},
        headers={SERVER_TIMING_HEADER: "Milliseconds of each step."},
        body={OCTETS: BINARY},
        request_headers=(KEY_ID_HEADER,),
        optional_headers={
            PREFER_HEADER: "`respond-async` for a job, with `wait=60` if the answer would take longer than 60 s."
        },
        job=_JOB,
    ),
    Operation(
        "GET",
        addresses.job("{job}"),
        "show_job",
        "Tell the status of a job.",
        "The status.",
        _JOB_CODES,
        content={JSON: _JOB},
        optional_headers={PREFER_HEADER: "`wait=10` to be answered when the job has ended, or in 10 s."},
    ),
    Operation(
        "DELETE",
        addresses.job("{job}"),
        "remove_job",
        "Acknowledge the result of a job, or cancel it; it is then unknown.",
        "Its last status.",
        _JOB_CODES,
        content={JSON: _JOB},
    ),
    Operation(
        "GET",
        addresses.job_events("{job}"),
        "job_events",
        "Follow a job until it has ended.",
        "Server-sent events named queued, progress, done, failed or cancelled, each with the status.",
        _JOB_CODES,
        content={EVENTS: {"type": "string"}},
    ),
    Operation(
        "GET",
        addresses.job_result("{job}"),
        "job_result",
        "Fetch the result of a job; it stays until it is acknowledged.",
        "The response to the predict request.",
        (
            *_JOB_CODES,
            Code.JOB_UNFINISHED,
            Code.MESSAGE_MALFORMED,
            Code.OTHER_MODEL,
            Code.OTHER_VERSION,
            Code.OTHER_PARAMETERS,
            Code.OTHER_KEYS,
            Code.MODEL_UNKNOWN,
            Code.KEYS_MISSING,
            Code.WEIGHTS_MISSING,
            Code.TIMEOUT,
            Code.WORKER_LOST,
        ),
        content={OCTETS: BINARY},
        headers={SERVER_TIMING_HEADER: "Milliseconds of each step."},
    ),
)
"""The operation that predicts, and those on the job that it may become."""
