"""Served models, and one client's keys for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from hetorch.engine.secret import SecretKey
from hetorch.plan.public import PublicPlan
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire.predict import dump_request
from tests.engine.key_blobs import fresh_blob
from tests.server.live import live
from tests.server.slow_plan import slow_plan
from tests.server.small_plan import small_plan

OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Owner:
    """A data owner who speaks HTTP by hand."""

    plan: PublicPlan
    secret: SecretKey
    keys: bytes

    def request(self, key_id: str, x: list[float] | None = None) -> bytes:
        """Encode a predict request for `x` (8 numbers)."""
        slots = self.plan.pack(np.array(x) if x is not None else np.linspace(-1, 1, 8))
        ciphertexts = [
            self.secret.encrypt(s, level=self.plan.input_level, scale=self.plan.input_scale) for s in slots
        ]
        return dump_request(self.plan, key_id, ciphertexts)


def make_owner(plan: PublicPlan) -> Owner:
    """Make an owner with a fresh key."""
    secret = SecretKey.generate(plan.parameters)
    return Owner(plan, secret, fresh_blob(secret, plan.key_spec))


@pytest.fixture(scope="session")
def served() -> ServedModel:
    return serve_plan("small", small_plan())


@pytest.fixture(scope="session")
def owner(served: ServedModel) -> Owner:
    return make_owner(served.public)


@pytest.fixture(scope="session")
def slow() -> ServedModel:
    """A model that computes for seconds."""
    return serve_plan("slow", slow_plan())


@pytest.fixture(scope="session")
def slow_owner(slow: ServedModel) -> Owner:
    return make_owner(slow.public)


@pytest.fixture(scope="module")
def http(served: ServedModel) -> Iterator[httpx.Client]:
    other = serve_plan("other", small_plan(seed=1))
    with (
        live({"small": served, "other": other}) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def key_id(http: httpx.Client, owner: Owner) -> str:
    answer = http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS)
    assert answer.status_code == 200, answer.text
    result: str = answer.json()["key_id"]
    return result
