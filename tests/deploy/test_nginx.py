"""The example site of nginx, with the real nginx: TLS ends there, and bodies, answers and events pass as they come."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client
from hetorch.errors import RemoteError
from hetorch.server.tokens import issue, save_tokens
from tests.cli.command import save_secure_plan, server_process
from tests.deploy.proxy import find_nginx, nginx
from tests.server.audit_lines import audit_lines
from tests.server.certificates import Authority
from tests.server.small_plan import expected

pytestmark = pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")

EVENTS = 3


@dataclass(frozen=True, slots=True)
class Site:
    """nginx in front of a server: its address, the root of its certificate, a token, and the server's audit log."""

    url: str
    root: Path
    token: str
    audit: Path

    def http(self, **options: object) -> httpx.Client:
        """Return a client that trusts the site."""
        context = ssl.create_default_context(cafile=str(self.root))
        return httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=30, **options)  # type: ignore[arg-type]

    def exchange(self, head: str) -> str:
        """Send the head of a request, and return all that comes until the connection is closed."""
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        context = ssl.create_default_context(cafile=str(self.root))
        received = b""
        with (
            socket.create_connection((host, int(port)), 20) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            connection.sendall(f"{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            while piece := connection.recv(1 << 16):
                received += piece
        return received.decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    authority = Authority(folder, "root")
    text, token = issue("ward-3", "hospital")
    tokens, audit = folder / "tokens.json", folder / "audit.jsonl"
    save_tokens(tokens, [token])
    options = ["--tokens", str(tokens), "--audit-log", str(audit), "--trusted-proxies", "127.0.0.1"]
    with (
        server_process([save_secure_plan(folder)], folder, *options) as (server, _),
        nginx(folder, authority.sign("server"), server.removeprefix("http://")) as url,
    ):
        yield Site(url, authority.root, text, audit)


def test_a_client_predicts_through_nginx(site: Site, tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 8)
    with Client(site.url, vault=tmp_path / "vault", token=site.token, verify=site.root) as client:
        np.testing.assert_allclose(client.predict(x), expected(x), atol=1e-4)


def test_a_request_without_a_token_is_refused_by_the_server(site: Site, tmp_path: Path) -> None:
    with pytest.raises(RemoteError) as caught:
        Client(site.url, vault=tmp_path / "vault", token="hetorch_wrong", verify=site.root)
    assert caught.value.code == "unauthorised"


def test_the_audit_log_has_the_address_of_the_client_and_not_what_it_says(site: Site) -> None:
    transport = httpx.HTTPTransport(
        local_address="127.0.0.77", verify=ssl.create_default_context(cafile=str(site.root))
    )
    with site.http(transport=transport) as http:
        headers = {"Authorization": f"Bearer {site.token}", "X-Forwarded-For": "6.6.6.6"}
        assert http.get("/v1/models", headers=headers).status_code == 200
    lines = audit_lines(site.audit, 1, lambda line: line["address"] == "127.0.0.77")
    assert {line["address"] for line in lines} <= {"127.0.0.1", "127.0.0.77"}


def test_a_body_is_not_waited_for(site: Site) -> None:
    """The server refuses a length before a byte of the body has come, so nginx has passed the head on alone."""
    answer = site.exchange(
        f"PUT /v1/models/small0/keys HTTP/1.1\r\nAuthorization: Bearer {site.token}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {5 << 30}"
    )
    assert answer.startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/v1/models%2Fsmall0", "/v1//models", "/v1/models/%2e%2e/health"])
def test_paths_reach_the_server_as_they_were_sent(site: Site, path: str) -> None:
    """nginx does not tidy up what the server refuses."""
    answer = site.exchange(f"GET {path} HTTP/1.1")
    assert answer.startswith("HTTP/1.1 400 ") and "request_ambiguous" in answer


class _Events(BaseHTTPRequestHandler):
    """Sends an event, and the next one when the test says that it has come."""

    protocol_version = "HTTP/1.1"
    came = threading.Semaphore(0)
    waited_too_long = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for index in range(EVENTS):
            event = f"event: progress\ndata: {index}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            if not self.came.acquire(timeout=20):
                self.waited_too_long.set()
                break
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_events_come_one_by_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "root")
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), _Events)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with (
        contextlib.closing(upstream.socket),
        nginx(tmp_path, authority.sign("server"), f"127.0.0.1:{upstream.server_port}") as url,
    ):
        context = ssl.create_default_context(cafile=str(authority.root))
        came = []
        with httpx.stream("GET", url, verify=context, trust_env=False, timeout=30) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    came.append(int(line.removeprefix("data: ")))
                    _Events.came.release()
        upstream.shutdown()
    assert came == list(range(EVENTS)) and not _Events.waited_too_long.is_set()
