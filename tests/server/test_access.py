"""API tokens over real sockets: two tenants with two models, wrong tokens, and no token in what a server writes."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hetorch.errors import InputError, StorageError
from hetorch.server.access import TokenFile
from hetorch.server.settings import Settings
from hetorch.server.tokens import TokenTable, issue, load_tokens, save_tokens
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire import addresses
from tests.server.audit_lines import audit_lines
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.small_plan import outsourced_plan, small_plan


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server with tokens: of tenant "ward" for "small" and "hidden", of "bank" for "other" and "hidden", of an
    operator, and an expired one."""

    url: str
    file: Path
    audit: Path
    texts: dict[str, str]

    def http(self, name: str | None) -> httpx.Client:
        headers = {} if name is None else {"Authorization": f"Bearer {self.texts.get(name, name)}"}
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30, headers=headers)


@pytest.fixture
def guarded(served: ServedModel, tmp_path: Path) -> Iterator[Guarded]:
    past = datetime.now(UTC) - timedelta(seconds=1)
    issued = {
        "ward": issue("ward", "ward", ["small", "hidden"]),
        "ward-too": issue("ward-too", "ward", ["small"]),
        "bank": issue("bank", "bank", ["other", "hidden"]),
        "operator": issue("operator", "operator", operator=True),
        "expired": issue("expired", "ward", expires=past),
    }
    file, audit = tmp_path / "tokens.json", tmp_path / "audit.jsonl"
    save_tokens(file, [token for _, token in issued.values()])
    models = {
        "small": served,
        "other": serve_plan("other", small_plan(seed=1)),
        "hidden": serve_plan("hidden", outsourced_plan().without_weights()),
    }
    settings = Settings(tokens=file, audit_log=audit, key_folder=tmp_path / "keys")
    with live(models, settings) as url:
        yield Guarded(url, file, audit, {name: text for name, (text, _) in issued.items()})


