"""The audit log: whole lines only, whatever the disk and the client do."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from hetorch.server.audit import Audit, AuditLog


def test_a_full_disk_tears_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The system writes the part for which there is room, and says so by a number only."""
    path = tmp_path / "audit"
    audit = AuditLog(path)
    audit.write({"n": 0})
    room = 5
    write = os.write

    def limited(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[:room])
        room -= written
        return written

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "write", limited)
        for n in (1, 2, 3):
            audit.write({"n": n})
    audit.write({"n": 4})
    audit.write({"n": 5})
    first, torn, *rest = path.read_text().splitlines()
    assert json.loads(first) == {"n": 0} and torn == json.dumps({"n": 1})[:5]
    assert [json.loads(line) for line in rest] == [{"n": 4}, {"n": 5}]
    assert audit.lost == 3
    assert len(caplog.records) == 1 and "No space left" in caplog.text


def lines(scope: dict[str, Any], tmp_path: Path) -> list[dict[str, Any]]:
    """Return the lines of one request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        pass

    whole = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("192.0.2.1", 5)} | scope
    asyncio.run(Audit(app, AuditLog(tmp_path / "audit"))(whole, send, send))  # type: ignore[arg-type]
    return [json.loads(line) for line in (tmp_path / "audit").read_text().split("\n") if line]


def test_nothing_of_a_request_adds_a_line_or_makes_one_long(tmp_path: Path) -> None:
    scope = {
        "method": "X" * 60_000,
        "path": "/" + '\n{"tenant": "forged"}\r\x1b[31m\u2028' * 5000,
        "headers": [(b"hetorch-key-id", b"x" * 60_000)],
    }
    (line,) = lines(scope, tmp_path)
    assert line["tenant"] is None and line["key_id"] is None
    text = (tmp_path / "audit").read_text()
    assert text.isascii() and text.count("\n") == 1 and "\r" not in text and "\x1b" not in text
    assert len(text) < 2500
