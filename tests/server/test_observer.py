"""Each request has an id, a line in the log, its place in the metrics and a span; and nothing secret in any of them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Receive, Scope, Send

from hetorch.server.logs import JsonLines, TextLines, configure_logs
from hetorch.server.metrics import HELP, PrometheusMetrics
from hetorch.server.observer import Observer
from hetorch.server.proxies import FROM_PROXY
from hetorch.server.request_record import record_of
from hetorch.server.settings import Settings
from hetorch.server.telemetry import Tracing
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.models import ServedModel
from hetorch.wire.server_timing import STEPS
from tests.server.conftest import OCTETS, Owner
from tests.server.live import live
from tests.server.scrape import Numbers, scrape

LOGGERS = [logging.getLogger(name) for name in ("", "hetorch")]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Give the stream of the server's log in JSON; the loggers are as before afterwards."""
    before = [(logger, logger.handlers[:], logger.level) for logger in LOGGERS]
    stream = io.StringIO()
    configure_logs("json", "info", stream)
    try:
        yield stream
    finally:
        logging.captureWarnings(False)
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_has_one_line_and_no_secret_is_in_it(
    served: ServedModel, owner: Owner, stream: io.StringIO, tmp_path: Path
) -> None:
    text, token = issue("ward", "hospital")
    save_tokens(tmp_path / "tokens.json", [token])
    with (
        live({"small": served}, Settings(tokens=tmp_path / "tokens.json")) as url,
        httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {text}"}) as http,
    ):
        key_id = http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS).json()["key_id"]
        stream.truncate(0)
        stream.seek(0)
        body = owner.request(key_id)
        answer = http.post(
            "/v1/models/small/predict?password=hunter2",
            content=body,
            headers=OCTETS | {"Hetorch-Key-Id": key_id},
        )
        http.get("/v1/health/live")  # a probe has no line
    # The line of the upload is written after its answer has gone out, perhaps only after the stream was emptied.
    (line,) = [line for line in lines_of(stream) if line["path"] != "/v1/models/small/keys"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["address"], line["tenant"], line["level"]) == ("127.0.0.1", "hospital", "info")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/models/small/predict", 200)
    assert (line["request_bytes"], line["response_bytes"]) == (len(body), len(answer.content))
    assert isinstance(line["steps"], dict) and tuple(line["steps"]) == STEPS
    for secret in (text, "hunter2", key_id):
        assert secret not in stream.getvalue()


@pytest.mark.parametrize("wanted", ["abc", "A" * 64, "x y", "a\tb", "", "A" * 65])
def test_an_id_of_a_stranger_is_not_taken(http: httpx.Client, wanted: str) -> None:
    given = http.get("/v1/models", headers={"X-Request-Id": wanted}).headers["x-request-id"]
    assert given != wanted and len(given) == 16


async def answer_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


async def ask(app: Observer, headers: list[tuple[bytes, bytes]], *, proxy: bool) -> dict[bytes, bytes]:
    """Ask by ASGI; return the headers of the answer."""
    sent: list[dict[bytes, bytes]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.start":
            sent.append(dict(message["headers"]))

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": headers,
        "client": ("10.0.0.1", 1),
        FROM_PROXY: proxy,
    }
    await app(scope, receive, send)
    return sent[0]


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ([b"abc-1.2_3"], True),
        ([b"a b"], False),
        ([b"x" * 65], False),
        ([b"one", b"two"], False),
        ([b"\xff"], False),
    ],
)
def test_an_id_of_a_trusted_proxy_is_taken_if_it_is_one(headers: list[bytes], taken: bool) -> None:
    app = Observer(answer_nothing, PrometheusMetrics())
    sent = asyncio.run(ask(app, [(b"x-request-id", value) for value in headers], proxy=True))
    assert (sent[b"x-request-id"] == headers[0]) == taken


def test_strangers_make_no_time_series(http: httpx.Client) -> None:
    def ask_all(indices: range) -> Numbers:
        for index in indices:
            http.get(f"/v1/{index}/x")
            http.get(f"/v1/models/name{index}")
            http.request(f"METHOD{index}", "/v1/models")
        return scrape(http)

    ask_all(range(1))
    first = ask_all(range(1, 2))
    second = ask_all(range(2, 40))
    unknown = {"code": "no_such_address"}
    assert second("requests_total", **unknown) == first("requests_total", **unknown) + 38
    assert second.series == first.series


def test_every_number_has_its_help(http: httpx.Client) -> None:
    numbers = http.get("/v1/status").json()["numbers"]
    assert numbers.keys() <= HELP.keys(), "add its help to hetorch/server/metrics.py"


def test_openmetrics_is_for_those_who_ask(http: httpx.Client) -> None:
    plain = http.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for version in ("1.0.0", "x;y", "\xff"):
        accept = f"application/openmetrics-text; version={version}, text/plain;q=0.5".encode("latin-1")
        answer = http.get("/metrics", headers=[(b"Accept", accept)])
        assert answer.status_code == 200 and answer.text.endswith("# EOF\n")
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("hetorch.server", logging.WARNING, __file__, 1, message, arguments, None)


def test_lines_are_lines_and_hold_no_password() -> None:
    evil = record("%s", "a\nFORGED line \x1b[31m http://name:hunter2@host/")
    text = TextLines().format(evil)
    assert "\n" not in text and "\x1b" not in text and "hunter2" not in text
    assert " WARNING " in text
    entry = JsonLines().format(evil)
    assert "\n" not in entry and "hunter2" not in entry
    assert json.loads(entry)["message"].startswith("a\nFORGED")


def test_a_traceback_forges_no_line() -> None:
    try:
        raise ValueError("a\n2026-11-29T00:00:00Z INFO forged")
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    first, *others = TextLines().format(failed).splitlines()
    assert "it failed" in first and others and all(line.startswith("    ") for line in others)
    assert "forged" in json.loads(JsonLines().format(failed))["exception"]


def test_lines_of_other_packages_have_the_form_too(stream: io.StringIO) -> None:
    logging.getLogger("asyncio").error("a task failed")
    logging.getLogger("asyncio").info("not told")
    warnings.showwarning("a package warns", UserWarning, __file__, 1)  # as Python does where none is an error
    task, warning = lines_of(stream)
    assert (task["logger"], task["message"]) == ("asyncio", "a task failed")
    assert "a package warns" in str(warning["message"])


def test_spans_have_the_steps_below_them_and_the_parent_of_a_proxy_only() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def predicting(scope: Scope, receive: Receive, send: Send) -> None:
        request = record_of(scope)
        request.model, request.milliseconds = "small", {"queue": 1.0, "run": 20.0}
        await answer_nothing(scope, receive, send)

    app = Observer(predicting, PrometheusMetrics(), Tracing(provider))
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = [(b"traceparent", f"00-{trace_id}-b7ad6b7169203331-01".encode())]
    asyncio.run(ask(app, parent, proxy=True))
    queue, run, request = exporter.get_finished_spans()
    assert (queue.name, run.name, request.name) == ("queue", "run", "GET none")
    assert request.context is not None and f"{request.context.trace_id:032x}" == trace_id
    assert queue.parent is not None and queue.parent.span_id == request.context.span_id
    assert run.start_time == queue.end_time and run.end_time is not None and run.start_time is not None
    assert run.end_time - run.start_time == 20_000_000
    assert request.attributes is not None and request.attributes["hetorch.model"] == "small"
    exporter.clear()
    asyncio.run(ask(app, parent, proxy=False))
    assert all(
        f"{span.context.trace_id:032x}" != trace_id for span in exporter.get_finished_spans() if span.context
    )
