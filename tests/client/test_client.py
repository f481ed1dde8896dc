"""The client against a real server: predictions, keys, batches, refusals."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from hetorch.client import Client, Sharing, StepTimings, Vault
from hetorch.client.sharing_noise import check_sharing
from hetorch.engine.secret import SecretKey
from hetorch.errors import (
    InputError,
    InputRangeWarning,
    PlanError,
    RemoteError,
    SecurityError,
    SharingNoiseWarning,
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


@pytest.mark.parametrize("value", [1e30, -1e300, 1e7, 8.1])
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
    sharing = Sharing(error_bound=1e-5, queries=3)
    x = samples(3)
    vault = Vault(tmp_path / "keys")
    with Client(url, vault=vault, allow_insecure=True) as client:
        with pytest.warns(SharingNoiseWarning, match="deviation of 3.93, 0.39 times") as caught:
            error = client.predict(x, for_sharing=sharing) - expected(x)
        assert caught[0].filename == __file__
        sigma = sharing.noise_std(4)
        # 12 Gaussians: P(chi^2_12 < 12/32) and P(chi^2_12 > 96) are both below 1e-7.
        assert sigma**2 / 32 < np.mean(error**2) < 8 * sigma**2
        assert vault.shared(client.plan.parameters).results == 3
        with pytest.warns(SharingNoiseWarning), pytest.raises(VaultError, match="budget"):
            client.predict(x[0], for_sharing=sharing)
        assert np.abs(client.predict(x[0]) - expected(x[0])).max() < ERROR  # for the owner nothing changed


def test_a_bound_that_the_plan_does_not_keep_and_classes_of_noise_are_refused(client: Client) -> None:
    plan = client.plan
    predicted = plan.precision * plan.output_range
    with pytest.raises(InputError, match=r"bound 9e-06 is below .* predicts, 1e-05"):
        client.predict(samples(1), for_sharing=Sharing(0.9 * predicted, 1))
    # sqrt(12 * 10) * 2^15 * sqrt(4) * 1e-4 = 71.8
    large = Sharing(10 * predicted, 10)
    with pytest.raises(InputError, match=r"those of noise: .* 71\.8, 7\.2 times .* \(10\).* precision=1e-07"):
        client.predict_samples(samples(1), for_sharing=large, for_classes=True)
    check_sharing(
        dataclasses.replace(plan, precision=1e-9), Sharing(1e-8, 1), 1, for_classes=True
    )  # no warning


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
