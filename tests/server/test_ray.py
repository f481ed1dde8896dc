"""The service on a cluster of Ray with two nodes, which are processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hetorch.errors import InputError
from hetorch.plan.plan import Plan
from hetorch.server.deployment import Deployment
from hetorch.server.ray_cluster import run_on_ray
from hetorch.server.settings import Settings
from hetorch.wire import addresses
from hetorch.wire.predict import load_response
from tests.cli.command import refusal, save_secure_plan, server_process
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.small_plan import expected

MODEL = "small0"
X = np.linspace(-1, 1, 8)


def test_replicas_need_a_folder_that_they_share(tmp_path: Path) -> None:
    told = refusal("serve", save_secure_plan(tmp_path), "--ray")
    assert "key_folder=" in told or "--key-folder" in told
    tls = Deployment(tls_cert=tmp_path / "a", tls_client_ca=tmp_path / "b")
    with pytest.raises(InputError, match="client certificates"):
        run_on_ray(tls, Settings(key_folder=tmp_path), print)
    with pytest.raises(InputError, match="key_share= is not for ray"):
        run_on_ray(Deployment(), Settings(key_folder=tmp_path, key_share="s3://bucket/keys"), print)


@dataclass(frozen=True, slots=True)
class OnRay:
    """A server on two nodes: its address, the second node, and an owner with uploaded keys."""

    http: httpx.Client
    cluster: Any
    second: Any
    owner: Owner
    key_id: str

    def predict(self) -> httpx.Response:
        request = self.owner.request(self.key_id, list(X))
        headers = OCTETS | {addresses.KEY_ID_HEADER: self.key_id}
        answer = self.http.post(addresses.predict(MODEL), content=request, headers=headers)
        if answer.status_code == 200:
            response = load_response(self.owner.plan, answer.content, request)
            slots = [self.owner.secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
            np.testing.assert_allclose(self.owner.plan.unpack(slots), expected(X), atol=1e-4)
        return answer


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnRay]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "120")  # 5 s are short on a busy machine
        yield from _on_ray(tmp_path_factory)


def _on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnRay]:
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("ray")
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    second = cluster.add_node(**node)
    plan = save_secure_plan(folder)
    owner = make_owner(Plan.load(plan).public())
    options = ["--ray", "--ray-address", cluster.address, "--ray-replicas", "2", "--workers", "1"]
    try:
        with (
            server_process([plan], folder, *options, "--key-folder", str(folder / "keys"), seconds=400) as (
                url,
                _,
            ),
            httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
        ):
            answer = http.put(addresses.keys(MODEL), content=owner.keys, headers=OCTETS)
            assert answer.status_code == 200, answer.text
            yield OnRay(http, cluster, second, owner, answer.json()["key_id"])
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_nodes_answer_alike_and_one_is_lost(on_ray: OnRay) -> None:
    """Both replicas find the keys that one of them took. When a node is killed, the other one goes on."""
    import ray
    from ray import serve

    ray.init(address=on_ray.cluster.address, log_to_driver=False, configure_logging=False)
    try:
        deployment = serve.status().applications["hetorch"].deployments["hetorch"]
    finally:
        ray.shutdown()
    assert deployment.replica_states == {"RUNNING": 2}  # each takes the one processor of a node
    for _ in range(20):
        assert on_ray.predict().status_code == 200
        assert "\nhetorch_secret_modules 0.0\n" in on_ray.http.get(addresses.METRICS).text
    on_ray.cluster.remove_node(on_ray.second, allow_graceful=False)
    deadline, answered = time.monotonic() + 120, 0
    while answered < 20:  # what the lost replica had is refused or broken off, and asked again
        assert time.monotonic() < deadline
        try:
            answered += on_ray.predict().status_code == 200
        except httpx.TransportError:
            time.sleep(0.2)
