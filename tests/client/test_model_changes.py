"""A model that is replaced while a client uses it: the client goes on with the new one, and says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client
from hetorch.errors import PlanUseError, RemoteError
from hetorch.plan.plan import Plan
from hetorch.serving.models import serve_plan
from tests.client.test_client import ERROR, samples
from tests.server.live import live
from tests.server.small_plan import expected, small_plan


class Moving(httpx.HTTPTransport):
    """Sends requests to one of several servers, which stands for one server whose model is replaced."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self.addresses = addresses
        self.now = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = httpx.URL(self.addresses[self.now]).copy_with(raw_path=request.url.raw_path)
        return super().handle_request(request)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [small_plan(0), small_plan(1)]


@pytest.fixture(scope="module")
def addresses(plans: list[Plan]) -> Iterator[list[str]]:
    with (
        live({"small": serve_plan("small", plans[0])}) as first,
        live({"small": serve_plan("small", plans[1])}) as second,
    ):
        yield [first, second]


def right(client: Client, seed: int) -> bool:
    x = samples(2)
    return bool(np.abs(client.predict(x) - expected(x, seed)).max() < ERROR)


def test_predictions_go_on_with_the_new_model(
    addresses: list[str], plans: list[Plan], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transport = Moving(*addresses)
    with Client(
        "http://127.0.0.1", vault=tmp_path / "keys", allow_insecure=True, transport=transport
    ) as client:
        assert right(client, 0)
        transport.now = 1
        with caplog.at_level(logging.WARNING, "hetorch.client"):
            assert right(client, 1)
        assert client.plan.sha256 == plans[1].public().sha256
        old, new = (plan.public().fingerprint[:12] for plan in plans[:2])
        (told,) = [r.getMessage() for r in caplog.records if "changed" in r.getMessage()]
        assert f"was {old}…, now it is {new}…" in told
        assert right(client, 1)


def test_a_pinned_model_is_not_replaced(addresses: list[str], plans: list[Plan], tmp_path: Path) -> None:
    transport = Moving(*addresses)
    with Client(
        "http://127.0.0.1",
        vault=tmp_path / "keys",
        allow_insecure=True,
        transport=transport,
        pinned=plans[0],
    ) as client:
        assert right(client, 0)
        transport.now = 1
        for _ in range(2):
            with pytest.raises(PlanUseError, match="is not the pinned one"):
                client.predict(samples(1))
        transport.now = 0
        assert right(client, 0)


def test_a_model_with_other_outputs_needs_a_new_client(addresses: list[str], tmp_path: Path) -> None:
    from tests.client.test_interface import PLANS

    with live({"small": serve_plan("small", PLANS["named"])}) as named:
        transport = Moving(addresses[0], named)
        with Client(
            "http://127.0.0.1", vault=tmp_path / "keys", allow_insecure=True, transport=transport
        ) as client:
            assert right(client, 0)
            transport.now = 1
            with pytest.raises(
                PlanUseError, match=r"replaced by one with other inputs or outputs; make a new"
            ):
                client.predict(samples(1))


def test_a_server_that_refuses_its_own_version_is_not_asked_for_ever(
    addresses: list[str], tmp_path: Path
) -> None:
    asked: list[str] = []

    class Refusing(Moving):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            if request.url.path.endswith("predict"):
                body = b'{"error": "another version", "code": "other_version"}'
                return httpx.Response(409, stream=httpx.ByteStream(body))
            return super().handle_request(request)

    with Client(
        "http://127.0.0.1", vault=tmp_path / "keys", allow_insecure=True, transport=Refusing(*addresses)
    ) as client:
        client.prepare()
        asked.clear()
        with pytest.raises(RemoteError, match="says: another version"):
            client.predict(samples(1))
    assert sum(path.endswith("predict") for path in asked) == 1
