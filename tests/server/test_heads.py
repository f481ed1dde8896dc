"""Heads of requests are bounded, and so are the requests that wait on one connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from hetorch.server.bounded_protocol import MAX_HEAD_BYTES, MAX_PIPELINED
from hetorch.serving.models import ServedModel
from tests.server.live import live

START = "GET /v1/health/live HTTP/1.1\r\nHost: a\r\n"
CHUNKED = (
    "PUT /v1/models/small/keys HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n"
)
ENDLESS = 64 * MAX_HEAD_BYTES


@pytest.fixture(scope="module")
def address(served: ServedModel) -> Iterator[tuple[str, int]]:
    with live({"small": served}) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        yield host, int(port)


def send(address: tuple[str, int], text: str) -> tuple[int, str]:
    """Send a request in pieces; return how many bytes the server took before it closed, and what it answered."""
    data, sent, received = text.encode(), 0, b""
    with socket.create_connection(address, 20) as connection:
        try:
            while sent < len(data):
                sent += connection.send(data[sent : sent + 8192])
            while piece := connection.recv(1 << 16):
                received += piece
        except OSError:  # it is closed with bytes on their way: the answer may be lost
            pass
    return sent, received.decode()


@pytest.mark.parametrize(
    "text",
    [
        START + "X: " + "a" * ENDLESS,
        "GET /" + "a" * ENDLESS,
        START + "X: a\r\n" * (ENDLESS // 6),
        START + "a" * ENDLESS,
        CHUNKED + "X: " + "a" * ENDLESS,
        CHUNKED + "X: a\r\n" * (ENDLESS // 6),
    ],
    ids=["header", "path", "headers", "name", "trailer", "trailers"],
)
def test_an_endless_head_is_not_read(address: tuple[str, int], text: str) -> None:
    sent, answer = send(address, text)
    assert sent < len(text)  # what is beyond the limit lies in the buffers of the two sockets
    assert answer == "" or answer.startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize("long", [f"X: {'a' * 30_000}\r\n", "X: a\r\n" * 1000], ids=["header", "headers"])
def test_long_heads_are_served(address: tuple[str, int], long: str) -> None:
    _, answer = send(address, f"{START}{long}Connection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 ")


def test_more_requests_than_may_wait_end_the_connection(address: tuple[str, int]) -> None:
    asked = f"{START}\r\n"
    _, answer = send(address, asked * MAX_PIPELINED + f"{START}Connection: close\r\n\r\n")
    assert answer.count("HTTP/1.1 200 ") == MAX_PIPELINED + 1
    _, answer = send(address, asked * 10_000)
    assert answer.count("HTTP/1.1") <= MAX_PIPELINED + 1
    assert httpx.get("http://{}:{}/v1/health/live".format(*address), trust_env=False).status_code == 200


def test_a_trailer_is_no_header(address: tuple[str, int]) -> None:
    """A token or key id behind the body was not there when the headers were checked."""
    body = f"0\r\nHetorch-Key-Id: {'ab' * 32}\r\nConnection: close\r\n\r\n"
    head = CHUNKED.replace("PUT", "POST").replace("keys", "predict").removesuffix("0\r\n")
    _, answer = send(address, head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n") + body)
    assert '"key_id_malformed"' in answer
