"""Answers of proxies, sign-in pages and other services: each is told as what it is, in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from hetorch.client import Client, Vault
from hetorch.client.attempt import Body
from hetorch.client.blocking import finish
from hetorch.client.transport import Transport
from hetorch.errors import RemoteError

URL = "http://models.example/base"
PAGE = b"<!DOCTYPE html>\n<html><head><title>\n  Sign in\x07 - Example </title></head>" + b" " * (1 << 20)
"""Longer than any answer of ours, as such pages are."""


def told(
    status: int, headers: dict[str, str], body: bytes, *, url: str = URL, sent: bytes | None = None
) -> str:
    def answer(request: httpx.Request) -> httpx.Response:
        if sent is not None:
            request.read()
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    transport = Transport(url, timeout=1.0, transport=httpx.MockTransport(answer))
    with pytest.raises(RemoteError) as caught:
        finish(transport.send("GET" if sent is None else "PUT", "/v1/models", content=sent))
    assert (caught.value.status, caught.value.code) == (status, None)
    text = str(caught.value)
    assert text.isprintable() and len(text) < 500
    assert text.startswith(("http://models.example", "https://models.example"))
    return text


@pytest.mark.parametrize(
    "kind", ["text/html", "text/html; charset=utf-8", "Application/XHTML+xml", "", "text/plain"]
)
@pytest.mark.parametrize("status", [200, 201, 203])
def test_a_sign_in_page_is_told_as_a_page(status: int, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    body = PAGE if "html" in kind.lower() else PAGE[:200]
    text = told(status, headers, body)
    assert "a web page with the title 'Sign in - Example', as a sign-in page" in text


def test_a_compressed_page_is_told_as_a_page() -> None:
    assert "a web page, as" in told(
        200, {"Content-Type": "text/html", "Content-Encoding": "gzip"}, b"\x1f\x8b"
    )


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "asks for a name and a password, .* https://name:password@host"),
        (403, "forbids the access"),
        (407, "proxy that asks for a name and a password; write them into HTTPS_PROXY"),
        (413, r"takes no body of 2 MB, .*client_max_body_size"),
        (429, "allows fewer requests"),
        (502, "does not reach the hetorch server; is `hetorch serve` running there"),
        (504, "did not wait .* above --request-timeout"),
        (
            400,
            "answered 400 without an explanation with the title 'Sign in - Example'; is it a hetorch server",
        ),
        (404, "answered 404 without an explanation"),
        (500, "answered 500 without an explanation"),
    ],
)
@pytest.mark.parametrize("headers", [{"Content-Type": "text/html"}, {"Content-Encoding": "gzip"}, {}])
def test_refusals_of_a_proxy_are_told_as_such(status: int, sentence: str, headers: dict[str, str]) -> None:
    text = told(status, headers, PAGE, sent=bytes(2_000_000))
    if "Content-Encoding" in headers:
        sentence = sentence.replace(" with the title 'Sign in - Example'", "")
        assert "Sign in" not in text
    else:
        assert "title 'Sign in - Example'" in text
    assert re.search(sentence, text), text


def test_a_proxy_without_a_server_is_asked_again_and_told() -> None:
    assert "no hetorch server ready; is `hetorch serve` running there" in told(
        503, {"Retry-After": "30", "Content-Type": "text/html"}, PAGE
    )


def test_a_wrong_password_is_told_without_it() -> None:
    text = told(401, {}, b"", url="https://me:secret@models.example")
    assert "refuses the name and password" in text and "secret" not in text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        (
            "https://models.example/base/v1/models",
            "redirects to https://models.example/base/v1/models .*give it to the client: https://models.example/base$",
        ),
        ("/login?token=secret#secret", "redirects to http://models.example/login .*is it a sign-in page"),
        ("https://me:secret@id.example/x?secret", "redirects to https://id.example/x .*is it a sign-in page"),
        ("//id.example/%1b[31m", "redirects to http://id.example/"),
        ("x" * 10_000, "redirects to http://models.example/base/v1/x"),
    ],
)
def test_a_redirect_is_not_followed_and_told(status: int, location: str, sentence: str) -> None:
    text = told(status, {"Location": location}, PAGE)
    assert re.search(sentence, text), text
    assert f"(status {status})" in text and "secret" not in text


def test_a_redirect_to_nowhere() -> None:
    assert "302 without an explanation" in told(302, {}, b"")
    for location in ("http://[me:secret@", "//id.example/\x1b[31m", "http://me:secret@host:port"):
        mock = httpx.MockTransport(
            lambda request, to=location: httpx.Response(
                302, headers={"Location": to}, stream=httpx.ByteStream(b"")
            )
        )
        with pytest.raises(RemoteError, match=r"Invalid URL|redirects to") as caught:
            finish(Transport(URL, timeout=1.0, transport=mock).get("/v1/models"))
        assert "secret" not in str(caught.value) and str(caught.value).isprintable()


def test_a_page_in_place_of_each_answer(tmp_path: Path) -> None:
    """Also where hetorch's own answer is no JSON, and where the body is sent in pieces."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(PAGE[:500]))

    mock = httpx.MockTransport(answer)
    for model in (None, "small"):
        with pytest.raises(RemoteError, match="a web page"):
            Client(URL, vault=Vault(tmp_path / "keys"), model=model, transport=mock)
    transport = Transport(URL, timeout=1.0, transport=mock)
    with pytest.raises(RemoteError, match="a web page"):
        finish(transport.send("PUT", "/v1/models/x/keys", content=Body(3, lambda: [b"a", b"bc"])))


def test_the_proxy_of_the_environment_is_named(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ProxyError("407 Proxy Authentication Required", request=request)

    with pytest.raises(RemoteError, match=r"the proxy before .*HTTPS_PROXY.* makes no connection: 407"):
        Client(URL, vault=tmp_path / "keys", transport=httpx.MockTransport(answer))
