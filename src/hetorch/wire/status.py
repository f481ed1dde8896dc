"""The state of a server, for `hetorch top` and its page: models, numbers, answers by code, last errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hetorch.errors import WireError
from hetorch.quantities import size_text
from hetorch.wire.limits import MAX_SENTENCE_LENGTH, MAX_STATUS_BYTES

MAX_ENTRIES = 1024
"""Most entries of each list of a status that a client reads."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model: its name, the fingerprint of its plan (hex), the number of its predictions, and their mean time in
    seconds."""

    name: str
    fingerprint: str
    predictions: int
    mean_seconds: float


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One process that computes: its id, and the model and the seconds of what it computes; None while it waits."""

    pid: int
    model: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log: time (ISO 8601), level, sentence, and the id of the request, if it is about one."""

    time: str
    level: str
    message: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a server at one time.

    Args:
        time: ISO 8601, UTC.
        version: that of hetorch.
        not_ready: the reasons for which it takes no predictions; empty if it does.
        models: all that it serves.
        workers: the processes that compute.
        numbers: by the name of their metric; sizes in bytes, times in seconds.
        answers: the number of answers by code, "ok" for those without an error.
        errors: the last warnings and errors of its log, the newest first.
    """

    time: str
    version: str
    not_ready: tuple[str, ...]
    models: tuple[ModelStatus, ...]
    workers: tuple[WorkerStatus, ...]
    numbers: Mapping[str, float]
    answers: Mapping[str, int]
    errors: tuple[LogLine, ...]


def dump_status(status: Status) -> bytes:
    """Encode a status as JSON."""
    return json.dumps(asdict(status)).encode()


def load_status(data: bytes) -> Status:
    """Parse the answer of a server, a stranger's bytes; WireError unless it is a status. Its texts are made fit for a
    terminal: no control characters, no line breaks, and at most MAX_SENTENCE_LENGTH characters."""
    if len(data) > MAX_STATUS_BYTES:
        raise WireError(
            f"the server's status has {size_text(len(data))}, more than {size_text(MAX_STATUS_BYTES)}"
        )
    try:
        body = json.loads(data)
        return Status(
            time=_text(body["time"]),
            version=_text(body["version"]),
            not_ready=tuple(_text(reason) for reason in _list(body["not_ready"])),
            models=tuple(
                ModelStatus(
                    _text(entry["name"]),
                    _text(entry["fingerprint"]),
                    int(_number(entry["predictions"])),
                    _number(entry["mean_seconds"]),
                )
                for entry in _list(body["models"])
            ),
            workers=tuple(
                WorkerStatus(
                    int(_number(entry["pid"])),
                    None if entry["model"] is None else _text(entry["model"]),
                    None if entry["seconds"] is None else _number(entry["seconds"]),
                )
                for entry in _list(body["workers"])
            ),
            numbers={_text(name): _number(value) for name, value in _pairs(body["numbers"])},
            answers={_text(code): int(_number(value)) for code, value in _pairs(body["answers"])},
            errors=tuple(
                LogLine(
                    _text(entry["time"]),
                    _text(entry["level"]),
                    _text(entry["message"]),
                    None if entry["request_id"] is None else _text(entry["request_id"]),
                )
                for entry in _list(body["errors"])
            ),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise WireError("the server's answer is no status of a hetorch server") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:MAX_SENTENCE_LENGTH]


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        raise ValueError
    return value


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        raise ValueError
    return list(value.items())
