"""The operations of the service: the table that its OpenAPI document is made from.

Long because it is one table with an entry for each operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hetorch.wire import addresses
from hetorch.wire.addresses import (
    EVENTS,
    JSON,
    KEY_ID_HEADER,
    OCTETS,
    SERVER_TIMING_HEADER,
    UPLOAD_OFFSET_HEADER,
)
from hetorch.wire.answers import KEY_ID
from hetorch.wire.codes import Code
from hetorch.wire.jobs import JOB_ID, PREFER_HEADER, JobState
from hetorch.wire.open_inference import HEADER_LENGTH_HEADER
from hetorch.wire.time_limit import TIME_LIMIT_HEADER
from hetorch.wire.uploads import KEYS, UPLOAD_ID, WEIGHTS

EVERYWHERE = (
    Code.NO_SUCH_ADDRESS,
    Code.REQUEST_AMBIGUOUS,
    Code.METHOD_NOT_ALLOWED,
    Code.BUSY,
    Code.INTERNAL,
)
"""The codes that any request can end in."""
_TOKEN = (Code.UNAUTHORISED, Code.RATE_EXCEEDED)
_MODEL = (
    *_TOKEN,
    Code.FORBIDDEN,
    Code.MODEL_UNKNOWN,
    Code.OTHER_TENANT,
    Code.OTHER_MODEL,
    Code.OTHER_VERSION,
)
_BODY = (
    Code.CONTENT_TYPE_UNSUPPORTED,
    Code.CONTENT_LENGTH_MALFORMED,
    Code.BODY_TOO_LARGE,
    Code.BODY_TOO_SHORT,
    Code.BODY_INCOMPLETE,
    Code.BODY_TOO_SLOW,
    Code.MESSAGE_MALFORMED,
    Code.OTHER_PARAMETERS,
    Code.TIMEOUT,
)

OBJECT: Mapping[str, Any] = {"type": "object"}
BINARY: Mapping[str, Any] = {"type": "string", "format": "binary"}
_KEY_ID: Mapping[str, Any] = {
    "type": "object",
    "properties": {"key_id": {"type": "string", "pattern": f"^{KEY_ID.pattern}$"}},
    "required": ["key_id"],
}
_OFFSET = "The number of bytes that have come."
_UPLOAD: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "upload": {"type": "string", "pattern": f"^{UPLOAD_ID.pattern}$"},
        "offset": {"type": "integer", "minimum": 0},
    },
    "required": ["upload", "offset"],
}
_UPLOAD_REQUEST: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": [KEYS, WEIGHTS]},
        "sha256": {"type": "string", "pattern": f"^{KEY_ID.pattern}$"},
        "bytes": {"type": "integer", "minimum": 0},
    },
    "required": ["kind", "sha256", "bytes"],
    "additionalProperties": False,
}
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
_JOB_CODES = (*_TOKEN, Code.FORBIDDEN, Code.JOB_UNKNOWN)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address.

    Args:
        method: the HTTP method.
        path: the address, with its parameters in braces.
        name: that of the endpoint, which metrics use too.
        summary: what it is for, in one sentence.
        answer: the successful answer, in one sentence.
        codes: the codes that it can end in beside those of EVERYWHERE.
        status: the status of a successful answer.
        content: the schemas of a successful answer, by media type.
        headers: the headers of a successful answer, and their meanings.
        body: the schemas of the request's body, by media type.
        request_headers: the headers that a request needs (`hetorch.server.openapi.PARAMETERS`).
        more_answers: other successful answers without content: their statuses and one sentence each.
        optional_headers: further headers that a request may have, and their meanings.
        security: the schemes by which a token comes; empty where none is asked for.
        statuses: the statuses of codes that have another one here.
        job: the schema of the answer 202 of an operation that may become a job.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: str
    codes: tuple[Code, ...] = ()
    status: int = 200
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    request_headers: tuple[str, ...] = ()
    more_answers: Mapping[int, str] = field(default_factory=dict)
    optional_headers: Mapping[str, str] = field(default_factory=dict)
    security: tuple[str, ...] = ("token",)
    statuses: Mapping[Code, int] = field(default_factory=dict)
    job: Mapping[str, Any] | None = None


OPERATIONS = (
    Operation(
        "GET",
        addresses.LIVE,
        "live",
        "Tell that the process answers.",
        "It does.",
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        addresses.READY,
        "ready",
        "Tell whether the server takes predictions.",
        "It does.",
        (Code.NOT_READY,),
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        addresses.METRICS,
        "show_metrics",
        "Show all numbers of the server for Prometheus; for operators.",
        "The metrics, as OpenMetrics if the request asks for it.",
        (*_TOKEN, Code.FORBIDDEN),
        content={"text/plain": {"type": "string"}, "application/openmetrics-text": {"type": "string"}},
    ),
    Operation(
        "GET",
        addresses.STATUS,
        "status",
        "Show the state of the server; for operators.",
        "The state, as a page if the request takes HTML.",
        (*_TOKEN, Code.FORBIDDEN),
        content={JSON: OBJECT, "text/html": {"type": "string"}},
        security=("token", "browser"),
    ),
    Operation(
        "GET",
        addresses.OPENAPI,
        "openapi",
        "Describe the service.",
        "This document.",
        _TOKEN,
        content={JSON: OBJECT},
    ),
    Operation(
        "GET",
        addresses.MODELS,
        "list_models",
        "List the models that the token may use.",
        "Their names and the fingerprints of their plans.",
        _TOKEN,
        content={
            JSON: {
                "type": "object",
                "properties": {
                    "models": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"name": {"type": "string"}, "fingerprint": {"type": "string"}},
                            "required": ["name", "fingerprint"],
                        },
                    }
                },
                "required": ["models"],
            }
        },
    ),
    Operation(
        "GET",
        addresses.public_plan("{name}"),
        "public_plan",
        "Fetch the public plan of a model.",
        "The plan, which a client checks before it uses it.",
        _MODEL,
        content={JSON: OBJECT},
        headers={TIME_LIMIT_HEADER: "Seconds that one request may take."},
    ),
    Operation(
        "PUT",
        addresses.keys("{name}"),
        "put_keys",
        "Upload evaluation keys; the same upload again changes nothing.",
        "The id of the keys.",
        (*_MODEL, *_BODY, Code.QUOTA_EXCEEDED),
        content={JSON: _KEY_ID},
        body={OCTETS: BINARY},
    ),
    Operation(
        "GET",
        addresses.stored_keys("{name}", "{key_id}"),
        "find_keys",
        "Ask whether the server has evaluation keys.",
        "It has them.",
        (*_MODEL, Code.KEY_ID_MALFORMED, Code.KEYS_MISSING),
        content={JSON: _KEY_ID},
    ),
    Operation(
        "GET",
        addresses.keys("{name}"),
        "list_keys",
        "List the evaluation keys of the token's tenant.",
        "The most recently used ones, the last of them last.",
        _MODEL,
        content={JSON: OBJECT},
    ),
    Operation(
        "DELETE",
        addresses.stored_keys("{name}", "{key_id}"),
        "delete_keys",
        "Delete evaluation keys, and the encrypted weights that belong to them.",
        "They are deleted.",
        (*_MODEL, Code.KEY_ID_MALFORMED, Code.KEYS_MISSING),
        status=204,
    ),
    Operation(
        "POST",
        addresses.begin_upload("{name}"),
        "begin_upload",
        "Begin an upload in pieces, or find the one of the same bytes.",
        "The upload, and the number of its bytes that have come.",
        (*_MODEL, *_BODY, Code.WEIGHTS_IN_CLEAR, Code.QUOTA_EXCEEDED),
        status=201,
        content={JSON: _UPLOAD},
        headers={"Location": "The address of the upload.", UPLOAD_OFFSET_HEADER: _OFFSET},
        body={JSON: _UPLOAD_REQUEST},
    ),
    Operation(
        "GET",
        addresses.upload("{upload}"),
        "show_upload",
        "Ask how much of an upload has come.",
        "The number of bytes that have come.",
        (*_TOKEN, Code.UPLOAD_UNKNOWN),
        content={JSON: _UPLOAD},
        headers={UPLOAD_OFFSET_HEADER: _OFFSET, "Upload-Length": "The number of bytes that it has."},
    ),
    Operation(
        "PATCH",
        addresses.upload("{upload}"),
        "continue_upload",
        "Send the next bytes of an upload.",
        "The upload is complete: the id of the keys that it is or belongs to.",
        (
            *_MODEL,
            *_BODY,
            Code.WEIGHTS_IN_CLEAR,
            Code.UPLOAD_UNKNOWN,
            Code.UPLOAD_OFFSET,
            Code.QUOTA_EXCEEDED,
        ),
        content={JSON: _KEY_ID},
        body={OCTETS: BINARY},
        request_headers=(UPLOAD_OFFSET_HEADER,),
        more_answers={204: "The bytes are there; more are to come."},
    ),
    Operation(
        "DELETE",
        addresses.upload("{upload}"),
        "cancel_upload",
        "Give an upload up.",
        "It is gone.",
        (*_TOKEN, Code.UPLOAD_UNKNOWN),
        status=204,
    ),
    Operation(
        "PUT",
        addresses.weights("{name}"),
        "put_weights",
        "Upload encrypted weights, in place of those that the server has for the same keys.",
        "The id of the keys that the weights belong to.",
        (*_MODEL, *_BODY, Code.WEIGHTS_IN_CLEAR, Code.QUOTA_EXCEEDED),
        content={JSON: _KEY_ID},
        body={OCTETS: BINARY},
    ),
    Operation(
        "GET",
        addresses.stored_weights("{name}", "{key_id}"),
        "find_weights",
        "Ask whether the server has encrypted weights for keys.",
        "It has them.",
        (*_MODEL, Code.KEY_ID_MALFORMED, Code.WEIGHTS_MISSING, Code.WEIGHTS_IN_CLEAR),
        content={JSON: _KEY_ID},
        statuses={Code.WEIGHTS_MISSING: 404},
    ),
    Operation(
        "POST",
        addresses.predict("{name}"),
        "predict",
        "Compute the encrypted result of an encrypted sample or batch.",
        "The response, which names the digest of its request.",
        (
            *_MODEL,
            *_BODY,
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
    Operation(
        "GET",
        addresses.OPEN_INFERENCE,
        "inference_server",
        "Name the server, its version and extensions (Open Inference Protocol).",
        "The metadata of the server.",
        _TOKEN,
        content={JSON: OBJECT},
    ),
    Operation(
        "GET",
        addresses.OPEN_INFERENCE_LIVE,
        "inference_live",
        "Tell that the process answers.",
        "It does.",
        content={JSON: OBJECT},
        security=(),
    ),
    Operation(
        "GET",
        addresses.OPEN_INFERENCE_READY,
        "inference_ready",
        "Tell whether the server takes predictions.",
        "It does.",
        (Code.NOT_READY,),
        content={JSON: OBJECT},
        security=(),
    ),
    *(
        operation
        for model in addresses.OPEN_INFERENCE_MODELS
        for operation in (
            Operation(
                "GET",
                model,
                "inference_model",
                "Show the tensors of a model.",
                "The metadata of the model.",
                _MODEL,
                content={JSON: OBJECT},
            ),
            Operation(
                "GET",
                f"{model}/ready",
                "inference_model_ready",
                "Tell whether a model takes predictions.",
                "It does.",
                (*_MODEL, Code.NOT_READY),
                content={JSON: OBJECT},
            ),
            Operation(
                "POST",
                f"{model}/infer",
                "infer",
                "Compute the encrypted result of an encrypted sample or batch, as one tensor each.",
                "The response, as base64 in JSON or, with the binary extension, as bytes behind it.",
                (*_MODEL, *_BODY, Code.KEYS_MISSING, Code.WEIGHTS_MISSING, Code.WORKER_LOST),
                content={JSON: OBJECT, OCTETS: BINARY},
                body={JSON: OBJECT, OCTETS: BINARY},
                optional_headers={HEADER_LENGTH_HEADER: "The length of the JSON, if bytes stand behind it."},
            ),
        )
    ),
)
"""All operations. A new route needs its entry here."""
