"""The log of `hetorch serve`: each line of standard error is one of JSON, also when the server stops."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.cli.command import save_secure_plan, server_process


def test_every_line_is_json_and_spans_go_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = save_secure_plan(tmp_path)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    before = datetime.now(UTC)
    options = ("--log-format", "json", "--traces")
    with server_process([plan], tmp_path, *options) as (url, process):
        answer = httpx.get(f"{url}/v1/models", trust_env=False)
        httpx.get(f"{url}/v1/health/live", trust_env=False)
        process.terminate()
        assert process.stdout is not None
        spans = process.stdout.read()
    lines = [json.loads(line) for line in (tmp_path / "server.log").read_text().splitlines()]
    for line in lines:
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert datetime.fromisoformat(line["time"]) >= before.replace(microsecond=0)
    (request,) = (line for line in lines if line["logger"] == "hetorch.access")
    assert request["request_id"] == answer.headers["x-request-id"]
    assert request["request_id"] in spans and spans.count('"name": "GET') == 1
    assert '"service.name": "hetorch"' in spans
