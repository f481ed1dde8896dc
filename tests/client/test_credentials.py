"""Tokens, headers and certificates of a client: over real TLS to a server process, and in no message."""

from __future__ import annotations

import json
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography import x509

import hetorch
from hetorch.client import Client
from hetorch.client.blocking import finish
from hetorch.client.catalogue import fetch_public_plan
from hetorch.client.credentials import Credentials
from hetorch.client.server_address import ServerAddress
from hetorch.client.transport import Transport
from hetorch.errors import HetorchError, InputError, RemoteError
from tests.cli.command import hetorch as run
from tests.cli.command import refusal, save_secure_plan, server_process
from tests.server.audit_lines import audit_lines
from tests.server.certificates import Authority, Signed
from tests.server.small_plan import expected

TOKEN = "hetorch_s3cret-token-0123456789"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETORCH_TOKEN", raising=False)


@dataclass(frozen=True, slots=True)
class Hospital:
    """A server of two models over mutual TLS, with a token for each, and what its clients need."""

    url: str
    folder: Path
    plans: list[Path]
    texts: list[str]
    roots: Path
    mine: Signed
    foreign: Signed
    foreign_roots: Path

    def client(self, **options: Any) -> Client:
        """Make a client with everything that is needed but a token, or with other options."""
        whole = {"verify": self.roots, "cert": self.mine.both, "vault": self.folder / "keys"}
        return Client(self.url, **whole | options)

    def options(self, seed: int) -> list[object]:
        """Return the options of the command line for the token of one model."""
        file = self.folder / f"ward{seed}.token"
        file.write_text(self.texts[seed] + "\n")
        return ["--ca", self.roots, "--cert", self.mine.both, "--token-file", file]

    def written(self) -> str:
        """Return what the server has written and keeps."""
        return "".join(
            (self.folder / name).read_text() for name in ("audit.jsonl", "server.log", "tokens.json")
        )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    authority, stranger = Authority(folder, "hospital"), Authority(folder, "stranger")
    ours = authority.sign("server")
    plans = [save_secure_plan(folder, seed) for seed in (0, 1)]
    tokens = folder / "tokens.json"
    texts = [
        run("token", "add", tokens, f"ward{seed}", "--model", f"small{seed}").stdout.strip()
        for seed in (0, 1)
    ]
    options = {
        "--tokens": tokens,
        "--audit-log": folder / "audit.jsonl",
        "--tls-cert": ours.certificate,
        "--tls-key": ours.key,
        "--tls-client-ca": authority.root,
    }
    with server_process(plans, folder, *(str(word) for pair in options.items() for word in pair)) as (url, _):
        assert url.startswith("https://127.0.0.1:")
        mine, foreign = authority.sign("client"), stranger.sign("client")
        yield Hospital(url, folder, plans, texts, authority.root, mine, foreign, stranger.root)


