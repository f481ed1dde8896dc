"""The client against a real server: predictions, keys, batches, refusals."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from hetorch.client import Client, Sharing, StepTimings, Vault
from hetorch.client.transport import ANSWER_ROOM_SECONDS, FIRST_ANSWER_SECONDS, Transport
from hetorch.errors import (
    HetorchError,
    InputError,
    InputRangeWarning,
    PlanError,
    RemoteError,
    SecurityError,
    VaultError,
    WireError,
)
from hetorch.server.models import ServedModel, serve_plan
from hetorch.server.settings import Settings
from hetorch.wire.codes import Code
from hetorch.wire.limits import MAX_REQUEST_SECONDS, REQUEST_SECONDS
from hetorch.wire.time_limit import TIME_LIMIT_HEADER
from tests.server.live import live
from tests.server.small_plan import expected, small_plan

ERROR = 2.0**-20
"""N = 2^11 and scale 2^40 leave far more than 20 bits after two levels."""


@pytest.fixture(scope="module")
def served() -> ServedModel:
    return serve_plan("small", small_plan())


@pytest.fixture(scope="module")
def url(served: ServedModel) -> Iterator[str]:
    with live({"small": served}) as address:
        yield address


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("vault") / "keys")


@pytest.fixture
def client(url: str, vault: Vault) -> Iterator[Client]:
    with Client(url, vault=vault, allow_insecure=True) as opened:
        yield opened


def samples(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(count).uniform(-1, 1, (count, 8))


def test_one_sample_and_a_batch(client: Client) -> None:
    x = samples(3)
    one = client.predict(x[0])
    assert one.shape == (4,)
    assert one.dtype == np.float64
    assert np.abs(one - expected(x[0])).max() < ERROR
    batch = client.predict(x)
    assert batch.shape == (3, 4)
    assert np.abs(batch - expected(x)).max() < ERROR
    assert client.predict(x[:1]).shape == (1, 4)


def test_tensors_and_lists_are_inputs_too(client: Client) -> None:
    x = samples(2)
    assert np.abs(client.predict(torch.tensor(x, requires_grad=True)) - expected(x)).max() < ERROR
    assert np.abs(client.predict(x[0].tolist()) - expected(x[0])).max() < ERROR


def test_timings_and_sizes_are_kept(client: Client) -> None:
    assert (client.timings, client.key_bytes, client.request_bytes) == ([], 0, 0)
    client.predict(samples(2))
    assert len(client.timings) == 2
    for timing in client.timings:
        steps = dataclasses.astuple(timing)
        assert all(step >= 0 for step in steps)
        assert timing.server > 0
        assert timing.total == pytest.approx(sum(steps))
    assert isinstance(client.timings[0], StepTimings)
    assert client.key_bytes > client.request_bytes > client.response_bytes > 0


def test_keys_are_made_once_and_uploaded_once(url: str, tmp_path: Path) -> None:
    said: list[str] = []

    def progress(stage: str, fraction: float) -> None:
        assert 0 <= fraction <= 1
        said.append(stage)

    def connect() -> Client:
        return Client(url, vault=tmp_path / "keys", allow_insecure=True, progress=progress)

    with connect() as first:
        first.predict(samples(1))
    assert {"making evaluation keys", "uploading evaluation keys"} == set(said)
    said.clear()
    with connect() as second:
        second.predict(samples(1))
    assert said == []


def test_keys_that_the_server_dropped_are_uploaded_again(served: ServedModel, tmp_path: Path) -> None:
    """With room for one client's keys only, two clients push each other out at every turn, and both are answered."""
    x = samples(1)
    settings = Settings(key_memory=served.key_kind.memory_bytes)
    with (
        live({"small": served}, settings) as url,
        Client(url, vault=tmp_path / "a", allow_insecure=True) as first,
        Client(url, vault=tmp_path / "b", allow_insecure=True) as second,
    ):
        for client in (first, second, first, second):
            assert np.abs(client.predict(x) - expected(x)).max() < ERROR


def test_another_vault_is_another_key(url: str, client: Client, tmp_path: Path) -> None:
    client.prepare()
    with Client(url, vault=tmp_path / "keys", allow_insecure=True) as other:
        assert other.make_keys().key_id != client.make_keys().key_id


def test_wrong_inputs_are_refused_before_any_key_is_made(url: str, tmp_path: Path) -> None:
    with Client(url, vault=tmp_path / "keys", allow_insecure=True) as client:
        for wrong in (np.zeros(7), np.zeros((2, 3)), np.full(8, np.nan), "text"):
            with pytest.raises(InputError):
                client.predict(wrong)
    assert list((tmp_path / "keys").iterdir()) == []


