"""The messages of uploads in pieces, and the list of stored keys.

A client begins with `POST /v1/models/{name}/uploads` and an UploadRequest, and is told the upload's id and offset; the
same request again finds the same upload. It sends the bytes from the offset on with `PATCH /v1/uploads/{id}`, in one
body or many, each with its offset in the header Upload-Offset. The answer to the last one is the key id. After a broken
connection, GET or HEAD of the upload tells the offset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hetorch.errors import WireError
from hetorch.wire.answers import KEY_ID, load_object
from hetorch.wire.limits import MAX_UPLOAD_REQUEST_BYTES

UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
"""The form of an upload's id."""
KEYS, WEIGHTS = "keys", "weights"
"""The kinds of uploads."""
_LARGEST = 1 << 62
"""Largest number of bytes that a message may name; it stays an integer for every reader."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client is about to upload: `kind` is "keys" or "weights", `sha256` (hex) and `bytes` are those of the
    whole upload."""

    kind: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload under way: its id, and the number of bytes that the server has."""

    upload: str
    offset: int


@dataclass(frozen=True, slots=True)
class StoredKeyEntry:
    """Evaluation keys that a server has. `bytes` is their size there; `created` and `used`, seconds since 1970."""

    key_id: str
    bytes: int
    created: float
    used: float


def dump_upload_request(request: UploadRequest) -> bytes:
    """Encode a request."""
    return json.dumps({"kind": request.kind, "sha256": request.sha256, "bytes": request.bytes}).encode()


def load_upload_request(data: bytes) -> UploadRequest:
    """Parse a request from outside; WireError unless it has exactly these members, and valid ones."""
    body = load_object(data, "the request", MAX_UPLOAD_REQUEST_BYTES)
    if set(body) != {"kind", "sha256", "bytes"}:
        raise WireError("the request must have the members kind, sha256 and bytes, and no others")
    kind, sha256 = body["kind"], body["sha256"]
    if kind not in (KEYS, WEIGHTS):
        raise WireError(f'kind must be "{KEYS}" or "{WEIGHTS}"')
    if not isinstance(sha256, str) or not KEY_ID.fullmatch(sha256):
        raise WireError("sha256 must have 64 lower-case hexadecimal digits")
    return UploadRequest(kind, sha256, _number(body, "bytes"))


def dump_upload_state(state: UploadState) -> bytes:
    """Encode the state of an upload."""
    return json.dumps({"upload": state.upload, "offset": state.offset}).encode()


def load_upload_state(data: bytes) -> UploadState:
    """Parse the state of an upload; WireError if the answer is malformed."""
    body = load_object(data, "the server's answer")
    upload = body.get("upload")
    if not isinstance(upload, str) or not UPLOAD_ID.fullmatch(upload):
        raise WireError("the server's answer has no id of an upload")
    return UploadState(upload, _number(body, "offset"))


def load_offset(text: str) -> int:
    """Parse the header Upload-Offset; WireError if it is no number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise WireError(f"the header Upload-Offset must be a number, got {text[:40]!r}")
    return int(text)


def dump_stored_keys(entries: Sequence[StoredKeyEntry]) -> bytes:
    """Encode the list of stored keys; times are ISO 8601 in UTC."""
    return json.dumps(
        {
            "keys": [
                {
                    "key_id": one.key_id,
                    "bytes": one.bytes,
                    "created": _time(one.created),
                    "used": _time(one.used),
                }
                for one in entries
            ]
        }
    ).encode()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _number(body: Mapping[str, object], name: str) -> int:
    number = body.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _LARGEST:
        raise WireError(f"{name} must be a number of bytes, not negative")
    return number
