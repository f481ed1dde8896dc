"""The limits of tenants over HTTP: 429 with a time, in the audit log and the metrics, and nobody else is refused."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hetorch.errors import InputError, StorageError
from hetorch.server.settings import Settings
from hetorch.server.tenants_file import TenantsFile, load_tenants
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.models import ServedModel
from hetorch.serving.tenant_limits import TenantLimits
from hetorch.wire import addresses
from tests.server.audit_lines import audit_lines
from tests.server.conftest import OCTETS, Owner
from tests.server.live import live
from tests.server.scrape import scrape


@pytest.fixture
def clients(served: ServedModel, tmp_path: Path) -> Iterator[dict[str, httpx.Client]]:
    """Clients of the tenants "ward", with 5 requests a minute and 100 kB a day, and "bank" and "watch"."""
    issued = {name: issue(name, name, operator=name == "watch") for name in ("ward", "bank", "watch")}
    save_tokens(tmp_path / "tokens", [token for _, token in issued.values()])
    (tmp_path / "tenants").write_text('[ward]\nrequests_per_minute = 5\nbytes_per_day = "100 kB"\n')
    settings = Settings(
        tokens=tmp_path / "tokens", tenants=tmp_path / "tenants", audit_log=tmp_path / "audit"
    )
    with live({"small": served}, settings) as url, contextlib.ExitStack() as stack:
        clients = {}
        for name, (text, _) in issued.items():
            headers = {"Authorization": f"Bearer {text}"}
            http = httpx.Client(base_url=url, trust_env=False, timeout=30, headers=headers)
            clients[name] = stack.enter_context(http)
        yield clients


def refused(answer: httpx.Response) -> int:
    """Return the seconds of a refusal."""
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_exceeded"), answer.text
    return int(answer.headers["retry-after"])


def test_a_tenant_beyond_its_limits_is_refused_and_others_are_not(
    clients: dict[str, httpx.Client], owner: Owner, tmp_path: Path
) -> None:
    ward, bank = clients["ward"], clients["bank"]
    began = time.monotonic()
    plan = ward.get(addresses.public_plan("small"))
    assert plan.status_code == 200
    assert len(owner.keys) > 100_000
    # The plan has been sent, and the keys are more than a day's bytes.
    answer = ward.put(addresses.keys("small"), content=owner.keys, headers=OCTETS)
    assert refused(answer) >= len(plan.content) * 86400 // 100_000
    # Refused without its body; so the tenant asks on, four more times.
    assert [ward.get(addresses.MODELS).status_code for _ in range(4)] == [200] * 4
    times = {refused(ward.get(addresses.MODELS)) for _ in range(20)}
    # Five a minute: the next one is free 12 s after the first of them, or a little later with jitter.
    assert min(times) >= math.floor(12 - (time.monotonic() - began)) and max(times) <= 19 and len(times) > 1
    assert ward.get(addresses.LIVE).status_code == 200
    # What is asked about a job belongs to a prediction that was counted.
    assert [ward.get(addresses.job("x" * 43)).status_code for _ in range(20)] == [404] * 20
    assert bank.put(addresses.keys("small"), content=owner.keys, headers=OCTETS).status_code == 200
    assert [bank.get(addresses.MODELS).status_code for _ in range(20)] == [200] * 20
    assert scrape(clients["watch"])("rate_exceeded_total") == 21
    lines = audit_lines(tmp_path / "audit", 21, lambda line: line["status"] == 429)
    limited = [(line["tenant"], line["outcome"]) for line in lines if line["status"] == 429]
    assert limited == [("ward", "refused")] * 21


def test_a_body_without_a_declared_length_is_stopped(clients: dict[str, httpx.Client]) -> None:
    answer = clients["ward"].put(addresses.keys("small"), content=iter([b"x" * 60_000] * 3), headers=OCTETS)
    refused(answer)


def test_the_file_of_limits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(
        'requests_per_minute = 60\n[ward]\nbytes_per_day = "2 GB"\n[bank]\nrequests_per_minute = 5\n'
    )
    everyone, single = load_tenants(path)
    assert everyone == TenantLimits(requests_per_minute=60)
    assert single == {"ward": TenantLimits(60, 2 * 10**9), "bank": TenantLimits(5)}
    file = TenantsFile(path)
    assert file.limits("ward") == TenantLimits(60, 2 * 10**9) and file.limits("other") == everyone
    path.write_text("concurrent_requests = 4\n")
    assert file.limits("ward") == TenantLimits(concurrent_requests=4)
    path.write_text("concurrent_requests = 0\n")
    assert file.limits("ward") == TenantLimits(concurrent_requests=4)
    assert "stay as they were" in caplog.text and "at least 1" in caplog.text
    os.remove(path)
    assert file.limits("ward") == TenantLimits(concurrent_requests=4)
    with pytest.raises(StorageError, match="cannot read the limits"):
        TenantsFile(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("requests = 5", "unknown limit 'requests'; there are requests_per_minute"),
        ('["a b"]\n', "'a b' is not the name of a tenant"),
        ("[ward]\nbytes_per_day = 5", "'ward': 'bytes_per_day' must be a size with its unit"),
        ("[ward]\nrequests_per_minute = 0", "'requests_per_minute' must be at least 1"),
        ("[ward.more]\nx = 1", "unknown limit 'more'"),
        ("x", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_told(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(InputError) as caught:
        load_tenants(tmp_path / "t")
    assert sentence in str(caught.value)


def test_limits_need_tokens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tenants= needs tokens="):
        Settings(tenants=tmp_path)
