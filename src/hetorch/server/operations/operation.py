"""One operation of the service, and the codes and schemas that several of them have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hetorch.wire.answers import KEY_ID
from hetorch.wire.codes import Code

EVERYWHERE = (
    Code.NO_SUCH_ADDRESS,
    Code.REQUEST_AMBIGUOUS,
    Code.METHOD_NOT_ALLOWED,
    Code.BUSY,
    Code.INTERNAL,
)
"""The codes that any request can end in."""
TOKEN_CODES = (Code.UNAUTHORISED, Code.RATE_EXCEEDED)
"""The codes of an operation that asks for a token."""
MODEL_CODES = (
    *TOKEN_CODES,
    Code.FORBIDDEN,
    Code.MODEL_UNKNOWN,
    Code.OTHER_TENANT,
    Code.OTHER_MODEL,
    Code.OTHER_VERSION,
)
"""The codes of an operation on a model."""
BODY_CODES = (
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
"""The codes of an operation that takes a body."""

OBJECT: Mapping[str, Any] = {"type": "object"}
BINARY: Mapping[str, Any] = {"type": "string", "format": "binary"}
KEY_ID_ANSWER: Mapping[str, Any] = {
    "type": "object",
    "properties": {"key_id": {"type": "string", "pattern": f"^{KEY_ID.pattern}$"}},
    "required": ["key_id"],
}
"""The schemas of several answers."""


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
