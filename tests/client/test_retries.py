"""What is sent again, and when: by the table of hetorch.client.retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from hetorch.client import Client, Vault
from hetorch.client.blocking import finish
from hetorch.client.retries import JITTER, REPEATS, hurried, pause_when_busy, within
from hetorch.client.transport import Transport
from hetorch.errors import InputError, RemoteError
from hetorch.wire.limits import MIN_RETRY_AFTER_SECONDS


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.client.retries.FIRST_PAUSE_SECONDS", 0.001)


def scripted(*steps: Exception | int) -> tuple[Transport, list[str]]:
    """Return a transport whose answers are these statuses and errors, the last one for ever, and what it was sent."""
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        step = steps[min(len(sent), len(steps) - 1)]
        sent.append(f"{request.method} {request.url.path}")
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step, headers={"Retry-After": "0"}, stream=httpx.ByteStream(b"{}"))

    return Transport("http://127.0.0.1:1", timeout=5.0, transport=httpx.MockTransport(answer)), sent


BREAKS: list[Callable[[], Exception]] = [
    lambda: httpx.ReadError("reset"),
    lambda: httpx.WriteError("broken pipe"),
    lambda: httpx.RemoteProtocolError("Server disconnected without sending a response."),
]


@pytest.mark.parametrize("broken", BREAKS)
def test_a_request_that_may_be_done_twice_is_sent_again_when_its_connection_breaks(
    broken: Callable[[], Exception],
) -> None:
    transport, sent = scripted(broken(), broken(), 200)
    assert finish(transport.send("PUT", "/keys", content=b"keys")).body == b"{}"
    assert len(sent) == 3


def test_it_is_not_sent_for_ever() -> None:
    transport, sent = scripted(httpx.ReadError("reset"))
    with pytest.raises(RemoteError, match="broke during GET /x: reset"):
        finish(transport.send("GET", "/x"))
    assert len(sent) == 1 + REPEATS


@pytest.mark.parametrize(("repeats", "times"), [(0, 1), (1, 2)])
def test_a_request_that_does_something_each_time_is_not_sent_again(repeats: int, times: int) -> None:
    transport, sent = scripted(httpx.ReadError("reset"))
    with pytest.raises(RemoteError, match="broke"):
        finish(transport.send("POST", "/jobs", content=b"x", repeats=repeats))
    assert len(sent) == times


def test_it_is_sent_again_where_there_was_no_connection_to_a_server_that_was_there() -> None:
    gone = httpx.ConnectError("refused")
    transport, sent = scripted(200, gone, gone, 200)
    finish(transport.send("GET", "/x"))
    assert finish(transport.send("POST", "/jobs", content=b"x", repeats=0)).body == b"{}"
    assert len(sent) == 4


def test_a_server_that_was_never_there_is_told_at_once() -> None:
    transport, sent = scripted(httpx.ConnectError("refused"))
    with pytest.raises(RemoteError, match="is `hetorch serve` running"):
        finish(transport.send("GET", "/x"))
    assert len(sent) == 1


def test_after_a_timeout_nothing_is_sent_again() -> None:
    """The server may still be computing."""
    transport, sent = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(RemoteError, match="did not answer"):
        finish(transport.send("GET", "/x"))
    assert len(sent) == 1


@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_server_is_asked_again_whatever_the_request(status: int) -> None:
    transport, sent = scripted(status, status, 200)
    assert finish(transport.send("POST", "/jobs", content=b"x", repeats=0)).body == b"{}"
    assert len(sent) == 3


@pytest.mark.parametrize("status", [400, 404, 409, 500, 502, 504])
def test_other_refusals_are_final(status: int) -> None:
    transport, sent = scripted(status)
    with pytest.raises(RemoteError) as caught:
        finish(transport.send("GET", "/x"))
    assert caught.value.status == status and len(sent) == 1


def test_where_another_server_is_there_nobody_waits() -> None:
    for step in (503, httpx.ReadError("reset"), httpx.ConnectError("refused")):
        transport, sent = scripted(step)
        with pytest.raises(RemoteError), hurried():
            finish(transport.send("GET", "/x"))
        assert len(sent) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", MIN_RETRY_AFTER_SECONDS),
        ("7", 7.0),
        ("100000", 1e5),
        ("", 1.0),
        ("soon", 1.0),
        ("-3", 1.0),
        ("²", 1.0),
    ],
)
def test_retry_after_is_obeyed_and_lengthened_at_random(header: str, seconds: float) -> None:
    pauses = {pause_when_busy(header) for _ in range(50)}
    assert len(pauses) > 1
    assert all(seconds <= pause <= seconds * (1 + JITTER) for pause in pauses)


def test_retry_after_may_be_a_date() -> None:
    pause = pause_when_busy(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert 50 < pause <= 60 * (1 + JITTER)


def test_a_pause_longer_than_the_time_is_not_begun() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            503, headers={"Retry-After": "3600"}, stream=httpx.ByteStream(b'{"error": "no"}')
        )

    transport = Transport("http://127.0.0.1:1", timeout=60.0, transport=httpx.MockTransport(answer))
    begin = time.monotonic()
    with pytest.raises(RemoteError, match="says: no"):
        finish(transport.send("GET", "/x"))
    assert time.monotonic() - begin < 30


def test_the_deadline_is_for_all_requests_together() -> None:
    transport, sent = scripted(503)
    with pytest.raises(RemoteError), within(0.5):
        finish(transport.send("GET", "/x"))
    assert 1 < len(sent) <= 6  # pauses of 0.1 s and more; the timeout alone would allow 50
    with within(1e-9), pytest.raises(RemoteError, match="deadline"):
        time.sleep(0.001)
        finish(transport.send("GET", "/x"))
    with within(60.0), within(1e-9), pytest.raises(RemoteError, match="deadline"):
        time.sleep(0.001)
        finish(transport.send("GET", "/x"))


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan")])
def test_a_deadline_is_a_positive_number(deadline: float, vault: Vault) -> None:
    with pytest.raises(InputError, match="deadline must be a positive"):
        Client("http://127.0.0.1:1", vault=vault, deadline=deadline)
