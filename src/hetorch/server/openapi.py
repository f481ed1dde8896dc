"""The description of the service in OpenAPI, made from one table of operations and the codes of `hetorch.wire.codes`.

Each operation lists the codes that it can end in, beside those that every request can (`EVERYWHERE`). A test compares
the table with the routes of the application, and asks for every code.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hetorch.server.operations.operation import EVERYWHERE, Operation
from hetorch.server.operations.table import OPERATIONS
from hetorch.wire.addresses import JSON, KEY_ID_HEADER, REQUEST_ID_HEADER, UPLOAD_OFFSET_HEADER
from hetorch.wire.answers import KEY_ID, MODEL_NAME
from hetorch.wire.codes import Code
from hetorch.wire.jobs import JOB_ID, PREFERENCE_APPLIED_HEADER
from hetorch.wire.uploads import UPLOAD_ID

PARAMETERS: Mapping[str, Any] = {
    "name": {
        "description": "The name of a model.",
        "schema": {"type": "string", "pattern": f"^{MODEL_NAME.pattern}$"},
    },
    "job": {
        "description": "The id of a job.",
        "schema": {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
    },
    "version": {
        "description": "The version of a model: the fingerprint of its plan.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "key_id": {
        "description": "The id of evaluation keys: the SHA-256 of their upload.",
        "schema": {"type": "string", "pattern": f"^{KEY_ID.pattern}$"},
    },
    "upload": {
        "description": "The id of an upload under way.",
        "schema": {"type": "string", "pattern": f"^{UPLOAD_ID.pattern}$"},
    },
    KEY_ID_HEADER: {
        "description": "The id of the evaluation keys to use.",
        "schema": {"type": "string", "pattern": f"^{KEY_ID.pattern}$"},
    },
    UPLOAD_OFFSET_HEADER: {
        "description": "The number of bytes before those of the body.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
"""The parameters in paths and headers."""
RETRY = {"Retry-After": "Seconds after which to ask again."}
"""The header of answers that ask for patience."""
PAUSING = frozenset({Code.BUSY, Code.NOT_READY, Code.RATE_EXCEEDED})
"""The codes that ask for patience."""


async def openapi(request: Request) -> Response:
    """Answer GET /v1/openapi.json: the description of the service."""
    return Response(_dumped(), media_type=JSON)


def document() -> dict[str, Any]:
    """Return the description of the service as an OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hetorch",
            "version": _version(),
            "summary": "Predictions of compiled models on encrypted data.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `hetorch token add`.",
                },
                "browser": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token as password, with any name, for the status page.",
                },
            },
            "schemas": {"Error": _error_schema()},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": operation.answer, "headers": _headers(operation.headers)}
    if operation.content:
        answer["content"] = {
            media_type: {"schema": schema} for media_type, schema in operation.content.items()
        }
    more = {
        str(status): {"description": text, "headers": _headers({})}
        for status, text in operation.more_answers.items()
    }
    described: dict[str, Any] = {
        "operationId": operation.name + ("_of_version" if "{version}" in operation.path else ""),
        "summary": operation.summary,
        "responses": {str(operation.status): answer, **_accepted(operation), **more, **_refusals(operation)},
        # Without --tokens the server asks for none.
        "security": [{name: []} for name in operation.security] + [{}],
    }
    parameters = [
        {"name": name, "in": "path", "required": True, **parameter}
        for name, parameter in PARAMETERS.items()
        if f"{{{name}}}" in operation.path
    ]
    parameters += [
        {"name": header, "in": "header", "required": True, **PARAMETERS[header]}
        for header in operation.request_headers
    ]
    parameters += [
        {"name": header, "in": "header", "description": text, "schema": {"type": "string"}}
        for header, text in operation.optional_headers.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "content": {media_type: {"schema": schema} for media_type, schema in operation.body.items()},
        }
    return described


def _accepted(operation: Operation) -> dict[str, Any]:
    """Return the answer 202 of an operation that may become a job."""
    if operation.job is None:
        return {}
    return {
        "202": {
            "description": "The prediction has become a job.",
            "headers": _headers(
                {
                    "Location": "The address of the job.",
                    PREFERENCE_APPLIED_HEADER: "`respond-async`, and the `wait` if the job is a followed one.",
                }
            ),
            "content": {JSON: {"schema": operation.job}},
        }
    }


def _refusals(operation: Operation) -> dict[str, Any]:
    """Return the error answers of an operation by their status."""
    codes: dict[int, list[Code]] = {}
    for code in Code:
        if code in operation.codes or code in EVERYWHERE:
            codes.setdefault(operation.statuses.get(code, code.status), []).append(code)
    answers = {}
    for status, group in sorted(codes.items()):
        sentences = [f"`{code}`: {code.meaning}" for code in group]
        answers[str(status)] = {
            "description": " ".join(sentences),
            "headers": _headers(RETRY if any(code in PAUSING for code in group) else {}),
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    return answers


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    described = {REQUEST_ID_HEADER: "The id under which the server's log has the request.", **headers}
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}


def _error_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "error": {"type": "string", "description": "A sentence for people; it may change."},
            "code": {"type": "string", "enum": [code.value for code in Code], "description": "For programs."},
            "request_id": {
                "type": "string",
                "description": "With `internal`: the server's log has more under it.",
            },
        },
        "required": ["error", "code"],
    }


@functools.cache
def _dumped() -> bytes:
    return json.dumps(document()).encode()


def _version() -> str:
    try:
        return version("hetorch")
    except PackageNotFoundError:
        return "unknown"
