"""The client against a real server: predictions, keys, batches, refusals."""

from __future__ import annotations

import dataclasses
import functools
import json
import warnings
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from hetorch.client import Client, StepTimings, Vault
from hetorch.engine.secret import SecretKey
from hetorch.errors import (
    InputError,
    InputRangeWarning,
    PlanError,
    RemoteError,
    SecurityError,
    VaultError,
    WireError,
)
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire.codes import Code
from tests.client.strange_server import Reply, strange_server
from tests.server.live import live
from tests.server.small_plan import expected, small_plan

ERROR = 2.0**-20
"""N = 2^11 and scale 2^40 leave far more than 20 bits after two levels."""


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
    assert {"making evaluation keys", "uploading evaluation keys", "encrypted predictions"} == set(said)
    said.clear()
    with connect() as second:
        second.predict(samples(1))
    assert set(said) == {"encrypted predictions"}


def test_keys_that_the_server_dropped_are_uploaded_again(served: ServedModel, tmp_path: Path) -> None:
    """Two clients push each other out at every turn where the keys of one have room; both are answered."""
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


FAR = [8.1, -9.0, 1e7, 1e30, -1e300]


def test_the_server_cannot_see_that_an_input_is_absurd(url: str, vault: Vault) -> None:
    """The range is the server's word: were nothing sent, or another error raised, the input would show its size."""
    texts, traffic = set(), set()
    for value in (0.5, *FAR):
        sent: list[tuple[str, str, int]] = []

        class Noting(httpx.HTTPTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                sent.append((request.method, request.url.path, len(request.read())))  # noqa: B023
                return super().handle_request(request)

        x = samples(3)
        x[2, 5] = value
        with Client(url, vault=vault, allow_insecure=True, transport=Noting()) as client:
            client.prepare()
            sent.clear()
            if value == 0.5:
                client.predict(x)
            else:
                with (
                    pytest.warns(
                        InputRangeWarning, match=r"at index \(2, 5\), in sample 2; .* calibrated for -1\.\.1"
                    ),
                    pytest.raises(InputError) as caught,
                ):
                    client.predict(x)
                texts.add(str(caught.value))
        traffic.add(tuple(sent))
    assert len(texts) == 1
    assert len(traffic) == 1 and len(traffic.pop()) == 3


@pytest.mark.parametrize("ask", ["predict", "predict_samples"])
def test_no_error_depends_on_a_finite_value(client: Client, ask: str) -> None:
    """Whatever the data owner's number, the error is none or always the same."""
    texts = set()
    for value in FAR:
        x = np.full((1, 8), value)
        with warnings.catch_warnings(), pytest.raises(InputError) as caught:
            warnings.simplefilter("ignore", InputRangeWarning)
            getattr(client, ask)(x)
        texts.add(str(caught.value))
    assert len(texts) == 1
    for value in (1e-300, 0.0, 7.9, -7.9):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputRangeWarning)
            client.predict(np.full(8, value))


def test_outside_the_calibrated_range_warns_at_the_caller(client: Client) -> None:
    with pytest.warns(InputRangeWarning, match="calibrated") as caught:
        client.predict(np.full(8, 1.5))
    assert caught[0].filename == __file__


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
        if path.endswith("/uploads"):
            return 201, {}, json.dumps({"upload": "ab" * 16, "offset": 0}).encode()
        if path == "/v1/uploads/" + "ab" * 16:
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


class Mixing(httpx.BaseTransport):
    """Gives every prediction the answer to the one before it, as a proxy that mixes requests up does."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport()
        self.last: bytes | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if not request.url.path.endswith("/predict"):
            return response
        body = b"".join(response.iter_raw())
        response.close()
        body, self.last = self.last or body, body
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(body))

    def close(self) -> None:
        self.inner.close()


def test_the_answer_to_another_request_is_not_decrypted(
    url: str, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(url, vault=vault, allow_insecure=True, transport=Mixing()) as client:
        x = samples(2)
        assert np.abs(client.predict(x[0]) - expected(x[0])).max() < ERROR

        def decrypt(*_: object) -> None:
            raise AssertionError("it was decrypted")

        monkeypatch.setattr(SecretKey, "decrypt", decrypt)
        with pytest.raises(WireError, match="for another request"):
            client.predict(x[1])


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
