"""The whole service as processes: two tenants, three models, concurrent clients over mutual TLS, and a stranger."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client
from hetorch.errors import HetorchError, RemoteError
from tests.cli.command import hetorch, save_secure_plan, server_process
from tests.server.audit_lines import audit_lines
from tests.server.certificates import Authority, Signed
from tests.server.small_plan import expected

MODELS = {"ward": ("small0", "small1"), "bank": ("small1", "small2")}
"""The models that the token of each tenant may use."""
STRANGERS = 300


@dataclass(frozen=True, slots=True)
class Whole:
    """A running server, and what its clients need."""

    url: str
    folder: Path
    root: Path
    certificates: dict[str, Signed]
    tokens: dict[str, str]

    def client(self, tenant: str, model: str, vault: str) -> Client:
        return Client(
            self.url,
            model=model,
            token=self.tokens[tenant],
            verify=self.root,
            cert=self.certificates[tenant].both,
            vault=self.folder / vault,
        )

    def http(self, tenant: str) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.root)
        context.load_cert_chain(self.certificates[tenant].both)
        headers = {"Authorization": f"Bearer {self.tokens[tenant]}"}
        return httpx.Client(base_url=self.url, verify=context, headers=headers, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    authority = Authority(folder, "hospital")
    ours = authority.sign("server")
    certificates = {tenant: authority.sign(tenant) for tenant in MODELS}
    tokens = {}
    for tenant, models in MODELS.items():
        scope = [word for model in models for word in ("--model", model)]
        hetorch("token", "add", folder / "tokens.json", tenant, *scope, "-o", folder / f"{tenant}.token")
        tokens[tenant] = (folder / f"{tenant}.token").read_text().strip()
    (folder / "tenants.toml").write_text('concurrent_requests = 32\nbytes_per_day = "10 GB"\n')
    plans = [save_secure_plan(folder, seed) for seed in (0, 1)]
    hetorch("models", "add", folder / "models", save_secure_plan(folder, 2))
    options = {
        "--models-folder": folder / "models",
        "--tokens": folder / "tokens.json",
        "--tenants": folder / "tenants.toml",
        "--audit-log": folder / "audit.jsonl",
        "--tls-cert": ours.certificate,
        "--tls-key": ours.key,
        "--tls-client-ca": authority.root,
        "--key-folder": folder / "keys",
        "--connections": "64",
    }
    words = [str(word) for pair in options.items() for word in pair]
    with server_process(plans, folder, *words, seconds=120) as (url, _):
        yield Whole(url, folder, authority.root, certificates, tokens)


def right(whole: Whole, tenant: str, model: str, user: int) -> bool:
    """Predict a few samples as one user, with a vault of the user's own."""
    numbers = np.random.default_rng(user)
    with whole.client(tenant, model, f"vault-{tenant}-{user}") as client:
        for _ in range(3):
            x = numbers.uniform(-1, 1, 8)
            if np.abs(client.predict(x) - expected(x, int(model[-1]))).max() > 1e-3:
                return False
    return True


def everyone(whole: Whole) -> None:
    """Let two users of each tenant use both of its models, all at once."""
    users = [
        (tenant, model, user) for tenant, models in MODELS.items() for model in models for user in (1, 2)
    ]
    with ThreadPoolExecutor(len(users)) as pool:
        assert all(pool.map(lambda user: right(whole, *user), users))


def test_two_tenants_with_three_models_at_once(whole: Whole) -> None:
    everyone(whole)
    predictions = 2 * 2 * 2 * 3
    lines = audit_lines(
        whole.folder / "audit.jsonl",
        predictions,
        lambda line: line["path"].endswith("/predict") and line["status"] == 200,
    )
    assert {(line["tenant"], line["token"]) for line in lines} == {("ward", "ward"), ("bank", "bank")}
    assert all(str(line["tenant"]) in json.dumps(line["certificate"]) for line in lines)
    answered = [line for line in lines if line["path"].endswith("/predict") and line["status"] == 200]
    assert len(answered) == predictions
    written = (whole.folder / "audit.jsonl").read_text() + (whole.folder / "server.log").read_text()
    assert not any(token in written for token in whole.tokens.values())


def test_no_tenant_reaches_what_is_anothers(whole: Whole) -> None:
    """Both may use small1, and the bank knows the key ids of the ward."""
    with whole.client("ward", "small1", "vault-ward-1") as client:
        client.prepare()
        key_id = client.make_keys().key_id
    with whole.http("ward") as ward, whole.http("bank") as bank:
        path = f"/v1/models/small1/keys/{key_id}"
        assert ward.get(path).status_code == 200
        assert (bank.get(path).status_code, bank.get(path).json()["code"]) == (404, "keys_missing")
        assert bank.delete(path).json()["code"] == "keys_missing"
        assert ward.get(path).status_code == 200
        names = {
            name: {m["name"] for m in http.get("/v1/models").json()["models"]}
            for name, http in (("ward", ward), ("bank", bank))
        }
        assert names == {tenant: set(models) for tenant, models in MODELS.items()}
        assert bank.get("/v1/models/small0").json()["code"] == "forbidden"
        assert bank.get("/metrics").json()["code"] == "forbidden"


def test_a_stranger_who_floods_stops_nobody(whole: Whole) -> None:
    """Connections without a handshake, handshakes without a certificate, and requests without a token."""
    address = httpx.URL(whole.url)
    assert address.port is not None
    stop = threading.Event()

    def flood(source: str) -> None:
        """Open connections without end; one in ten begins a handshake that cannot succeed."""
        context = ssl.create_default_context(cafile=whole.root)
        opened: list[socket.socket] = []
        count = 0
        while not stop.is_set():
            try:
                one = socket.create_connection((address.host, address.port or 0), 5, (source, 0))
                if count % 10 == 0:
                    one.settimeout(2)
                    one = context.wrap_socket(one, server_hostname=address.host)
                    one.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
                opened.append(one)
            except OSError:
                pass
            count += 1
            while len(opened) > STRANGERS:
                opened.pop(0).close()
            stop.wait(0.002)
        for one in opened:
            one.close()

    strangers = [threading.Thread(target=flood, args=("127.0.0.66",)) for _ in range(2)]
    for thread in strangers:
        thread.start()
    try:
        everyone(whole)
    finally:
        stop.set()
        for thread in strangers:
            thread.join(30)
    log = (whole.folder / "server.log").read_text()
    assert "a connection was refused" in log and "Traceback" not in log


def test_what_an_owner_changes_holds_at_once(whole: Whole) -> None:
    """A revoked token, and a limit, of a server that runs."""
    tokens = whole.folder / "tokens.json"
    text = hetorch("token", "add", tokens, "guest", "--tenant", "guests", "--model", "small0").stdout.strip()
    (whole.folder / "tenants.toml").write_text("[guests]\nrequests_per_minute = 3\n")
    headers = {"Authorization": f"Bearer {text}"}
    with whole.http("ward") as http:
        statuses = [http.get("/v1/models", headers=headers).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        assert http.get("/v1/models").status_code == 200
        hetorch("token", "revoke", tokens, "guest")
        assert http.get("/v1/models", headers=headers).json()["code"] == "unauthorised"
    with pytest.raises(RemoteError, match=r"\[SSL|broke during"):
        Client(whole.url, token=whole.tokens["ward"], verify=whole.root, vault=whole.folder / "v")
    with pytest.raises(HetorchError, match="no TLS that can be trusted"):
        Client(whole.url, token=whole.tokens["ward"], vault=whole.folder / "v")
