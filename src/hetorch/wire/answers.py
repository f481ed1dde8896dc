"""The small JSON answers of the service: errors, the list of models, the id of uploaded keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hetorch.errors import WireError
from hetorch.quantities import size_text
from hetorch.wire.codes import CODE, Code
from hetorch.wire.limits import MAX_ANSWER_BYTES, MAX_MODELS, MAX_SENTENCE_LENGTH

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""The form of a model's name; it is part of addresses."""
KEY_ID = re.compile(r"[0-9a-f]{64}")
"""The form of a key id and of a plan's fingerprint: a SHA-256 in lower-case hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error of the server. `code` is None where the answer has none, as a proxy's; it may be one that this version
    does not know."""

    sentence: str
    code: str | None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model that a server offers: its name in addresses and the fingerprint of its plan (hex)."""

    name: str
    fingerprint: str


def dump_error(code: Code, sentence: str, request_id: str | None = None) -> bytes:
    """Encode `{"error": sentence, "code": code}`, with `request_id` if the server's log has more under it."""
    body = {"error": sentence, "code": code.value}
    if request_id is not None:
        body["request_id"] = request_id
    return json.dumps(body).encode()


def load_error(data: bytes) -> ErrorAnswer | None:
    """Parse the body of an error answer; None if it holds no error sentence.

    The bytes come from a stranger, so the sentence is made fit for a terminal: no control characters, which drive
    terminals, no line breaks, and at most MAX_SENTENCE_LENGTH characters. Anything that cannot be a code is no code.
    """
    try:
        body = load_object(data, "the server's answer")
    except WireError:
        return None
    sentence, code = body.get("error"), body.get("code")
    if not isinstance(sentence, str):
        return None
    printable = "".join(c if c.isprintable() else " " for c in sentence)
    return ErrorAnswer(
        " ".join(printable.split())[:MAX_SENTENCE_LENGTH],
        code if isinstance(code, str) and CODE.fullmatch(code) else None,
    )


def dump_key_id(key_id: str) -> bytes:
    """Encode the answer to an upload of evaluation keys or weights."""
    return json.dumps({"key_id": key_id}).encode()


def load_key_id(data: bytes) -> str:
    """Parse the answer to an upload; WireError unless it holds a key id (64 hex digits)."""
    key_id = load_object(data, "the server's answer").get("key_id")
    if not isinstance(key_id, str) or not KEY_ID.fullmatch(key_id):
        raise WireError("the server's answer to the upload holds no key id of 64 hex digits")
    return key_id


def dump_models(models: list[ModelEntry]) -> bytes:
    """Encode the list of a server's models."""
    return json.dumps({"models": [{"name": m.name, "fingerprint": m.fingerprint} for m in models]}).encode()


def load_models(data: bytes) -> tuple[ModelEntry, ...]:
    """Parse the list of a server's models; WireError unless it holds at most MAX_MODELS valid ones."""
    entries = load_object(data, "the server's answer").get("models")
    if not isinstance(entries, list) or len(entries) > MAX_MODELS:
        raise WireError(f"the server's answer holds no list of at most {MAX_MODELS} models")
    models: list[ModelEntry] = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        fingerprint = entry.get("fingerprint") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
            raise WireError("the server's list of models holds an entry without a valid name")
        if not isinstance(fingerprint, str) or not KEY_ID.fullmatch(fingerprint):
            raise WireError(f"the server's list of models holds no valid fingerprint for {name!r}")
        models.append(ModelEntry(name, fingerprint))
    return tuple(models)


def load_object(data: bytes, what: str, limit: int = MAX_ANSWER_BYTES) -> Mapping[str, object]:
    """Parse a JSON object of at most `limit` bytes; WireError, which names it as `what`, for anything else."""
    if len(data) > limit:
        raise WireError(f"{what} has {size_text(len(data))}; at most {size_text(limit)} are read")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError(f"{what} is not JSON; is it hetorch's?") from None
    if not isinstance(body, dict):
        raise WireError(f"{what} is not a JSON object; is it hetorch's?")
    return body
