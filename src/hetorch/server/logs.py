"""The log of a server: one line an event, as text for people or JSON for programs.

A line has the time (UTC), the level, and for what happens in a request its id, the client's address and its tenant.
Names and passwords are taken out of addresses; no line holds a token, a query string or a byte of a body.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO

from hetorch.server.access import TOKEN
from hetorch.server.request_record import CURRENT
from hetorch.server.tokens import ANYONE, Token
from hetorch.user_information import without_user_information

DETAILS = "details"
"""The attribute of a log record that holds more fields of a JSON line."""


def configure_logs(form: str, level: str, stream: IO[str] | None = None) -> None:
    """Send the log lines of this process to a stream, standard error if left out: those of hetorch from this level up,
    and the warnings and errors of other packages.

    Args:
        form: "text" or "json".
        level: the name of the least level that is shown.
        stream: where lines go.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # for the lines of other packages
    logging.getLogger("hetorch").setLevel(level.upper())
    logging.captureWarnings(True)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_user_information(record.getMessage()),
            **request_fields(),
            **getattr(record, DETAILS, {}),
        }
        if record.exc_info:
            entry["exception"] = without_user_information(self.formatException(record.exc_info))
        return json.dumps(entry)


class TextLines(logging.Formatter):
    """Formats a record as one line of text, a traceback in indented lines behind it. Control characters are escaped, so
    that nobody who is quoted in a line can forge another one."""

    def format(self, record: logging.LogRecord) -> str:
        request = " ".join(str(value) for value in request_fields().values() if value is not None)
        message = _printable(without_user_information(record.getMessage()))
        line = " ".join(part for part in (_time(record), record.levelname, request, message) if part)
        if record.exc_info:
            trace = without_user_information(self.formatException(record.exc_info))
            line += "".join(f"\n    {_printable(part)}" for part in trace.splitlines())
        return line


def request_fields() -> dict[str, object]:
    """Return the id, address and tenant of the request that is being answered; none outside of requests."""
    record = CURRENT.get()
    if record is None:
        return {}
    client, token = record.scope.get("client"), record.scope.get(TOKEN)
    tenant = token.tenant if isinstance(token, Token) and token is not ANYONE else None
    return {"request_id": record.id, "address": client[0] if client else None, "tenant": tenant}


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