@pytest.mark.parametrize("value", [1e30, -1e300, 1e7])
def test_an_absurd_input_is_refused_before_any_key_is_made(url: str, tmp_path: Path, value: float) -> None:
    x = samples(3)
    x[2, 5] = value
    with Client(url, vault=tmp_path / "keys", allow_insecure=True) as client:
        with pytest.raises(InputError, match=r"at index \(2, 5\), in sample 2; .* calibrated for -1\.\.1"):
            client.predict(x)
        with pytest.raises(InputError, match=r"at index \(5,\); "):
            client.predict(x[2])
    assert list((tmp_path / "keys").iterdir()) == []


def test_outside_the_calibrated_range_warns_at_the_caller(client: Client) -> None:
    with pytest.warns(InputRangeWarning, match="calibrated") as caught:
        client.predict(np.full(8, 1.5))
    assert caught[0].filename == __file__


def test_shared_results_are_noisy_as_promised_and_counted(url: str, tmp_path: Path) -> None:
    sharing = Sharing(error_bound=1e-9, queries=3)
    x = samples(3)
    vault = Vault(tmp_path / "keys")
    with Client(url, vault=vault, allow_insecure=True) as client:
        error = client.predict(x, for_sharing=sharing) - expected(x)
        sigma = sharing.noise_std(4)
        # 12 Gaussians: P(chi^2_12 < 12/32) and P(chi^2_12 > 96) are both below 1e-7.
        assert sigma**2 / 32 < np.mean(error**2) < 8 * sigma**2
        assert vault.shared(client.plan.parameters).results == 3
        with pytest.raises(VaultError, match="budget"):
            client.predict(x[0], for_sharing=sharing)
        assert np.abs(client.predict(x[0]) - expected(x[0])).max() < ERROR  # for the owner nothing changed


def test_an_insecure_plan_is_refused_and_no_key_is_made(url: str, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="nothing was sent"):
        Client(url, vault=tmp_path / "keys")
    assert list((tmp_path / "keys").iterdir()) == []


def test_key_size_is_bounded(url: str, vault: Vault) -> None:
    with pytest.raises(PlanError, match="raise max_key_bytes"):
        Client(url, vault=vault, allow_insecure=True, max_key_bytes=1000)


def test_which_model(served: ServedModel, vault: Vault) -> None:
    other = dataclasses.replace(serve_plan("other", small_plan(seed=1)), name="other")
    x = samples(1)
    with live({"small": served, "other": other}) as url:
        with pytest.raises(InputError, match="'small', 'other'"):
            Client(url, vault=vault, allow_insecure=True)
        with Client(url, vault=vault, allow_insecure=True, model="other") as client:
            assert client.model == "other"
            assert np.abs(client.predict(x) - expected(x, seed=1)).max() < ERROR
        with pytest.raises(RemoteError, match="no model 'third'") as caught:
            Client(url, vault=vault, allow_insecure=True, model="third")
        assert (caught.value.status, caught.value.code) == (404, Code.MODEL_UNKNOWN)
        with pytest.raises(InputError, match="not the name of a model"):
            Client(url, vault=vault, allow_insecure=True, model="../x")


@pytest.mark.parametrize(
    "address", ["", "localhost:8000", "ftp://host", "http://", "http://host:port", "file:///etc/passwd"]
)
def test_what_is_no_address(address: str, vault: Vault) -> None:
    with pytest.raises(InputError, match="is not an address"):
        Client(address, vault=vault)


def test_nobody_there(vault: Vault) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(RemoteError, match="is `hetorch serve` running") as caught:
            Client(f"http://127.0.0.1:{port}", vault=vault)
    assert (caught.value.status, caught.value.code) == (None, None)


def test_a_silent_server_times_out(vault: Vault) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RemoteError, match="did not answer"):
            Client(f"http://127.0.0.1:{port}", vault=vault, timeout=0.3)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_timeout_must_be_positive(timeout: float, vault: Vault) -> None:
    with pytest.raises(InputError, match="positive"):
        Client("http://127.0.0.1:1", vault=vault, timeout=timeout)


