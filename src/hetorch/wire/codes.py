"""The error codes of the service: one stable word for each reason, with its HTTP status.

A client decides by the code; the sentence beside it is for people and may change. A code is never renamed or given
another meaning; new ones may be added, so a client treats a code that it does not know like an answer without one.
"""

from __future__ import annotations

import re
from enum import StrEnum

CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The form of every code, today's and future ones."""


class Code(StrEnum):
    """A reason for which the server refuses or fails; equal to its word. `status`: the HTTP status of the answer,
    `meaning`: one sentence for the documentation."""

    status: int
    meaning: str

    def __new__(cls, word: str, status: int, meaning: str) -> Code:
        """Make the member whose value is `word`."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.status = status
        member.meaning = meaning
        return member

    NO_SUCH_ADDRESS = "no_such_address", 404, "The server has nothing at this path."
    REQUEST_AMBIGUOUS = (
        "request_ambiguous",
        400,
        "A proxy may read the request otherwise: two lengths, a repeated header, a disguised path.",
    )
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The path exists, but not for this HTTP method."
    UNAUTHORISED = (
        "unauthorised",
        401,
        "The request has no API token, or one that is wrong, revoked or expired.",
    )
    FORBIDDEN = "forbidden", 403, "The token is valid, but not for this model or this address."
    MODEL_UNKNOWN = "model_unknown", 404, "The server has no model of this name."
    KEY_ID_MALFORMED = "key_id_malformed", 400, "The key id is not 64 lower-case hexadecimal digits."
    KEYS_MISSING = "keys_missing", 404, "The server does not have these evaluation keys: upload them (again)."
    WEIGHTS_MISSING = (
        "weights_missing",
        409,
        "The server has no encrypted weights for these keys: upload them (again). 404 where a GET asks for them.",
    )
    WEIGHTS_IN_CLEAR = (
        "weights_in_clear",
        409,
        "The server has this model's weights in clear and takes no encrypted ones.",
    )
    UPLOAD_UNKNOWN = (
        "upload_unknown",
        404,
        "The server has no such upload under way: it ended, failed or was given up. Begin again.",
    )
    UPLOAD_OFFSET = (
        "upload_offset",
        409,
        "The body does not continue the upload: go on at the Upload-Offset of the answer.",
    )
    QUOTA_EXCEEDED = (
        "quota_exceeded",
        403,
        "The tenant has as much here as it may; delete some, or ask the owner.",
    )
    CONTENT_TYPE_UNSUPPORTED = (
        "content_type_unsupported",
        415,
        "The body must be application/octet-stream.",
    )
    CONTENT_LENGTH_MALFORMED = "content_length_malformed", 400, "The Content-Length header is not a number."
    BODY_TOO_LARGE = "body_too_large", 413, "The body is longer than the plan allows."
    BODY_TOO_SHORT = "body_too_short", 400, "The body is shorter than the plan requires; it was cut short."
    BODY_INCOMPLETE = "body_incomplete", 400, "The connection closed before the body was complete."
    BODY_TOO_SLOW = "body_too_slow", 408, "The body came too slowly, or stopped coming."
    MESSAGE_MALFORMED = "message_malformed", 400, "The body is damaged, or no message of this kind."
    OTHER_TENANT = (
        "other_tenant",
        409,
        "The request names a tenant that is not the one of its token.",
    )
    OTHER_MODEL = (
        "other_model",
        409,
        "The request was made for another model, which the server has under its own name.",
    )
    OTHER_VERSION = (
        "other_version",
        409,
        "The request was made for a version of the model that the server does not have, or no longer: fetch the public "
        "plan again.",
    )
    OTHER_PARAMETERS = "other_parameters", 409, "The body was made for other parameters than the plan's."
    OTHER_KEYS = "other_keys", 409, "The header and the body name different evaluation keys."
    RATE_EXCEEDED = (
        "rate_exceeded",
        429,
        "The tenant has asked or sent as much as it may for now: ask again after Retry-After seconds.",
    )
    BUSY = "busy", 503, "The server has no room for this request now: ask again after Retry-After seconds."
    NOT_READY = "not_ready", 503, "The server takes no predictions now; the sentence says why."
    TIMEOUT = "timeout", 504, "The computation took longer than the server allows."
    JOB_UNKNOWN = (
        "job_unknown",
        404,
        "There is no such job: its time is over, its result was acknowledged, or it is another tenant's.",
    )
    JOB_UNFINISHED = "job_unfinished", 409, "The job has no result yet."
    WORKER_LOST = (
        "worker_lost",
        500,
        "Two processes died while they computed this; the server's owner sees why in its log.",
    )
    INTERNAL = (
        "internal",
        500,
        "The server failed; its log has more under the request_id of the answer.",
    )
