"""The audit log: one JSON line for each request, with who, what, when, sizes and outcome, and never contents."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hetorch.atomic_files import PRIVATE
from hetorch.errors import StorageError
from hetorch.server.access import TOKEN
from hetorch.server.exposure import CERTIFICATE
from hetorch.server.request_record import record_of
from hetorch.server.tokens import ANYONE, Token
from hetorch.serving.quiet_log import QuietLog
from hetorch.wire.addresses import KEY_ID_HEADER
from hetorch.wire.answers import KEY_ID

log = logging.getLogger("hetorch.server")

MAX_PATH_LENGTH = 256
"""Characters of a request's path that a line repeats; the paths of the service are shorter."""
MAX_METHOD_LENGTH = 16
"""Characters of a request's method that a line repeats; those of HTTP are shorter."""


class AuditLog:
    """A file to which lines are added; it is made with mode 0600. It is opened for each line, so that it may be renamed
    at any time and another begins. StorageError if it cannot be written at the start; later failures go to the log.

    Attributes:
        lost: lines that could not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn = False
        self._quiet = QuietLog(log)
        self.lost = 0
        try:
            self._append(b"")
        except OSError as error:
            raise StorageError(f"cannot write the audit log {path}: {error.strerror or error}") from None

    def write(self, entry: dict[str, object]) -> None:
        """Add one line. A failure is counted, and told in the log at most once a minute."""
        line = (json.dumps(entry) + "\n").encode()
        try:
            self._append(b"\n" + line if self._torn else line)
            self._torn = False
        except OSError as error:
            self.lost += 1
            self._quiet.warn(
                f"the audit log {self._path} cannot be written: {error.strerror or error}; lines lost: {self.lost}"
            )

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, PRIVATE)
        try:
            written = os.write(descriptor, line)  # one write, so that lines of several servers do not mix
            if written < len(line):  # the disk is full: the next line must not continue this one
                self._torn = self._torn or written > 0
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)


class Audit:
    """ASGI middleware that writes a line for each request when its answer is sent or its client has gone."""

    def __init__(self, app: ASGIApp, audit_log: AuditLog) -> None:
        self._app = app
        self._log = audit_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, count its bytes and those of its answer, and write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, start = datetime.now(UTC), time.monotonic()
        status: int | None = None
        received = sent = 0
        complete = False

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, sent, complete
            await send(message)
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            self._log.write(
                {
                    "time": began.isoformat(timespec="milliseconds"),
                    "request_id": record_of(scope).id,
                    **_who(scope),
                    "method": scope["method"][:MAX_METHOD_LENGTH],
                    "path": scope["path"][:MAX_PATH_LENGTH],
                    "key_id": _key_id(scope),
                    "request_bytes": received,
                    "response_bytes": sent,
                    "status": status,
                    "outcome": _outcome(status) if complete else "incomplete",
                    "milliseconds": round((time.monotonic() - start) * 1e3, 1),
                }
            )


def _who(scope: Scope) -> dict[str, object]:
    """Return the address of a client, its verified certificate, and the tenant and the name of its valid token."""
    client, token = scope.get("client"), scope.get(TOKEN)
    who: dict[str, object] = {
        "address": client[0] if client else None,
        "certificate": scope.get("state", {}).get(CERTIFICATE),
        "tenant": None,
        "token": None,
    }
    if isinstance(token, Token) and token is not ANYONE:
        who |= {"tenant": token.tenant, "token": token.name}
    return who


def _key_id(scope: Scope) -> str | None:
    """Return the key id that a request names in its header; None if it is not one."""
    wanted = KEY_ID_HEADER.lower().encode()
    text = next((value for name, value in scope["headers"] if name == wanted), b"").decode("latin-1")
    return text if KEY_ID.fullmatch(text) else None


def _outcome(status: int | None) -> str:
    if status is None:
        return "incomplete"
    if status == 503:
        return "busy"
    return "ok" if status < 400 else "refused" if status < 500 else "failed"