@pytest.mark.parametrize(
    ("limit", "timeout", "waits"),
    [
        (700.0, None, 700 + ANSWER_ROOM_SECONDS),  # longer than the default of the server, as its owner chose
        (0.5, None, 0.5 + ANSWER_ROOM_SECONDS),
        (1e12, None, MAX_REQUEST_SECONDS + ANSWER_ROOM_SECONDS),
        (None, None, REQUEST_SECONDS + ANSWER_ROOM_SECONDS),  # a server or a proxy that does not tell it
        (700.0, 5.0, 5.0),  # the user's own word stays
    ],
)
def test_the_client_waits_as_long_as_the_server_allows_itself(
    served: ServedModel, vault: Vault, limit: float | None, timeout: float | None, waits: float
) -> None:
    settings = Settings() if limit is None else Settings(request_timeout=limit)
    waited: dict[str, float] = {}

    class Noting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            waited[request.url.path] = request.extensions["timeout"]["read"]
            response = super().handle_request(request)
            if limit is None:
                response.headers.pop(TIME_LIMIT_HEADER, None)
            return response

    with (
        live({"small": served}, settings) as url,
        Client(
            url, vault=vault, model="small", allow_insecure=True, timeout=timeout, transport=Noting()
        ) as client,
    ):
        assert waited == {"/v1/models/small": FIRST_ANSWER_SECONDS if timeout is None else timeout}
        with contextlib.suppress(RemoteError):  # half a second may be too short for the upload of the keys
            client.predict(samples(1))
        assert client._transport._timeout == waits
        assert {read for path, read in waited.items() if path != "/v1/models/small"} == {waits}