def upload(http: httpx.Client, model: str, owner: Owner) -> str:
    answer = http.put(addresses.keys(model), content=owner.keys, headers=OCTETS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key_id"])


def ask(http: httpx.Client, model: str, owner: Owner, key_id: str) -> httpx.Response:
    headers = OCTETS | {addresses.KEY_ID_HEADER: key_id}
    return http.post(addresses.predict(model), content=owner.request(key_id), headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_only_valid_tokens_are_let_in(guarded: Guarded) -> None:
    text = guarded.texts["ward"]
    wrong = [
        None,
        "expired",
        text[:-1],
        text + "A",
        text.swapcase(),
        hashlib.sha256(text.encode()).hexdigest(),
    ]
    for name in wrong:
        with guarded.http(name) as http:
            for path in (
                addresses.MODELS,
                addresses.METRICS,
                addresses.public_plan("small"),
                "/",
                "/v1/healthy",
            ):
                refused(http.get(path), 401, "unauthorised")
            refused(http.put(addresses.keys("small"), content=b"x", headers=OCTETS), 401, "unauthorised")
            assert http.get(addresses.LIVE).status_code == 200
    with guarded.http(None) as http:
        for header in (text, f"Basic {text}", f"Bearer{text}", f"Bearer {text} {text}"):
            refused(http.get(addresses.MODELS, headers={"Authorization": header}), 401, "unauthorised")
        twice = [("Authorization", f"Bearer {text}"), ("Authorization", f"Bearer {text}")]
        refused(http.get(addresses.MODELS, headers=twice), 400, "request_ambiguous")
        assert http.get(addresses.MODELS, headers={"Authorization": f"bearer {text}"}).status_code == 200


def test_a_token_reaches_its_models_only(guarded: Guarded, owner: Owner) -> None:
    with guarded.http("ward") as http:
        names = [model["name"] for model in http.get(addresses.MODELS).json()["models"]]
        assert names == ["small", "hidden"]
        key_id = upload(http, "small", owner)
        assert ask(http, "small", owner, key_id).status_code == 200
        for model in ("other", "none"):  # nobody learns whether there is a model
            refused(http.get(addresses.public_plan(model)), 403, "forbidden")
            refused(http.put(addresses.keys(model), content=owner.keys, headers=OCTETS), 403, "forbidden")
            refused(ask(http, model, owner, key_id), 403, "forbidden")
            refused(http.get(addresses.stored_keys(model, key_id)), 403, "forbidden")
        refused(http.get(addresses.METRICS), 403, "forbidden")
    with guarded.http("operator") as http:
        assert http.get(addresses.METRICS).status_code == 200
        assert len(http.get(addresses.MODELS).json()["models"]) == 3
        refused(http.get(addresses.public_plan("none")), 404, "model_unknown")


def test_uploads_belong_to_their_tenant(guarded: Guarded) -> None:
    """A tenant that knows the id of another one's keys learns nothing by it; the tokens of one tenant share uploads."""
    owner = make_owner(small_plan().public())
    with (
        guarded.http("ward") as ward,
        guarded.http("ward-too") as colleague,
        guarded.http("operator") as other,
    ):
        key_id = upload(ward, "small", owner)
        for http in (ward, colleague):
            assert http.get(addresses.stored_keys("small", key_id)).status_code == 200
            assert ask(http, "small", owner, key_id).status_code == 200
        refused(other.get(addresses.stored_keys("small", key_id)), 404, "keys_missing")
        refused(ask(other, "small", owner, key_id), 404, "keys_missing")
        assert scrape(other)("keys_held") == 1
        upload(other, "small", owner)
        assert ask(other, "small", owner, key_id).status_code == 200
        assert scrape(other)("keys_held") == 2


def test_the_file_is_read_again(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    tokens = load_tokens(guarded.file)
    text, late = issue("late", "late")
    with guarded.http("ward") as ward, guarded.http(text) as new:
        assert ward.get(addresses.MODELS).status_code == 200
        refused(new.get(addresses.MODELS), 401, "unauthorised")
        save_tokens(guarded.file, [*(token for token in tokens if token.name != "ward"), late])
        refused(ward.get(addresses.MODELS), 401, "unauthorised")
        assert new.get(addresses.MODELS).status_code == 200
        with caplog.at_level(logging.WARNING, "hetorch.server"):
            guarded.file.write_text("{}")
            refused(new.get(addresses.MODELS), 401, "unauthorised")
            refused(new.get(addresses.MODELS), 401, "unauthorised")
            guarded.file.unlink()
            refused(new.get(addresses.MODELS), 401, "unauthorised")
        assert len([r for r in caplog.records if "no token is valid" in r.message]) == 1  # one a minute
        save_tokens(guarded.file, tokens)
        assert ward.get(addresses.MODELS).status_code == 200


def test_the_audit_log_tells_who_did_what(
    guarded: Guarded, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    """One line each, and neither the tokens nor a byte of what they protect, in the log, the answers or the files."""
    with guarded.http("ward") as ward, guarded.http("wrong-token-0123456789") as wrong:
        key_id = upload(ward, "small", owner)
        answer = ask(ward, "small", owner, key_id)
        refused(ask(ward, "other", owner, key_id), 403, "forbidden")
        refused(wrong.get(addresses.MODELS), 401, "unauthorised")
    request = len(owner.request(key_id))
    lines = audit_lines(guarded.audit, 4)
    assert [(line["method"], line["path"], line["status"], line["outcome"]) for line in lines] == [
        ("PUT", "/v1/models/small/keys", 200, "ok"),
        ("POST", "/v1/models/small/predict", 200, "ok"),
        ("POST", "/v1/models/other/predict", 403, "refused"),
        ("GET", "/v1/models", 401, "refused"),
    ]
    assert [(line["tenant"], line["token"]) for line in lines] == [("ward", "ward")] * 3 + [(None, None)]
    assert [line["key_id"] for line in lines] == [None, key_id, key_id, None]
    assert {line["address"] for line in lines} == {"127.0.0.1"}
    assert (lines[0]["request_bytes"], lines[1]["request_bytes"]) == (len(owner.keys), request)
    assert lines[1]["response_bytes"] == len(answer.content)
    assert all(datetime.fromisoformat(line["time"]).tzinfo is not None for line in lines)
    assert guarded.audit.stat().st_mode & 0o777 == 0o600 == guarded.file.stat().st_mode & 0o777
    written = guarded.audit.read_text() + guarded.file.read_text() + caplog.text
    assert "wrong-token" not in written
    for text in guarded.texts.values():
        assert text not in written and text.removeprefix("hetorch_") not in written


def test_tokens_are_kept_as_hashes(tmp_path: Path) -> None:
    text, token = issue("a", "b", ["m"], expires=datetime.now(UTC) + timedelta(days=1))
    assert token.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert len(text.removeprefix("hetorch_")) == 43  # 256 bits in base 64
    assert text != issue("a", "b")[0]
    save_tokens(tmp_path / "t", [token])
    assert load_tokens(tmp_path / "t") == (token,)
    now = datetime.now(UTC)
    assert TokenTable([token]).find(text, now) is token
    assert TokenTable([token]).find(text, now + timedelta(days=1)) is None
    for name in ("", "a b", "a\n", "é", "x" * 65):
        with pytest.raises(InputError, match="is not the name of a"):
            issue(name, "b")
        with pytest.raises(InputError, match="is not the name of a"):
            issue("a", name)


GOOD = {
    "name": "a",
    "tenant": "b",
    "models": None,
    "operator": False,
    "created": "2026-01-01T00:00:00+00:00",
    "expires": None,
    "sha256": "0" * 64,
}


@pytest.mark.parametrize(
    "entry",
    [
        {"models": "small"},
        {"models": [1]},
        {"operator": 1},
        {"expires": "soon"},
        {"expires": "2026-01-01T00:00:00"},
        {"expires": 5},
        {"sha256": "0" * 63},
        {"sha256": None},
        {"name": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_file_of_tokens_is_refused(entry: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text(json.dumps({"hetorch_tokens": 1, "tokens": [GOOD]}))
    assert len(load_tokens(path)) == 1
    path.write_text(json.dumps({"hetorch_tokens": 1, "tokens": [GOOD | entry]}))
    with pytest.raises(StorageError, match="is not a file of tokens"):
        load_tokens(path)
    path.write_text(json.dumps({"hetorch_tokens": 1, "tokens": [GOOD, GOOD]}))
    with pytest.raises(StorageError, match="two tokens have one name"):
        load_tokens(path)
    path.write_text(json.dumps({"hetorch_tokens": 1, "tokens": [GOOD, GOOD | {"name": "b"}]}))
    with pytest.raises(StorageError, match="under two names"):
        load_tokens(path)


def test_a_file_of_tokens_that_everyone_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    text, token = issue("a", "b")
    save_tokens(path, [token])
    file = TokenFile(path)
    path.chmod(0o662)
    with pytest.raises(StorageError, match=r"may write to .* chmod 600"):
        load_tokens(path)
    assert file.find(text) is None
    path.chmod(0o644)
    assert file.find(text) == token


def test_a_file_that_could_not_be_read_for_a_moment_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may have no descriptor left just when a token is revoked."""
    path = tmp_path / "t"
    text, token = issue("a", "b")
    _, other = issue("c", "d")
    save_tokens(path, [token, other])
    file = TokenFile(path)
    save_tokens(path, [token])

    def fail(*arguments: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        assert file.find(text) is None
    assert file.find(text) == token


def test_the_time_for_a_token_does_not_grow_with_their_number() -> None:
    """A stranger's request must not cost a pass over all tokens."""
    token = issue("a", "b")[1]
    compared = 0

    class Watched(str):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    watched = TokenTable([replace(token, name=f"a{n}", sha256=Watched(f"{n:064x}")) for n in range(500)])
    assert watched.find("x", datetime.now(UTC)) is None and compared < 10


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/health/"])
def test_no_redirect_names_the_host_of_the_request(guarded: Guarded, path: str) -> None:
    with guarded.http("ward") as http:
        answer = http.get(path, headers={"Host": "evil.example"})
        refused(answer, 404, "no_such_address")
        assert "location" not in answer.headers
