"""Weights that clients encrypt: the server takes, keeps, refuses and forgets them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from hetorch.errors import PlanError
from hetorch.model_owner.encrypt import weights_message
from hetorch.params.insecure import insecure_small
from hetorch.plan import Plan
from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.settings import Settings
from hetorch.serving.keys.catalogue import Slot
from hetorch.serving.keys.shared_store import SharedStore
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.serving.service import Service
from hetorch.wire.predict import load_response
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.small_plan import expected, outsourced_plan, small_plan
from tests.server.test_service import sentence

MODEL = "/v1/models/hidden"
X = [0.5, -0.25, 1, 0, -1, 0.125, 0.75, -0.5]
ERROR = 2.0**-18


@pytest.fixture(scope="module")
def hidden() -> ServedModel:
    return serve_plan("hidden", outsourced_plan().without_weights())


@pytest.fixture(scope="module")
def data_owner(hidden: ServedModel) -> Owner:
    return make_owner(hidden.public)


@pytest.fixture
def http(hidden: ServedModel, served: ServedModel) -> Iterator[httpx.Client]:
    with (
        live({"hidden": hidden, "small": served}) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


def weights_for(owner: Owner, key_id: str, plan: Plan | None = None, *, seeded: bool = False) -> bytes:
    key = owner.secret if seeded else owner.secret.public_key()
    return b"".join(weights_message(plan or outsourced_plan(), key, key_id))


def put_keys(http: httpx.Client, owner: Owner) -> str:
    answer = http.put(f"{MODEL}/keys", content=owner.keys, headers=OCTETS)
    assert answer.status_code == 200, answer.text
    result: str = answer.json()["key_id"]
    return result


def put_weights(http: httpx.Client, content: bytes | Iterator[bytes]) -> httpx.Response:
    return http.put(f"{MODEL}/weights", content=content, headers=OCTETS)


def predict(http: httpx.Client, owner: Owner, key_id: str) -> httpx.Response:
    request = owner.request(key_id, X)
    return http.post(f"{MODEL}/predict", content=request, headers=OCTETS | {"Hetorch-Key-Id": key_id})


def error_of(answer: httpx.Response, owner: Owner, seed: int = 0) -> float:
    """Return the largest deviation of an answer from the definition in numpy."""
    assert answer.status_code == 200, answer.text
    slots = [
        owner.secret.decrypt(c)
        for c in load_response(owner.plan, answer.content, answer.request.content).ciphertexts
    ]
    return float(np.abs(owner.plan.unpack(slots) - expected(np.array(X), seed)).max())


@pytest.mark.parametrize("seeded", [True, False])
def test_a_prediction_on_uploaded_weights_is_right(
    http: httpx.Client, data_owner: Owner, seeded: bool
) -> None:
    key_id = put_keys(http, data_owner)
    where = f"{MODEL}/weights/{key_id}"
    assert "upload-weights" in sentence(http.get(where), 404)
    assert "Client.upload_weights(plan)" in sentence(predict(http, data_owner, key_id), 409)
    answer = put_weights(http, weights_for(data_owner, key_id, seeded=seeded))
    assert answer.json() == {"key_id": key_id}
    assert http.get(where).json() == {"key_id": key_id}
    assert error_of(predict(http, data_owner, key_id), data_owner) < ERROR
    metrics = scrape(http)
    assert (metrics("keys_held"), metrics("weights_held")) == (1, 1)


def test_a_shared_store_is_asked_once_for_each_prediction(
    hidden: ServedModel, data_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights may be replaced through another server; keys that are here are the right ones. What leaves after it was
    looked up is fetched."""
    asked: list[str] = []

    def content(
        self: SharedStore, slot: Slot, ask: Callable[..., str | None] = SharedStore.content
    ) -> str | None:
        asked.append(slot.kind.partition("-")[0])
        return ask(self, slot)

    share = f"memory://{uuid4().hex}"
    with (
        live({"hidden": hidden}, Settings(key_share=share)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
    ):
        key_id = put_keys(http, data_owner)
        assert put_weights(http, weights_for(data_owner, key_id)).status_code == 200
        monkeypatch.setattr(SharedStore, "content", content)
        assert error_of(predict(http, data_owner, key_id), data_owner) < ERROR
        assert asked == ["weights"]
        asked.clear()

        async def leaving(
            self: Service, model: ServedModel, key_id: str, check: Any = Service.check_uploads
        ) -> None:
            await check(self, model, key_id)
            self.keys._delete_here([Slot(kind.tenant, kind.name, key_id) for kind in model.kinds])

        monkeypatch.setattr(Service, "check_uploads", leaving)
        assert error_of(predict(http, data_owner, key_id), data_owner) < ERROR
        assert sorted(asked) == ["keys", "weights", "weights"]


def test_without_weights_nothing_of_the_body_is_read(http: httpx.Client, data_owner: Owner) -> None:
    key_id = put_keys(http, data_owner)
    headers = OCTETS | {"Hetorch-Key-Id": key_id}
    assert "encrypted weights" in sentence(
        http.post(f"{MODEL}/predict", content=b"no request at all", headers=headers), 409
    )


def test_weights_come_before_keys_too(http: httpx.Client, data_owner: Owner) -> None:
    """The model's owner may be faster than the data's owner."""
    key_id = make_key_id(data_owner)
    assert put_weights(http, weights_for(data_owner, key_id)).status_code == 200
    assert "upload them again" in sentence(predict(http, data_owner, key_id), 404)
    assert put_keys(http, data_owner) == key_id
    assert error_of(predict(http, data_owner, key_id), data_owner) < ERROR


def make_key_id(owner: Owner) -> str:
    return hashlib.sha256(owner.keys).hexdigest()


def test_weights_belong_to_one_client(http: httpx.Client, data_owner: Owner) -> None:
    first = put_keys(http, data_owner)
    put_weights(http, weights_for(data_owner, first))
    other = make_owner(data_owner.plan)
    second = put_keys(http, other)
    sentence(predict(http, other, second), 409)
    put_weights(http, weights_for(other, second))
    assert error_of(predict(http, data_owner, first), data_owner) < ERROR
    assert error_of(predict(http, other, second), other) < ERROR


def test_later_weights_take_the_place_of_earlier_ones(http: httpx.Client, data_owner: Owner) -> None:
    key_id = put_keys(http, data_owner)
    for seed in (0, 1):  # another model of the same shape: nothing in the plan tells them apart
        put_weights(http, weights_for(data_owner, key_id, outsourced_plan(seed)))
        assert error_of(predict(http, data_owner, key_id), data_owner, seed) < ERROR
    assert scrape(http)("weights_held") == 1


def test_broken_uploads_get_a_sentence(
    http: httpx.Client, data_owner: Owner, hidden: ServedModel, served: ServedModel
) -> None:
    key_id = put_keys(http, data_owner)
    good = weights_for(data_owner, key_id)
    numbers = np.random.default_rng(0)
    foreign = outsourced_plan(parameters=insecure_small(1 << 11, 2, special_prime_count=2))
    foreign_owner = make_owner(foreign.public())
    for cut in (0, 1, 75, 5000):
        assert "cut short" in sentence(put_weights(http, good[:cut]), 400)
    sentence(put_weights(http, good[:-1]), 400)
    for position in (*range(0, 80, 7), *numbers.integers(0, len(good), 20)):
        broken = bytearray(good)
        broken[position] ^= 1 << int(numbers.integers(8))
        answer = put_weights(http, bytes(broken))
        assert answer.status_code in (400, 409)  # 409 where the bit names another plan or other keys
        sentence(answer, answer.status_code)
    for content in (good + b"\0", good + bytes(10 << 20)):
        assert "at most" in sentence(put_weights(http, content), 413)
    assert "at most" in sentence(put_weights(http, (bytes(1 << 20) for _ in range(8))), 413)
    assert "for the plan" in sentence(put_weights(http, weights_for(foreign_owner, key_id, foreign)), 409)
    answer = http.put(f"{MODEL}/weights", content=good)
    assert "octet-stream" in sentence(answer, 415)
    answer = http.put("/v1/models/small/weights", content=good, headers=OCTETS)
    assert "in clear; it takes none" in sentence(answer, 409)
    assert "in clear" in sentence(http.get(f"/v1/models/small/weights/{key_id}"), 409)
    assert "64 hexadecimal" in sentence(http.get(f"{MODEL}/weights/abc"), 400)
    sentence(predict(http, data_owner, key_id), 409)  # none of these was kept
    metrics = scrape(http)
    assert (metrics("weights_held"), metrics.failed) == (0, 0)
    assert put_weights(http, (good[i : i + 5000] for i in range(0, len(good), 5000))).status_code == 200
    assert error_of(predict(http, data_owner, key_id), data_owner) < ERROR


def test_an_upload_that_stalls_is_given_up(hidden: ServedModel, data_owner: Owner) -> None:
    def stalling() -> Iterator[bytes]:
        yield b"x" * 10
        threading.Event().wait(1.5)
        yield b"y"

    settings = Settings(idle_timeout=0.2)
    with (
        live({"hidden": hidden}, settings) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        assert "no byte" in sentence(put_weights(http, stalling()), 408)


def kinds_of(model: ServedModel) -> int:
    return sum(kind.memory_bytes for kind in model.kinds)


def test_weights_and_keys_share_the_disk_limit(hidden: ServedModel, data_owner: Owner) -> None:
    """There is room for one client only: the second one's uploads drive out the first one's."""
    other = make_owner(data_owner.plan)
    room = hidden.key_kind.file_bytes(0) + len(weights_for(data_owner, make_key_id(data_owner)))
    settings = Settings(key_disk=room)
    with (
        live({"hidden": hidden}, settings) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        first = put_keys(http, data_owner)
        put_weights(http, weights_for(data_owner, first))
        assert error_of(predict(http, data_owner, first), data_owner) < ERROR
        second = put_keys(http, other)
        put_weights(http, weights_for(other, second))
        assert error_of(predict(http, other, second), other) < ERROR
        sentence(predict(http, data_owner, first), 404)
        put_keys(http, data_owner)
        assert "left the server's memory" in sentence(predict(http, data_owner, first), 409)
        put_weights(http, weights_for(data_owner, first))
        assert error_of(predict(http, data_owner, first), data_owner) < ERROR
        assert scrape(http)("key_disk_bytes") <= room


def test_limits_that_no_client_can_meet_are_told_at_the_start(hidden: ServedModel) -> None:
    with pytest.raises(PlanError, match=r"keys and weights of one client .* raise key_memory="):
        insecure_app_beside_secrets({"hidden": hidden}, Settings(key_memory=kinds_of(hidden) - 1))
    with pytest.raises(PlanError, match="raise body_memory="):
        insecure_app_beside_secrets({"hidden": hidden}, Settings(body_memory=10_000))
    with pytest.raises(PlanError, match="encrypted weights, which cannot be made piece by piece"):
        serve_plan("hidden", outsourced_plan().without_weights(), memory_limit=100_000)


def test_a_plan_that_still_has_its_weights_is_not_served() -> None:
    with pytest.raises(PlanError, match="must not see; serve the plan without them"):
        serve_plan("hidden", outsourced_plan())


def test_seal_is_refused() -> None:
    with pytest.raises(PlanError, match=r"'seal' cannot multiply by.*engine=.native"):
        serve_plan("hidden", outsourced_plan().without_weights(), engine="seal")
    assert serve_plan("small", small_plan()).weight_kind is None