def test_each_token_has_its_model_over_mutual_tls(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    x = np.linspace(-1, 1, 8)
    for seed, text in enumerate(hospital.texts):
        with hospital.client(token=text) as client:
            assert client.model == f"small{seed}"  # the only one that this token sees
            assert np.abs(client.predict(x) - expected(x, seed)).max() < 1e-4
            assert text not in repr(client)
    monkeypatch.setenv("HETORCH_TOKEN", hospital.texts[1])
    context = ssl.create_default_context(cafile=hospital.roots)
    with hospital.client(verify=context, cert=(hospital.mine.certificate, hospital.mine.key)) as client:
        assert client.model == "small1"
    certificate = x509.load_pem_x509_certificate(hospital.mine.certificate.read_bytes())
    shown = {"subject": "commonName=client", "serial": f"{certificate.serial_number:X}"}
    lines = audit_lines(hospital.folder / "audit.jsonl", 1, lambda line: line["tenant"] == "ward1")
    assert {line["certificate"]["subject"] for line in lines} == {shown["subject"]}
    assert {line["certificate"]["serial"].lstrip("0") for line in lines} == {shown["serial"]}
    assert not any(text in hospital.written() + caplog.text for text in hospital.texts)


def test_each_thing_that_is_missing_is_told(hospital: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = hospital.texts[0]
    with pytest.raises(RemoteError, match="may not use the model 'small1'") as caught:
        hospital.client(token=token, model="small1")
    assert (caught.value.status, caught.value.code) == (403, "forbidden")
    for wrong, told in (
        (None, "asks for a valid API token"),
        (
            "hetorch_wrong-0123456789",
            "does not take the API token of the request: it is wrong, revoked or expired",
        ),
    ):
        with pytest.raises(RemoteError, match=told) as caught:
            hospital.client(token=wrong)
        assert (caught.value.status, caught.value.code) == (401, "unauthorised")
        assert "wrong-0123456789" not in str(caught.value)
    run(
        "token",
        "add",
        hospital.folder / "tokens.json",
        "elsewhere",
        "--model",
        "none",
        "-o",
        hospital.folder / "no",
    )
    with pytest.raises(InputError, match="has no models, or none that your API token may use"):
        hospital.client(token=(hospital.folder / "no").read_text().strip())
    with pytest.raises(RemoteError, match="if the server speaks TLS, write https://"):
        Client(hospital.url.replace("https:", "http:"), token=token, vault=hospital.folder / "keys")
    for roots in (None, hospital.foreign_roots):
        with pytest.raises(RemoteError, match="no TLS that can be trusted"):
            hospital.client(token=token, verify=roots)
    for cert in (None, hospital.foreign.both):
        with pytest.raises(RemoteError, match=r"\[SSL|broke during"):
            hospital.client(token=token, cert=cert)
    written = hospital.written() + caplog.text
    assert token not in written and "wrong-0123456789" not in written


def test_weak_ciphers_are_refused(hospital: Hospital) -> None:
    """Forward secrecy and authenticated encryption are the least, whatever uvicorn chooses by itself."""
    host, port = httpx.URL(hospital.url).host, httpx.URL(hospital.url).port
    assert port is not None

    def handshake(ciphers: str) -> str:
        context = ssl.create_default_context(cafile=hospital.roots)
        context.load_cert_chain(hospital.mine.both)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        with (
            socket.create_connection((host, port), 10) as raw,
            context.wrap_socket(raw, server_hostname=host) as wrapped,
        ):
            name = wrapped.cipher()
            assert name is not None
            return str(name[0])

    assert "GCM" in handshake("DEFAULT")
    for weak in ("ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"):
        with pytest.raises((ssl.SSLError, OSError)):
            handshake(weak)


def test_a_token_that_the_other_side_repeats_is_not_told() -> None:
    """Answer like a proxy that shows the request in its error."""

    kinds = iter(("json", "page", "sign-in"))

    def repeat(request: httpx.Request) -> httpx.Response:
        kind, said = next(kinds), request.headers["Authorization"]
        text = f'{{"error": "bad header {said}"}}' if kind == "json" else f"<title>bad {said}</title>"
        stream = httpx.ByteStream(text.encode())
        return httpx.Response(200 if kind == "sign-in" else 400, stream=stream)

    credentials = Credentials(TOKEN)
    mock = httpx.MockTransport(repeat)
    transport = Transport("https://h.example", timeout=1.0, credentials=credentials, transport=mock)
    for _ in range(3):
        with pytest.raises(RemoteError) as caught:
            finish(transport.get("/v1/models"))
        assert "bad" in str(caught.value) and TOKEN not in str(caught.value)


def test_a_password_is_not_sent_where_everyone_reads_it() -> None:
    plain = ServerAddress.parse("http://name:s3cret@h.example")
    with pytest.raises(InputError, match=r"name and password .* are not sent") as caught:
        Credentials().headers_for(plain)
    assert "s3cret" not in str(caught.value)
    assert Credentials(allow_plain_http=True).headers_for(plain) == {}
    for url in ("https://name:s3cret@h.example", "http://name:s3cret@127.0.0.1:8000"):
        assert Credentials().headers_for(ServerAddress.parse(url)) == {}


def test_the_command_line_brings_token_and_certificates(hospital: Hospital, tmp_path: Path) -> None:
    url, shown, vault = hospital.url, hospital.options(0), hospital.folder / "keys"
    x = np.linspace(-1, 1, 8)
    np.save(tmp_path / "x.npy", x)
    run("keygen", url, *shown, vault=vault)
    answer = json.loads(run("predict", url, tmp_path / "x.npy", "--json", *shown, vault=vault).stdout)
    assert np.abs(np.array(answer["outputs"]) - expected(x)).max() < 1e-4
    assert json.loads(run("inspect", url, "--json", *shown).stdout)["ring_degree"] == 8192
    run("diff", hospital.plans[0], url, *shown)
    told = refusal("public-key", url, "-o", tmp_path / "mine.key", *shown, vault=vault)
    assert "has its weights in clear" in told  # it has seen the plan
    extra = run("token", "add", hospital.folder / "tokens.json", "leaving", "--model", "small0").stdout
    (tmp_path / "leaving").write_text(extra)
    leaving = [*shown[:4], "--token-file", tmp_path / "leaving"]
    run("inspect", url, *leaving)
    run("token", "revoke", hospital.folder / "tokens.json", "leaving")
    told = refusal("inspect", url, *leaving)
    assert "it is wrong, revoked or expired" in told and extra.strip() not in told
    assert "cannot read the token" in refusal("inspect", url, "--token-file", tmp_path / "none")


OTHER_MACHINES = ("http://10.0.0.1:8000", "http://server.example", "http://localhost.example")


@pytest.mark.parametrize("url", OTHER_MACHINES)
def test_a_token_goes_over_tls_or_to_this_machine(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("it was sent")

    silent = httpx.MockTransport(answer)
    path = tmp_path / "w"
    with pytest.raises(InputError, match="is not sent to http://"):
        Client(url, token=TOKEN, transport=silent)
    with pytest.raises(InputError, match="is not sent to http://"):
        hetorch.upload_weights(url, path, token=TOKEN)
    with pytest.raises(InputError, match="is not sent to http://"):
        fetch_public_plan(url, credentials=Credentials(TOKEN))
    monkeypatch.setenv("HETORCH_TOKEN", TOKEN)
    with pytest.raises(InputError, match="the token of HETORCH_TOKEN is not sent to http://") as caught:
        Client(url, transport=silent)
    assert TOKEN not in str(caught.value)
    assert "use https://, or say --allow-plain-http" in refusal("keygen", url)


def test_the_headers_of_requests(tmp_path: Path) -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(418, stream=httpx.ByteStream(b"{}"))

    for url in ("http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://server.example"):
        with pytest.raises(RemoteError):
            Client(
                url,
                token=TOKEN,
                headers={"X-Api-Key": "k3y"},
                transport=httpx.MockTransport(answer),
                vault=tmp_path / "keys",
            )
    plain = {"allow_plain_http": True, "transport": httpx.MockTransport(answer), "vault": tmp_path / "keys"}
    with pytest.raises(RemoteError):
        Client("http://server.example", token=TOKEN, headers={"X-Api-Key": "k3y"}, **plain)  # type: ignore[arg-type]
    assert len(seen) == 5
    assert all((h["authorization"], h["x-api-key"]) == (f"Bearer {TOKEN}", "k3y") for h in seen)
    assert all(h["accept-encoding"] == "identity" for h in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": f"{TOKEN} x"}, "is not an API token"),
        ({"token": f"{TOKEN}\n"}, "is not an API token"),
        ({"token": ""}, "is not an API token"),
        ({"token": 5}, "is not an API token"),
        ({"headers": {"Authorization": TOKEN}}, "give token="),
        ({"headers": {"host": TOKEN}}, "one that the client sets"),
        ({"headers": {"X": f"{TOKEN}\r\nY: z"}}, "not printable ASCII"),
        ({"headers": {"X Y": TOKEN}}, "is not the name of a header"),
        ({"headers": {"X": None}}, "not printable ASCII"),
        ({"verify": False}, "verify=False is not taken"),
        ({"verify": "/nonexistent/roots"}, "cannot read the certificates in /nonexistent/roots"),
        ({"verify": __file__}, "has no certificates"),
        ({"cert": "/nonexistent/cert"}, "cannot read the client's certificate in /nonexistent/cert"),
        ({"cert": __file__}, "the client's certificate in .* cannot be used"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_told_without_secrets(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Client("http://127.0.0.1:1", **options)
    assert "s3cret" not in str(caught.value)


def test_a_token_and_a_password_exclude_each_other() -> None:
    with pytest.raises(HetorchError, match="exclude each other") as caught:
        Client("http://name:s3cret@127.0.0.1:1", token=TOKEN)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(Credentials(TOKEN, {"X": TOKEN}))
