"""A model that is trained again under its name: running clients go on with their version, and then with the new one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hetorch.client import Client
from hetorch.client.blocking import finish
from hetorch.engine.sharing import Sharing
from hetorch.errors import PlanUseError, RemoteError
from hetorch.plan.plan import Plan
from hetorch.serving.models.model_folder import ModelFolder, load_registry
from hetorch.wire import addresses
from tests.server.live import live
from tests.server.small_plan import expected, small_plan

X = np.linspace(-1, 1, 8)


@dataclass(frozen=True, slots=True)
class Training:
    """A server of the model "small", which is trained with several seeds, in a folder."""

    url: str
    folder: ModelFolder
    root: Path

    def client(self, **options: Any) -> Client:
        return Client(self.url, vault=self.root / "keys", allow_insecure=True, **options)

    def train(self, seed: int, plan: Plan | None = None) -> Plan:
        """Add a version, and wait until it is the newest."""
        plan = plan or small_plan(seed)
        add(self.folder, self.root, plan)
        newest = plan.public().fingerprint
        until(lambda: self.get(addresses.MODELS).json()["models"][0]["fingerprint"] == newest)
        return plan

    def retire(self, plan: Plan) -> None:
        """Retire a version, and wait until it is gone."""
        self.folder.retire("small", plan.public().fingerprint)
        until(lambda: self.get(addresses.public_plan("small"), plan).status_code != 200)

    def get(self, path: str, plan: Plan | None = None) -> httpx.Response:
        headers = {} if plan is None else {addresses.PLAN_HEADER: plan.public().fingerprint}
        return httpx.get(self.url + path, headers=headers, trust_env=False, timeout=60)


def add(folder: ModelFolder, root: Path, plan: Plan) -> None:
    path = root / plan.public().fingerprint
    plan.save(path)
    folder.add(path, "small")


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Training]:
    folder = ModelFolder(tmp_path / "models")
    add(folder, tmp_path, small_plan(0))
    with live(load_registry({}, folder), folder=folder) as url:
        yield Training(url, folder, tmp_path)


def right(client: Client, seed: int) -> bool:
    return bool(np.abs(client.predict(X) - expected(X, seed)).max() < 1e-4)


def test_a_running_client_goes_over_to_the_new_model_and_says_so(
    training: Training, caplog: pytest.LogCaptureFixture
) -> None:
    first = small_plan(0)
    with training.client() as client, training.client(pinned=first) as pinned:
        assert right(client, 0) and right(pinned, 0)
        second = training.train(1)
        assert right(client, 0) and right(pinned, 0)  # their version is served too
        with training.client() as new:
            assert right(new, 1)
        assert "has changed" not in caplog.text
        training.retire(first)
        with caplog.at_level(logging.WARNING, "hetorch.client"):
            assert right(client, 1)
        told = [r.getMessage() for r in caplog.records if "has changed" in r.getMessage()]
        assert len(told) == 1
        assert all(plan.public().fingerprint[:12] in told[0] for plan in (first, second))
        assert client.plan == second.public() and right(client, 1)
        with pytest.raises(PlanUseError, match="is not the pinned one"):
            pinned.predict(X)
        assert pinned.plan == first.public()  # and nothing was computed with the other one
        with pytest.raises(PlanUseError, match="is not the pinned one"):
            pinned.predict(X)


def test_a_shared_result_and_other_outputs_are_not_taken_from_another_model(training: Training) -> None:
    first = small_plan(0)
    sharing = Sharing(error_bound=1e-3, queries=1)
    with training.client() as client:
        assert right(client, 0)
        training.train(1)
        training.retire(first)
        session = client._session
        with pytest.raises(PlanUseError, match="nothing was shared"):
            finish(session._predict_samples(X[None], sharing))
        assert right(client, 1)
        other = small_plan(2)
        other = replace(other, name="other", interface=replace(other.interface, by_name=False))
        training.train(2, other)
        training.retire(small_plan(1))
        with pytest.raises(PlanUseError, match="has other columns, classes or names of outputs; make a new"):
            client.predict(X)


def test_a_model_that_is_gone_is_told(training: Training) -> None:
    with training.client() as client:
        training.folder.retire("small", small_plan(0).public().fingerprint)
        until(lambda: training.get(addresses.public_plan("small")).status_code != 200)
        with pytest.raises(RemoteError) as caught:
            client.predict(X)
        assert caught.value.code == "model_unknown"
