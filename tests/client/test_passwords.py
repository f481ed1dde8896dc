"""Name and password of an address: used for every request, and in no message."""

from __future__ import annotations

import base64
import inspect
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import hetorch
import hetorch.client
from hetorch.client import Client, Vault
from hetorch.client.catalogue import fetch_public_plan
from hetorch.client.server_address import ServerAddress
from hetorch.engine.secret import SecretKey
from hetorch.errors import HetorchError, InputError, RemoteError, StorageError
from hetorch.model_owner.encrypt import save_encrypted_weights
from hetorch.plan.plan import Plan
from hetorch.plan.store import WEIGHTS
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.user_information import without_user_information
from hetorch.wire.public_key import NamedPublicKey, dump_named_public_key
from tests.cli.command import hetorch as run
from tests.cli.command import refusal
from tests.server.live import live
from tests.server.small_plan import outsourced_plan

NAME, PASSWORD = "inspector", "s3cret%2Fw%40rd"
"""The password is `s3cret/w@rd`, encoded as an address needs it."""


@pytest.fixture(scope="module")
def served() -> ServedModel:
    return serve_plan("small", outsourced_plan().without_weights())


@pytest.fixture(scope="module")
def url(served: ServedModel) -> Iterator[str]:
    with live({"small": served}) as address:
        yield address


def named(url: str) -> str:
    return url.replace("//", f"//{NAME}:{PASSWORD}@")


def tells(text: str) -> bool:
    return any(word in text for word in (NAME, "s3cret", "w@rd"))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class Broken(httpx.BaseTransport):
    """Sends requests like httpx until `answer` is set; then answers or fails with it."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport()
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None
        self.authorizations: set[str | None] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.authorizations.add(request.headers.get("authorization"))
        return self.inner.handle_request(request) if self.answer is None else self.answer(request)

    def close(self) -> None:
        self.inner.close()


def answer(status: int, content: bytes, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(
        status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        stream=httpx.ByteStream(content),
    )


def fail(error: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    def handle(request: httpx.Request) -> httpx.Response:
        raise error(f"it broke at {named('http://host')}", request=request)

    return handle


WRONG: list[Callable[[httpx.Request], httpx.Response]] = [
    *(fail(kind) for kind in (httpx.ConnectError, httpx.ReadError, httpx.ReadTimeout, httpx.ProxyError)),
    *(
        answer(status, b"<title>no</title>", content_type="text/html")
        for status in (200, 401, 403, 404, 407, 413, 418, 500, 502, 504)
    ),
    answer(302, b"", location=named("https://login.example/start")),
    answer(200, b"{}"),
    answer(200, bytes(1 << 26)),
    answer(200, b"x", content_encoding="gzip"),
]
CALLS: dict[str, Callable[[Client, Path], object]] = {
    "predict": lambda client, path: client.predict(np.zeros(8)),
    "predict_proba": lambda client, path: client.predict_proba(np.zeros(8)),
    "predict_samples": lambda client, path: client.predict_samples(np.zeros((1, 8))),
    "classify": lambda client, path: client.classify(np.zeros(8)),
    "prepare": lambda client, path: client.prepare(),
    "upload_weights": lambda client, path: client.upload_weights(outsourced_plan()),
    "public_key": lambda client, path: client.public_key(),
    "make_keys": lambda client, path: client.make_keys(),
    "rotate_keys": lambda client, path: client.rotate_keys(),
    "submit": lambda client, path: client.submit(np.zeros(8)),
    "close": lambda client, path: client.close(),
}
"""Every public method of a client; the last two need no server."""


def test_every_method_is_tried() -> None:
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert methods == CALLS.keys()


@pytest.mark.parametrize("call", sorted(CALLS))
def test_no_error_of_a_client_tells_the_password(
    url: str, tmp_path_factory: pytest.TempPathFactory, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vault = Vault(tmp_path_factory.getbasetemp() / "vault")
    errors = 0
    for wrong in WRONG:
        transport = Broken()
        with Client(
            named(url),
            vault=vault,
            allow_insecure=True,
            transport=transport,
            timeout=2.0,
            weights=outsourced_plan(),
        ) as client:
            client.make_keys()
            transport.answer = wrong
            assert not tells(repr(client))
            try:
                CALLS[call](client, tmp_path_factory.getbasetemp())
            except HetorchError as error:
                assert not any(tells(str(e) + repr(e)) for e in chain(error) if isinstance(e, HetorchError))
                errors += 1
        assert transport.authorizations == {
            "Basic " + base64.b64encode(f"{NAME}:s3cret/w@rd".encode()).decode()
        }
        with pytest.raises(HetorchError) as closed:
            client.prepare()
        assert not tells(str(closed.value))
    assert errors >= (0 if call in ("public_key", "make_keys", "close") else len(WRONG) - 1)
    assert not tells(caplog.text)  # httpx logs the address of each request


def unreachable() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


MALFORMED = [
    "ftp://{}@host",
    "http://{}@",
    "http://{}@host:port",
    "HTTP://{}@host:99999999",
    "{}@host:8000",
    "http://{}@host/?a=b",
    "http://{}@host/#a",
    "//{}@host",
    "http://{}@[::1",
]


@pytest.mark.parametrize("form", [*MALFORMED, "unreachable", "http://{}@no.such.host.invalid"])
@pytest.mark.parametrize("password", [PASSWORD, "s3cret/w@rd", "s3cret?w#rd", "s3cret w@rd", "s3cret:w@rd"])
def test_no_error_of_an_address_tells_the_password(form: str, password: str, tmp_path: Path) -> None:
    address = unreachable().replace("//", "//{}@") if form == "unreachable" else form
    address = address.format(f"{NAME}:{password}")
    calls: list[Callable[[], Any]] = [
        lambda: Client(address, vault=tmp_path / "keys", timeout=2.0),
        lambda: hetorch.upload_weights(address, tmp_path / "w", timeout=2.0),
        lambda: hetorch.client.upload_weights(address, tmp_path / "w", model="small", timeout=2.0),
        lambda: fetch_public_plan(address, timeout=2.0),
    ]
    for call in calls:
        with pytest.raises(HetorchError) as caught:
            call()
        assert not tells(str(caught.value)), str(caught.value)
        assert any(
            reason in str(caught.value)
            for reason in ("is not an address", "no server answers", "are not sent")
        )


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for proxy in ("ftp://{}@proxy", "socks9://{}@proxy", "http://{}@proxy:port"):
        monkeypatch.setenv("HTTP_PROXY", proxy.format(f"{NAME}:{PASSWORD}"))
        with pytest.raises(InputError, match="proxy that the environment names") as caught:
            Client("http://host.invalid", vault=tmp_path / "keys")
        assert not tells(str(caught.value))


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "URL", "x.npy"),
        ("predict", "x.npy", "URL"),  # in the wrong order
        ("predict", "URL", "x.npy", "-o", "URL"),
        ("inspect", "URL"),
        ("keygen", "URL"),
        ("public-key", "URL", "-o", "key"),
        ("upload-weights", "URL", "x.npy"),
        ("serve", "URL"),
        ("encrypt-weights", "URL", "--public-key", "URL", "-o", "w"),
        ("without-weights", "URL", "-o", "w"),
        ("compile", "URL", "--calibration", "x.npy", "-o", "p"),
    ],
    ids=" ".join,
)
def test_no_error_of_the_command_line_tells_the_password(arguments: tuple[str, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(8))
    places = {"URL": named(unreachable()), "x.npy": tmp_path / "x.npy"}
    assert not tells(refusal(*(places.get(word, word) for word in arguments), vault=tmp_path / "vault"))


def unreadable(folder: Path) -> None:
    """Load a plan whose weights are a folder."""
    plan = outsourced_plan()
    plan.save(folder)
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()
    Plan.load(folder)


def unwritable(folder: Path) -> None:
    """Save a plan to a folder below a file."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"")
    outsourced_plan().save(folder / "plan")


