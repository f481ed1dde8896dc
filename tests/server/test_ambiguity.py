"""Requests that a proxy may read otherwise: one answer, and the connection is closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from starlette.types import Message, Receive, Scope, Send

from hetorch.server.guard import Guard
from hetorch.serving.models import ServedModel
from tests.server.live import live

KEY = f"Hetorch-Key-Id: {'ab' * 32}"
OCTETS = "Content-Type: application/octet-stream"
SECOND = "GET /v1/health/live HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def address(served: ServedModel) -> Iterator[tuple[str, int]]:
    with live({"small": served}) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        yield host, int(port)


def exchange(address: tuple[str, int], line: str, headers: list[str], body: str, version: str = "1.1") -> str:
    """Send a request and a second one behind it; return all that comes until the server closes the connection."""
    head = "\r\n".join([f"{line} HTTP/{version}", "Host: a", *headers])
    with socket.create_connection(address, 20) as connection:
        connection.sendall(f"{head}\r\n\r\n{body}".encode())
        received = b""
        while piece := connection.recv(1 << 16):
            received += piece
    return received.decode()


PUT, POST, GET = "PUT /v1/models/small/keys", "POST /v1/models/small/predict", "GET"
LENGTHS = ["Content-Length: 6", "Transfer-Encoding: chunked"]


@pytest.mark.parametrize(
    ("line", "headers", "body"),
    [
        (PUT, [OCTETS, *LENGTHS], f"0\r\n\r\n{SECOND}"),
        (PUT, [OCTETS, *reversed(LENGTHS)], f"0\r\n\r\n{SECOND}"),
        ("GET /v1/health/live", LENGTHS, f"0\r\n\r\n{SECOND}"),
        (POST, [OCTETS, KEY, KEY.replace("ab", "cd"), "Content-Length: 1"], f"x{SECOND}"),
        (POST, [OCTETS, KEY, KEY.upper().replace("AB", "ab"), "Content-Length: 1"], f"x{SECOND}"),
        (POST, [OCTETS, "Content-Type: text/plain", KEY, "Content-Length: 1"], f"x{SECOND}"),
        (
            POST,
            [KEY, KEY, "Content-Length: 1000000"],
            "",
        ),  # a body that never comes does not delay the answer
        ("GET /v1/models%2Fsmall", [], SECOND),
        ("GET /v1%2fmodels/small/keys", [], SECOND),
        ("GET /v1/models/small%5Ckeys", [], SECOND),
        ("GET /v1/models/%2e%2E/metrics", [], SECOND),
        ("GET /v1/models/../metrics", [], SECOND),
        ("GET /v1/models/..;/metrics", [], SECOND),
        ("GET /v1/models/..;a=b/metrics", [], SECOND),
        ("GET /v1/models/..%3b/metrics", [], SECOND),
        ("GET /v1/models/..", [], SECOND),
        ("GET /v1//metrics", [], SECOND),
        ("GET /v1/models/small%00", [], SECOND),
    ],
)
def test_a_request_with_two_meanings_is_refused_and_nothing_behind_it_answered(
    address: tuple[str, int], line: str, headers: list[str], body: str
) -> None:
    received = exchange(address, line, headers, body)
    head, _, answer = received.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 ") and "connection: close" in head.lower()
    # uvicorn's parser httptools, where it is installed, refuses two lengths itself, with a sentence of its own.
    assert '"code": "request_ambiguous"' in answer or answer == "Invalid HTTP request received."
    assert received.count("HTTP/1.1") == 1


def test_http_1_0_has_no_transfer_encoding(address: tuple[str, int]) -> None:
    """A proxy that speaks HTTP/1.0 reads the body to the end of the connection, or no body."""
    headers = [OCTETS, "Connection: keep-alive", "Transfer-Encoding: chunked"]
    received = exchange(address, PUT, headers, f"0\r\n\r\n{SECOND}", version="1.0")
    assert '"code": "request_ambiguous"' in received and received.count("HTTP/1.1") == 1


def test_ordinary_requests_may_follow_each_other(address: tuple[str, int]) -> None:
    """The control: the same exchange answers both requests."""
    received = exchange(
        address, "GET /v1/health/live", [], SECOND.replace("Host: a", "Host: a\r\nConnection: close")
    )
    assert received.count("HTTP/1.1 200") == 2


async def unused(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("an ambiguous request reached the application")


async def nothing() -> Message:
    raise AssertionError("the body of an ambiguous request was read")


def ambiguous(http_version: str) -> Scope:
    path = "/v1//metrics"
    return {"type": "http", "http_version": http_version, "method": "GET", "path": path, "headers": []}


def test_a_client_that_does_not_read_the_refusal_is_left() -> None:
    async def never(message: Message) -> None:
        await asyncio.Event().wait()

    guard = Guard(unused, idle_timeout=0.05)
    asyncio.run(asyncio.wait_for(guard(ambiguous("1.1"), nothing, never), 60))


@pytest.mark.parametrize(("http_version", "closes"), [("1.0", True), ("1.1", True), ("2", False)])
def test_the_connection_header_belongs_to_http_1(http_version: str, closes: bool) -> None:
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(unused, idle_timeout=1.0)(ambiguous(http_version), nothing, keep))
    assert sent[0]["status"] == 400
    assert ((b"connection", b"close") in sent[0]["headers"]) is closes
