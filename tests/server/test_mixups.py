"""Requests for something else than what their address, token or header names: 409, and which it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from hetorch.server.settings import Settings
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire import addresses
from hetorch.wire.codes import Code
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.small_plan import small_plan


@dataclass(frozen=True, slots=True)
class Mixing:
    """A server of "small", "other" and "secret", which its one token may not use, and owners of keys for them."""

    http: httpx.Client
    small: Owner
    other: Owner
    key_id: str

    def predict(self, body: bytes, plan: str | None = None, **headers: str) -> httpx.Response:
        named = {} if plan is None else {addresses.PLAN_HEADER: plan}
        return self.http.post(
            addresses.predict("small"),
            content=body,
            headers=OCTETS | {addresses.KEY_ID_HEADER: self.key_id} | named | headers,
        )


@pytest.fixture(scope="module")
def mixing(served: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixing]:
    folder = tmp_path_factory.mktemp("mixups")
    text, token = issue("ward", "ward", ["small", "other"])
    save_tokens(folder / "tokens", [token])
    models = {
        "small": served,
        "other": serve_plan("other", small_plan(seed=1)),
        "secret": serve_plan("secret", small_plan(seed=2)),
    }
    small, other = make_owner(served.public), make_owner(models["other"].public)
    headers = {"Authorization": f"Bearer {text}"}
    with (
        live(models, Settings(tokens=folder / "tokens")) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60, headers=headers) as http,
    ):
        key_id = http.put(addresses.keys("small"), content=small.keys, headers=OCTETS).json()["key_id"]
        yield Mixing(http, small, other, key_id)


def refused(answer: httpx.Response, code: Code, sentence: str) -> None:
    assert answer.status_code == 409, answer.status_code
    assert answer.json()["code"] == code, answer.text
    assert sentence in answer.json()["error"]


def test_the_plan_that_a_request_names_is_used(mixing: Mixing) -> None:
    body = mixing.small.request(mixing.key_id)
    own = mixing.small.plan.fingerprint
    assert mixing.predict(body, own).status_code == mixing.predict(body).status_code == 200
    assert (
        mixing.http.get(addresses.public_plan("small"), headers={addresses.PLAN_HEADER: own}).status_code
        == 200
    )


def test_another_model(mixing: Mixing) -> None:
    """Told by the header before the body is read, and by the body where there is no header."""
    body, other = mixing.other.request(mixing.key_id), mixing.other.plan.fingerprint
    refused(mixing.predict(body, other), Code.OTHER_MODEL, "the plan of 'other'")
    refused(mixing.predict(body), Code.OTHER_MODEL, "the plan of 'other'")
    answer = mixing.http.put(
        addresses.keys("small"), content=mixing.small.keys, headers=OCTETS | {addresses.PLAN_HEADER: other}
    )
    refused(answer, Code.OTHER_MODEL, "the plan of 'other'")


def test_a_model_that_the_token_may_not_use_is_not_named(mixing: Mixing) -> None:
    hidden = serve_plan("secret", small_plan(seed=2)).fingerprint
    unknown = "ab" * 32
    answers = [mixing.predict(b"", plan).json() for plan in (hidden, unknown)]
    assert [a["code"] for a in answers] == ["other_version"] * 2
    assert answers[0]["error"].replace(hidden[:12], unknown[:12]) == answers[1]["error"]


def test_another_version(mixing: Mixing, served: ServedModel) -> None:
    gone = make_owner(serve_plan("small", small_plan(seed=5)).public)
    body = gone.request(mixing.key_id)
    for plan in (None, gone.plan.fingerprint, served.fingerprint):
        answer = mixing.predict(body, plan)
        refused(answer, Code.OTHER_VERSION, served.fingerprint[:12])
        assert gone.plan.fingerprint[:12] in answer.json()["error"]
    refused(mixing.predict(body, "not a fingerprint"), Code.OTHER_VERSION, "fetch the public plan again")


def test_other_parameters(mixing: Mixing) -> None:
    """The plans have the same lengths, so that only their fingerprint tells them apart."""
    mark = mixing.small.plan.parameters.fingerprint()
    whole = (mixing.small.keys, mixing.small.request(mixing.key_id))
    keys, body = (data.replace(mark, bytes(len(mark))) for data in whole)
    answer = mixing.http.put(addresses.keys("small"), content=keys, headers=OCTETS)
    refused(answer, Code.OTHER_PARAMETERS, "made for other parameters")
    refused(mixing.predict(body), Code.OTHER_PARAMETERS, "made for other parameters")


def test_another_tenant(mixing: Mixing, served: ServedModel) -> None:
    body = mixing.small.request(mixing.key_id)
    assert mixing.predict(body, **{addresses.TENANT_HEADER: "ward"}).status_code == 200
    refused(mixing.predict(body, **{addresses.TENANT_HEADER: "bank"}), Code.OTHER_TENANT, "is of 'ward'")
    twice = [(addresses.TENANT_HEADER, "ward"), (addresses.TENANT_HEADER, "bank")]
    assert (
        mixing.http.get(addresses.public_plan("small"), headers=twice).json()["code"] == "request_ambiguous"
    )
    with live({"small": served}) as url:
        answer = httpx.get(
            url + addresses.public_plan("small"), headers={addresses.TENANT_HEADER: "ward"}, trust_env=False
        )
        refused(answer, Code.OTHER_TENANT, "there are no tenants here")


def test_other_keys(mixing: Mixing) -> None:
    refused(mixing.predict(mixing.small.request("ab" * 32)), Code.OTHER_KEYS, "abababababab")
