"""The client of a server that must not see the model: the weights are uploaded when they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client, Vault, upload_weights
from hetorch.errors import HetorchError, InputError, PlanError, RemoteError, StorageError, WireError
from hetorch.model_owner.encrypt import save_encrypted_weights
from hetorch.params.insecure import insecure_small
from hetorch.plan import Plan
from hetorch.server.settings import Settings
from hetorch.serving.models import serve_plan
from hetorch.wire.codes import Code
from tests.server.live import live
from tests.server.small_plan import expected, outsourced_plan, small_plan

ERROR = 2.0**-18
X = np.linspace(-1, 1, 16).reshape(2, 8)


@pytest.fixture
def url() -> Iterator[str]:
    with live({"hidden": serve_plan("hidden", outsourced_plan().without_weights())}) as address:
        yield address


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("owner") / "vault")


def connect(url: str, vault: Vault, weights: Plan | Path | None = None) -> Client:
    return Client(url, vault=vault, weights=weights, allow_insecure=True)


def wrong_by(client: Client, seed: int = 0) -> float:
    return float(np.abs(client.predict(X) - expected(X, seed)).max())


def test_a_client_with_the_plan_needs_nothing_else(url: str, vault: Vault) -> None:
    seen: list[tuple[str, float]] = []
    with Client(
        url,
        vault=vault,
        weights=outsourced_plan(),
        allow_insecure=True,
        progress=lambda *step: seen.append(step),
    ) as client:
        assert wrong_by(client) < ERROR
    assert ("encrypting weights", 1.0) in seen
    with connect(url, vault) as other:  # the server has them now, for this vault's key
        assert wrong_by(other) < ERROR
    seen.clear()
    with connect(url, vault, outsourced_plan()) as again:
        assert wrong_by(again) < ERROR
    assert seen == []


def test_without_weights_the_error_says_what_to_do(url: str, tmp_path: Path) -> None:
    with connect(url, Vault(tmp_path / "vault")) as client:
        sentence = r"Client\.upload_weights\(plan\) or `hetorch upload-weights`"
        with pytest.raises(RemoteError, match=sentence) as caught:
            client.predict(X)
        assert (caught.value.status, caught.value.code) == (409, Code.WEIGHTS_MISSING)
        client.upload_weights(outsourced_plan())
        assert wrong_by(client) < ERROR


def test_weights_that_the_server_lost_are_uploaded_again(vault: Vault, tmp_path: Path) -> None:
    model = serve_plan("hidden", outsourced_plan().without_weights())
    room = sum(kind.memory_bytes for kind in model.kinds)
    with (
        live({"hidden": model}, Settings(key_memory=room)) as url,
        connect(url, vault, outsourced_plan()) as first,
        connect(url, Vault(tmp_path / "other"), outsourced_plan()) as second,
    ):
        for _ in range(2):  # each drives the other's keys and weights out
            assert wrong_by(first) < ERROR
            assert wrong_by(second) < ERROR


def test_three_parties(url: str, tmp_path: Path) -> None:
    """The model's owner has neither the vault nor the data; the data's owner does not have the model."""
    weights = tmp_path / "hidden.weights"
    done: list[tuple[str, float]] = []
    with connect(url, Vault(tmp_path / "vault")) as client:
        size = save_encrypted_weights(
            outsourced_plan(), client.public_key(), weights, lambda stage, share: done.append((stage, share))
        )
        assert size == weights.stat().st_size and done == [("encrypting weights", i / 9) for i in range(10)]
        key_id = upload_weights(url, weights)
        assert key_id == client.make_keys().key_id
        assert wrong_by(client) < ERROR
    with connect(url, Vault(tmp_path / "vault"), weights) as again:
        assert wrong_by(again) < ERROR
        again.upload_weights(outsourced_plan(1))  # other weights take their place
        assert wrong_by(again, 1) < ERROR
        again.upload_weights(weights)
        assert wrong_by(again) < ERROR


def test_files_for_other_keys_are_refused(url: str, vault: Vault, tmp_path: Path) -> None:
    weights = tmp_path / "hidden.weights"
    with connect(url, Vault(tmp_path / "other")) as other:
        save_encrypted_weights(outsourced_plan(), other.public_key(), weights)
    with connect(url, vault) as client, pytest.raises(WireError, match="hetorch public-key"):
        client.upload_weights(weights)


def test_what_is_for_another_model_is_refused(url: str, vault: Vault, tmp_path: Path) -> None:
    foreign = outsourced_plan(parameters=insecure_small(1 << 11, 2, special_prime_count=2))
    with pytest.raises(PlanError, match="is not the one given"):
        connect(url, vault, foreign)
    with pytest.raises(PlanError, match="is not the one given"):
        connect(url, vault, small_plan())
    with pytest.raises(PlanError, match="give the whole plan"):
        connect(url, vault, outsourced_plan().without_weights())
    with pytest.raises(StorageError, match="No such file"):
        connect(url, vault, tmp_path / "none.weights")
    (tmp_path / "noise.weights").write_bytes(b"x" * 1000)
    with pytest.raises(WireError, match="no hetorch message"):
        upload_weights(url, tmp_path / "noise.weights")
    with connect(url, vault) as client:
        key = client.public_key()
    with pytest.raises(WireError, match=r"^the public key: .* is for the plan"):
        save_encrypted_weights(foreign, key, tmp_path / "foreign.weights")
    with pytest.raises(PlanError, match="without its weights"):
        save_encrypted_weights(outsourced_plan().without_weights(), key, tmp_path / "no.weights")
    with pytest.raises(HetorchError, match="cannot write"):
        save_encrypted_weights(outsourced_plan(), key, tmp_path / "no" / "folder")
    outsourced_plan().save(tmp_path / "whole.hetorch")
    with pytest.raises(InputError, match="encrypt-weights first"):
        upload_weights(url, tmp_path / "whole.hetorch")
    assert not list(tmp_path.glob(".new-*"))


def test_a_server_with_the_weights_takes_none(vault: Vault) -> None:
    with live({"small": serve_plan("small", small_plan())}) as url:
        with pytest.raises(PlanError, match="in clear, it takes none"):
            connect(url, vault, outsourced_plan())
        with connect(url, vault) as client, pytest.raises(PlanError, match="nobody needs to encrypt"):
            client.public_key()


def test_a_plan_folder_is_as_good(url: str, vault: Vault, tmp_path: Path) -> None:
    outsourced_plan().save(tmp_path / "whole.hetorch")
    with connect(url, vault, tmp_path / "whole.hetorch") as client:
        assert wrong_by(client) < ERROR


class BusyOnce(httpx.HTTPTransport):
    """A transport that reads the first upload of weights and answers 503, so the body must be made again."""

    refused = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and request.url.path.endswith("/weights") and not self.refused:
            self.refused = len(request.read())
            busy = httpx.ByteStream(b'{"error": "busy"}')
            return httpx.Response(503, headers={"Retry-After": "0"}, stream=busy)
        return super().handle_request(request)


def test_a_busy_server_is_asked_again_with_a_new_body(url: str, vault: Vault) -> None:
    transport = BusyOnce()
    with Client(
        url, vault=vault, weights=outsourced_plan(), allow_insecure=True, transport=transport
    ) as client:
        assert wrong_by(client) < ERROR
    assert transport.refused > 100_000
