"""The operations on uploads in pieces, of keys and of encrypted weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetorch.server.operations.operation import (
    BINARY,
    BODY_CODES,
    KEY_ID_ANSWER,
    MODEL_CODES,
    TOKEN_CODES,
    Operation,
)
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON, OCTETS, UPLOAD_OFFSET_HEADER
from hetorch.wire.answers import KEY_ID
from hetorch.wire.codes import Code
from hetorch.wire.uploads import KEYS, UPLOAD_ID, WEIGHTS

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

UPLOADS = (
    Operation(
        "POST",
        addresses.begin_upload("{name}"),
        "begin_upload",
        "Begin an upload in pieces, or find the one of the same bytes.",
        "The upload, and the number of its bytes that have come.",
        (*MODEL_CODES, *BODY_CODES, Code.WEIGHTS_IN_CLEAR, Code.QUOTA_EXCEEDED),
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
        (*TOKEN_CODES, Code.UPLOAD_UNKNOWN),
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
            *MODEL_CODES,
            *BODY_CODES,
            Code.WEIGHTS_IN_CLEAR,
            Code.UPLOAD_UNKNOWN,
            Code.UPLOAD_OFFSET,
            Code.QUOTA_EXCEEDED,
        ),
        content={JSON: KEY_ID_ANSWER},
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
        (*TOKEN_CODES, Code.UPLOAD_UNKNOWN),
        status=204,
    ),
)
"""The operations on an upload, from its begin to its end."""
