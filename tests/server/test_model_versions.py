"""Versions of models that come and go while a server runs, over real sockets: nobody's request is lost or mixed."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.errors import InputError, StorageError
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.serving.models.model_folder import ModelFolder, load_registry
from hetorch.wire import addresses
from hetorch.wire.predict import load_response
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.small_plan import expected, small_plan

X = np.linspace(-1, 1, 8)


def save(folder: Path, seed: int, name: str = "small") -> Path:
    plan = folder / f"{name}.hetorch"
    shutil.rmtree(plan, ignore_errors=True)
    small_plan(seed).save(plan)
    return plan


def owner_of(seed: int) -> Owner:
    return make_owner(serve_plan("small", small_plan(seed)).public)


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def predict(http: httpx.Client, owner: Owner, plan: str | None = None) -> httpx.Response:
    key_id = http.put(addresses.keys("small"), content=owner.keys, headers=OCTETS).json()["key_id"]
    named = {} if plan is None else {addresses.PLAN_HEADER: plan}
    request = owner.request(key_id)
    headers = OCTETS | {addresses.KEY_ID_HEADER: key_id} | named
    answer = http.post(addresses.predict("small"), content=request, headers=headers)
    answer.extensions["request"] = request
    return answer


def right(answer: httpx.Response, owner: Owner, seed: int) -> bool:
    """True if an answer decrypts to the result of the model of this seed."""
    assert answer.status_code == 200, answer.status_code
    response = load_response(owner.plan, answer.content, answer.extensions["request"])
    slots = [owner.secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
    return bool(np.abs(owner.plan.unpack_batch(slots)[0] - expected(X, seed)).max() < 1e-4)


def test_a_folder_of_models(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path / "models")
    with pytest.raises(StorageError, match="cannot read the models"):
        folder.versions()
    first, second = (folder.add(save(tmp_path, seed)) for seed in (0, 1))
    assert [v.number for v in folder.versions()] == [1, 2] and folder.versions() == (first, second)
    assert folder.load(second).fingerprint.startswith(second.fingerprint)
    with pytest.raises(InputError, match="as its newest version already"):
        folder.add(save(tmp_path, 1))
    again = folder.add(save(tmp_path, 0))  # the old one is the newest again
    assert again.number == 3 and [v.fingerprint for v in folder.versions()] == [
        second.fingerprint,
        first.fingerprint,
    ]
    other = folder.add(save(tmp_path, 2), "letters")
    assert {v.name for v in folder.versions()} == {"small", "letters"}
    for name, version in (("small", "abc"), ("small", "0" * 12), ("none", "0" * 12), ("..", "0" * 12)):
        with pytest.raises(InputError, match="names 0 versions"):
            folder.retire(name, version)
    folder.retire("letters", other.fingerprint[:6])
    assert not (tmp_path / "models" / "letters").exists()
    for name in ("../up", "", ".x", "a/b"):
        with pytest.raises(InputError, match="is not the name of a model"):
            folder.add(save(tmp_path, 3), name)
    assert sorted(p.name for p in (tmp_path / "models").rglob(".*")) == []


def test_versions_come_and_go_while_clients_ask(tmp_path: Path) -> None:
    """A client of the first version asks all the time: while the second comes, beside it, and until its own goes."""
    folder = ModelFolder(tmp_path / "models")
    folder.add(save(tmp_path, 0))
    old, new = owner_of(0), owner_of(1)
    with live(load_registry({}, folder), folder=folder) as url:

        def client() -> httpx.Client:
            return httpx.Client(base_url=url, trust_env=False, timeout=120)

        with client() as http:
            assert right(predict(http, old), old, 0)
            assert predict(http, new).json()["code"] == "other_version"
            results: list[bool] = []
            stop = threading.Event()

            def ask() -> None:
                with client() as mine:
                    while not stop.is_set():
                        results.append(right(predict(mine, old, old.plan.fingerprint), old, 0))

            thread = threading.Thread(target=ask)
            thread.start()
            try:
                folder.add(save(tmp_path, 1))
                eventually(lambda: predict(http, new).status_code == 200)
                before = len(results)
                assert right(predict(http, new), new, 1)
                assert http.get(addresses.public_plan("small")).content == new.plan.to_bytes()
                named = {addresses.PLAN_HEADER: old.plan.fingerprint}
                plan = http.get(addresses.public_plan("small"), headers=named)
                assert plan.content == old.plan.to_bytes()
                eventually(lambda: len(results) > before + 3)
            finally:
                stop.set()
                thread.join(120)
            assert all(results) and len(results) > 3
            folder.retire("small", old.plan.fingerprint)
            gone = [predict(http, old, old.plan.fingerprint)]
            while gone[-1].status_code != 409:
                gone.append(predict(http, old, old.plan.fingerprint))
                assert len(gone) < 10_000
            assert gone[-1].json()["code"] == "other_version"
            assert {answer.status_code for answer in gone} <= {200, 409}
            assert right(predict(http, new), new, 1)
            folder.retire("small", new.plan.fingerprint)
            eventually(lambda: http.get(addresses.MODELS).json()["models"] == [])
            assert http.get(addresses.public_plan("small")).json()["code"] == "model_unknown"
            assert http.get(addresses.READY).status_code == 200


def test_what_is_no_plan_is_told_and_stops_nothing(
    tmp_path: Path, served: ServedModel, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ModelFolder(tmp_path / "models")
    folder.add(save(tmp_path, 0), "other")
    broken = tmp_path / "models" / "small" / "000002-0123456789ab"
    with live(load_registry({"small": served}, folder), folder=folder) as url:
        broken.mkdir(parents=True)
        eventually(lambda: f"{broken} is not served" in caplog.text)
        wrong = broken.with_name("000003-0123456789ab")
        small_plan(7).save(wrong)  # not the plan that its name tells
        eventually(lambda: f"{wrong} is not served" in caplog.text)
        names = [
            model["name"] for model in httpx.get(url + addresses.MODELS, trust_env=False).json()["models"]
        ]
        assert sorted(names) == ["other", "small"]
        folder.add(save(tmp_path, 5), "third")
        eventually(lambda: "third is served in the version" in caplog.text or _has(url, "third"))


def _has(url: str, name: str) -> bool:
    return httpx.get(url + addresses.public_plan(name), trust_env=False).status_code == 200
