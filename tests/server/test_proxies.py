"""The address of a client behind proxies, which nobody can forge, and requests that come past the proxies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.networks import parse_proxies
from hetorch.server.proxies import PAST_PROXY, Proxies
from hetorch.server.settings import Settings
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.models import ServedModel


def seen(peer: str, forwarded: list[str], proxies: list[str], scheme: str = "http") -> tuple[str, bool]:
    """Return the address that the application sees, and whether the request came past the proxies."""
    result: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        result.update(scope)

    scope = {
        "type": "http",
        "scheme": scheme,
        "client": (peer, 7),
        "headers": [(b"x-forwarded-for", text.encode()) for text in forwarded],
    }
    asyncio.run(Proxies(app, parse_proxies(proxies))(scope, None, None))  # type: ignore[arg-type]
    return result["client"][0], PAST_PROXY in result


PROXIES = ["10.0.0.5", "10.1.0.0/16"]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # a client wrote the first
        (["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (["10.0.0.5, 198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.1.2.3"], "198.51.100.7"),  # through two proxies
        (["10.1.2.3"], "10.1.2.3"),
        ([], "10.0.0.5"),
        (["forged"], "10.0.0.5"),
        (["203.0.113.9, forged, 10.1.2.3"], "10.1.2.3"),
        (["forged, 198.51.100.7:4711"], "198.51.100.7"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["x" * 50_000], "10.0.0.5"),
    ],
    ids=str,
)
def test_the_nearest_proxy_tells_the_client(forwarded: list[str], client: str) -> None:
    assert seen("10.0.0.5", forwarded, PROXIES) == (client, False)
    assert seen("::ffff:10.0.0.5", forwarded, PROXIES) == (
        client,
        False,
    )  # a socket for both kinds of addresses
    assert seen("10.0.0.6", forwarded, PROXIES) == ("10.0.0.6", True)
    assert seen("10.0.0.6", forwarded, PROXIES, "https") == ("10.0.0.6", False)
    assert seen("127.0.0.1", forwarded, PROXIES) == ("127.0.0.1", False)
    assert seen("10.0.0.5", forwarded, []) == ("10.0.0.5", False)


def ask(app: Starlette, peer: str, path: str, token: str, **headers: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(peer, 7))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
            return await http.get(path, headers={"Authorization": f"Bearer {token}", **headers})

    return asyncio.run(get())


def test_nobody_passes_the_proxy_by_over_plain_http(served: ServedModel, tmp_path: Path) -> None:
    """A token would be read on the way, and the client would not notice that there is no TLS."""
    text, token = issue("ward", "ward")
    save_tokens(tmp_path / "t", [token])
    options: dict[str, Any] = {
        "tokens": tmp_path / "t",
        "trusted_proxies": ("10.0.0.5",),
        "audit_log": tmp_path / "a",
    }
    app = insecure_app_beside_secrets({"small": served}, Settings(**options))
    forged = {"X-Forwarded-For": "10.0.0.5"}
    assert ask(app, "10.0.0.5", "/v1/models", text, **{"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    answer = ask(app, "10.0.0.6", "/v1/models", text, **forged)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "--trusted-proxies" in answer.json()["error"]
    assert (
        ask(app, "10.0.0.6", "/v1/health/live", text, **forged).status_code == 200
    )  # for who watches the machine
    assert ask(app, "127.0.0.1", "/v1/models", text, **forged).status_code == 200
    entries = [json.loads(line) for line in (tmp_path / "a").read_text().splitlines()]
    assert [entry["address"] for entry in entries] == ["192.0.2.7", "10.0.0.6", "10.0.0.6", "127.0.0.1"]
    app = insecure_app_beside_secrets({"small": served}, Settings(**options, insecure=True))
    assert ask(app, "10.0.0.6", "/v1/models", text).status_code == 200