def unplaced(folder: Path) -> None:
    """Write encrypted weights to a folder that is not there."""
    plan = outsourced_plan()
    key = NamedPublicKey("ab" * 32, SecretKey.generate(plan.parameters).public_key())
    save_encrypted_weights(plan, dump_named_public_key(plan.public(), key), folder / "w")


@pytest.mark.parametrize("form", ["http://{}@host/plan", "{}@host:8000"])
@pytest.mark.parametrize("call", [Plan.load, unreadable, unwritable, unplaced])
def test_no_error_of_a_path_tells_the_password(
    form: str, call: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address where a path belongs is repeated in the message; the traceback shows the errors behind it too."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError) as caught:
        call(Path(form.format(f"{NAME}:{PASSWORD}")))
    assert "host" in str(caught.value) and not tells(repr(caught.value))
    told = "".join(traceback.format_exception(caught.value))
    assert "StorageError" in told and not tells(told), told


def test_an_error_of_ones_own_tells_no_password() -> None:
    assert not tells(repr(RemoteError(f"no answer of {named('http://host')!r}")))


def test_uploading_weights_prints_no_password(url: str, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    plan = outsourced_plan()
    with Client(url, vault=vault, allow_insecure=True) as client:
        client.prepare()
        save_encrypted_weights(plan, client.public_key(), tmp_path / "w")
    result = run("upload-weights", named(url), tmp_path / "w", "--json", vault=vault)
    assert url in result.stdout and not tells(result.stdout + result.stderr)


def test_addresses_without_user_information() -> None:
    for text, shown in {
        "http://a:b@host/path": "http://host/path",
        "no server at https://a:b/c@d@host: why": "no server at https://host: why",
        "cannot read http:/a:b@host": "cannot read http:/host",
        "a:b@host:8000": "host:8000",
        "models@v2/plan": "models@v2/plan",
        "mail to me@host about /a@b": "mail to me@host about /a@b",
        "cannot read 'a:b/c@d@host:8000': no such file": "cannot read 'host:8000': no such file",
        "no http://a:b@host: write https://name:password@host": "no http://host: write https://name:password@host",
        "http://a:bhttps://name:password@host": "http://host",
        "http://name:password@host:b@other": "http://other",
        "the layer 'a:b' at 12:30": "the layer 'a:b' at 12:30",
    }.items():
        assert without_user_information(text) == shown
    # These would take minutes if the time grew with the square of the length.
    for hostile in ("/" * 400_000, "http://" * 60_000, "(" * 400_000 + "@", "(a/" * 100_000 + "@"):
        assert without_user_information(hostile) == hostile
    address = ServerAddress.parse("http://a:b@host:81/base/")
    assert address.url == "http://host:81/base" and not tells(repr(address)) and "b@" not in repr(address)
    assert ServerAddress.parse("http://host/a%40b").auth is None
