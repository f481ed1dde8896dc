"""The small JSON answers of the service: errors, the list of models, the id of an uploaded key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hetorch.errors import WireError

MAX_ANSWER_BYTES = 1 << 16
MAX_SENTENCE = 600
"""Characters of an error sentence that a client repeats; a server that sends more is cut short."""
MAX_MODELS = 256
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
KEY_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model that a server offers: its name in addresses and the fingerprint of its plan (hex)."""

    name: str
    fingerprint: str


def dump_error(sentence: str, request_id: str | None = None) -> bytes:
    """`{"error": sentence}`, with the request id if the server has one to look up in its log."""
    body = {"error": sentence}
    if request_id is not None:
        body["request_id"] = request_id
    return json.dumps(body).encode()


def load_error(data: bytes) -> str | None:
    """The sentence of an error answer, made fit for a terminal, or None if the bytes hold none."""
    try:
        body = _object(data)
    except WireError:
        return None
    sentence = body.get("error")
    if not isinstance(sentence, str):
        return None
    # A stranger's text: no control characters (they drive terminals), no line breaks, a bounded length.
    clean = "".join(c if c.isprintable() else " " for c in sentence)
    return " ".join(clean.split())[:MAX_SENTENCE]


def dump_key_id(key_id: str) -> bytes:
    """The answer to an upload of evaluation keys."""
    return json.dumps({"key_id": key_id}).encode()


def load_key_id(data: bytes) -> str:
    """The key id of an upload's answer (64 hex digits), else WireError."""
    key_id = _object(data).get("key_id")
    if not isinstance(key_id, str) or not KEY_ID.fullmatch(key_id):
        raise WireError("the server's answer to the key upload holds no key id of 64 hex digits")
    return key_id


def dump_models(models: list[ModelEntry]) -> bytes:
    """The answer that lists the models of a server."""
    return json.dumps({"models": [{"name": m.name, "fingerprint": m.fingerprint} for m in models]}).encode()


def load_models(data: bytes) -> tuple[ModelEntry, ...]:
    """The models of a server's list, at most MAX_MODELS, else WireError."""
    entries = _object(data).get("models")
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


def _object(data: bytes) -> Mapping[str, object]:
    if len(data) > MAX_ANSWER_BYTES:
        raise WireError(f"an answer of {len(data)} bytes; at most {MAX_ANSWER_BYTES} are read")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("the server's answer is not JSON; is it a hetorch server?") from None
    if not isinstance(body, dict):
        raise WireError("the server's answer is not a JSON object; is it a hetorch server?")
    return body