def test_a_prediction_that_takes_longer_than_the_first_answer_may(
    served: ServedModel, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog waits for the server's limit too: it is not the time for the first answer that counts."""
    monkeypatch.setattr("hetorch.client.transport.FIRST_ANSWER_SECONDS", 1.0)
    run = ServedModel.run

    def slow(self: ServedModel, *arguments: Any) -> Any:
        time.sleep(1.5)
        return run(self, *arguments)

    monkeypatch.setattr(ServedModel, "run", slow)
    x = samples(1)
    with (
        live({"small": served}) as url,
        Client(url, vault=vault, allow_insecure=True) as client,
    ):
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR


Reply = tuple[int, dict[str, str], bytes]


@contextlib.contextmanager
def strange_server(reply: Callable[[str], Reply]) -> Iterator[str]:
    """Run a server that answers every path with `reply(path)`; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, headers, body = reply(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ((200, {}, b"<html>hello</html>"), "is it a hetorch server"),
        ((200, {}, b"{}"), "no list"),
        ((404, {}, b"<html>"), "404 without an explanation"),
        (
            (302, {"Location": "http://127.0.0.1:1/"}, b""),
            r"redirects to http://127\.0\.0\.1:1/ \(status 302\)",
        ),
        ((500, {}, b'{"error": "the server failed"}'), "says: the server failed"),
        ((503, {"Retry-After": "30"}, b'{"error": "busy"}'), "says: busy"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"), "compressed"),
        ((200, {}, bytes(1 << 17)), "more than the 65536 bytes"),
        ((200, {"Content-Length": "100"}, b"{}"), "broke"),
    ],
)
def test_strange_answers_are_told_in_one_sentence(reply: Reply, sentence: str, vault: Vault) -> None:
    with strange_server(lambda path: reply) as url, pytest.raises(HetorchError, match=sentence) as caught:
        Client(url, vault=vault, timeout=2.0)
    assert "\n" not in str(caught.value)


def test_a_dripping_answer_is_cut_off(vault: Vault) -> None:
    """Every byte comes well within the time of one read; the whole answer would take minutes."""

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                time.sleep(0.05)
                yield b" "

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Drip()))
    with pytest.raises(RemoteError, match=r"did not finish its answer within 0\.3 s"):
        Client("http://127.0.0.1:1", vault=vault, timeout=0.3, transport=transport)


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"a"), (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")],
    ids=["header", "informational"],
)
def test_a_dripping_head_is_cut_off(vault: Vault, first: bytes, drip: bytes) -> None:
    """The same as a dripping body, before the body begins."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(first)
            while not done.wait(0.05):
                connection.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        killer = threading.Timer(10, done.set)
        killer.start()
        begin = time.monotonic()
        try:
            with pytest.raises(RemoteError, match=r"did not answer GET /v1/models within 0\.3 s"):
                Client(f"http://127.0.0.1:{listener.getsockname()[1]}", vault=vault, timeout=0.3)
            assert time.monotonic() - begin < 5
        finally:
            done.set()
            killer.cancel()
            thread.join()


def test_a_server_that_takes_a_request_bit_by_bit_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.client.watch.SLOWEST_BYTES_PER_SECOND", 1 << 40)
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while not done.wait(0.1) and connection.recv(1 << 20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        killer = threading.Timer(10, done.set)
        killer.start()
        begin = time.monotonic()
        try:
            with (
                Transport(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1.0) as client,
                pytest.raises(RemoteError, match=r"did not answer PUT /keys within 1 s"),
            ):
                client.send("PUT", "/keys", content=bytes(100 << 20))
            assert time.monotonic() - begin < 4
        finally:
            done.set()
            killer.cancel()
            thread.join()


def test_a_busy_server_is_asked_again(vault: Vault) -> None:
    asked: list[str] = []

    def reply(path: str) -> Reply:
        asked.append(path)
        return 503, {"Retry-After": "0"}, b'{"error": "busy"}'

    with strange_server(reply) as url, pytest.raises(RemoteError, match="busy"):
        Client(url, vault=vault, timeout=0.5)
    assert 1 < len(asked) <= 6  # and not as often as it can be


@pytest.mark.parametrize(
    ("status", "code", "uploads"),
    [
        (404, "keys_missing", 2),
        (410, "keys_missing", 2),  # the code counts, not the status
        (404, None, 1),  # as of a proxy
        (404, "model_unknown", 1),
        (404, "of_a_later_version", 1),
        (409, "weights_missing", 1),  # this client has none to give
    ],
)
def test_keys_are_uploaded_again_only_if_the_code_says_so(
    served: ServedModel, vault: Vault, status: int, code: str | None, uploads: int
) -> None:
    """Every prediction is refused. The first upload is the client's own, a second one its answer to the refusal."""
    key_id = ""
    puts: list[str] = []

    def reply(path: str) -> Reply:
        if path.endswith("/predict"):
            return status, {}, json.dumps({"error": "no"} | ({"code": code} if code else {})).encode()
        if "/keys/" in path:
            return 404, {}, b'{"error": "they are not here", "code": "keys_missing"}'
        if path.endswith("/keys"):
            puts.append(path)
            return 200, {}, json.dumps({"key_id": key_id}).encode()
        return 200, {}, served.public_bytes

    with (
        strange_server(reply) as url,
        Client(url, vault=vault, model="small", allow_insecure=True) as client,
    ):
        key_id = client.make_keys().key_id
        with pytest.raises(RemoteError, match="says: no") as caught:
            client.predict(samples(1))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert len(puts) == uploads


def test_an_answer_without_a_code_does_not_tell_that_keys_are_missing(
    served: ServedModel, vault: Vault
) -> None:
    def reply(path: str) -> Reply:
        return (404, {}, b"<html>not here</html>") if "/keys" in path else (200, {}, served.public_bytes)

    with (
        strange_server(reply) as url,
        Client(url, vault=vault, model="small", allow_insecure=True) as client,
        pytest.raises(RemoteError, match="404 without an explanation") as caught,
    ):
        client.prepare()
    assert (caught.value.status, caught.value.code) == (404, None)


def test_a_lying_server_cannot_make_the_client_accept_a_result(served: ServedModel, vault: Vault) -> None:
    """The server sends the right public plan, and noise in place of the result."""
    keys: list[str] = []

    def reply(path: str) -> Reply:
        if path.endswith("/predict"):
            return 200, {}, np.random.default_rng(0).bytes(1000)
        if "/keys/" in path:
            keys.append(path)
            return 200, {}, b"{}"
        return 200, {}, served.public_bytes

    with (
        strange_server(reply) as url,
        Client(url, vault=vault, model="small", allow_insecure=True) as client,
        pytest.raises(WireError, match="no hetorch message"),
    ):
        client.predict(samples(1))
    assert keys


def test_a_damaged_secret_gives_no_result(url: str, tmp_path: Path) -> None:
    """The server has the keys already, so only the vault can notice."""
    vault = Vault(tmp_path / "keys")
    with Client(url, vault=vault, allow_insecure=True) as client:
        client.predict(samples(1))
    (path,) = vault.path.glob("*/seed")
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with (
        Client(url, vault=vault, allow_insecure=True) as client,
        pytest.raises(VaultError, match="damaged or replaced"),
    ):
        client.predict(samples(1))


def test_closing_closes(url: str, vault: Vault) -> None:
    client = Client(url, vault=vault, allow_insecure=True)
    assert repr(client).startswith(f"Client('{url}', model='small': (8,) -> ")
    assert "closed" not in repr(client)
    client.close()
    assert repr(client).endswith("closed)")
    for use in (client.prepare, functools.partial(client.predict, samples(1))):
        with pytest.raises(RemoteError, match="is closed; make a new one"):
            use()


def test_a_transport_can_be_given(url: str, vault: Vault) -> None:
    seen: list[str] = []

    class Noting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            return super().handle_request(request)

    with Client(url, vault=vault, allow_insecure=True, transport=Noting()) as client:
        client.predict(samples(1))
    assert seen[-1] == "/v1/models/small/predict"
