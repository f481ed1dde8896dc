"""Server and client as two processes: the bytes on the wire, the modules of the server, and broken requests."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client, Vault
from hetorch.engine import _native
from hetorch.engine.codec import dump_ciphertext
from hetorch.engine.context import core_context
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet
from tests.cli.command import hetorch, refusal, save_secure_plan, server_process
from tests.cli.recording_proxy import recording_proxy
from tests.cli.secret_traces import found_in, ntt_rows, secret_traces
from tests.server.conftest import OCTETS, make_owner
from tests.server.scrape import scrape, scrape_url
from tests.server.small_plan import expected, small_plan

ERROR = 2.0**-18
Server = tuple[str, "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    plans = [save_secure_plan(folder, seed) for seed in (0, 1)]
    with server_process(plans, folder) as running:
        yield running


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("owner") / "vault")


def samples(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(count).uniform(-1, 1, (count, 8))


def check_answers(url: str, vault: Vault) -> None:
    x = samples(2)
    with Client(url, vault=vault, model="small0") as client:
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR


def test_no_secret_crosses_the_wire(server: Server, vault: Vault) -> None:
    url, _ = server
    x = samples(3)
    with recording_proxy(url) as wire, Client(wire.address, vault=vault, model="small0") as client:
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR
        parameters = client.plan.parameters
        key_bytes = client.key_bytes
    assert len(wire.sent) > key_bytes > 1_000_000
    assert len(wire.received) > 3 * client.response_bytes
    seed = vault.seed(parameters)
    traces = secret_traces(parameters, seed)
    assert found_in(wire.everything, traces) == []
    for value in (x[0].astype("<f8").tobytes(), x[0].astype("<f4").tobytes()):
        assert value not in wire.everything  # nor does an input in clear


def test_a_sample_out_of_range_is_told_once(server: Server, vault: Vault, tmp_path: Path) -> None:
    url, _ = server
    x = samples(3)
    x[1, 4] = 2.0
    np.save(tmp_path / "x.npy", x)
    command = ("predict", url, tmp_path / "x.npy", "--model", "small0")
    shown = hetorch(*command, vault=vault.path)
    (warning,) = [line for line in shown.stderr.splitlines() if "warning" in line]
    assert "by up to 50.0% of its width in 1 of 3 samples" in warning
    assert "range" not in shown.stdout
    assert json.loads(hetorch(*command, "--json", vault=vault.path).stdout)["out_of_range"] == [1]


def test_the_search_would_find_a_secret_that_is_there(server: Server, vault: Vault) -> None:
    """It finds each trace alone, hidden in noise, and the codec's own bytes of a ciphertext that holds the key."""
    parameters = ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])
    traces = secret_traces(parameters, bytes(range(32)))
    noise = np.random.default_rng(0).bytes(10_000)
    for name, trace in traces.items():
        assert name in found_in(noise + trace + noise, traces)
    assert found_in(noise, traces) == []
    key = SecretKey.generate(parameters, bytes(range(32)))
    rows = np.stack([np.stack(ntt_rows(parameters, key))] * 2)
    leaking = _native.ciphertext_of_rows(core_context(parameters), parameters.max_level, 2, 1.0, rows)
    assert "NTT row 0, packed" in found_in(dump_ciphertext(parameters, leaking), traces)


def test_the_server_process_has_no_secret_code(server: Server, vault: Vault) -> None:
    url, process = server
    check_answers(url, vault)
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "_native" in maps
    assert "_secret" not in maps
    assert "libtorch" not in maps
    metrics = scrape_url(url)
    assert metrics("secret_modules") == 0 and metrics.has("secret_modules")


def test_bad_bodies_get_a_sentence_and_the_server_goes_on(server: Server, vault: Vault) -> None:
    url, process = server
    owner = make_owner(small_plan(0, ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])).public())
    foreign = make_owner(small_plan(0).public())
    numbers = np.random.default_rng(2)
    keys_path, predict_path = "/v1/models/small0/keys", "/v1/models/small0/predict"
    with httpx.Client(base_url=url, trust_env=False) as http:
        key_id = http.put(keys_path, content=owner.keys, headers=OCTETS).json()["key_id"]
        headers = OCTETS | {"Hetorch-Key-Id": key_id}
        request = owner.request(key_id)
        flipped = bytearray(request)
        flipped[int(numbers.integers(len(request)))] ^= 4
        flipped_keys = bytearray(owner.keys)
        flipped_keys[int(numbers.integers(len(owner.keys)))] ^= 4
        other_length = foreign.request(key_id)
        refused = [
            (http.post(predict_path, content=request[:-1], headers=headers), 400),
            (http.post(predict_path, content=bytes(flipped), headers=headers), 400),
            (http.post(predict_path, content=request + bytes(10_000_000), headers=headers), 413),
            (http.post(predict_path, content=other_length, headers=headers), 400),
            (http.post("/v1/models/small1/predict", content=request, headers=headers), 409),
            (http.post("/v1/models/none/predict", content=request, headers=headers), 404),
            (http.post(predict_path, content=request, headers=headers | {"Hetorch-Key-Id": "0" * 64}), 404),
            (http.post(predict_path, content=request, headers={"Hetorch-Key-Id": key_id}), 415),
            (http.put(keys_path, content=owner.keys[:-7], headers=OCTETS), 400),
            (http.put(keys_path, content=bytes(flipped_keys), headers=OCTETS), 400),
            (http.put(keys_path, content=owner.keys + b"\0", headers=OCTETS), 413),
            (http.put(keys_path, content=foreign.keys, headers=OCTETS), 400),
        ]
        for answer, status in refused:
            assert answer.status_code == status, answer.text
            assert answer.json().keys() == {"error", "code"}
            assert "\n" not in answer.json()["error"]
        assert http.post(predict_path, content=request, headers=headers).status_code == 200
        assert scrape(http).failed == 0
    assert process.poll() is None
    check_answers(url, vault)


def test_keygen_then_predict_from_the_command_line(server: Server, tmp_path: Path) -> None:
    url, _ = server
    vault, x = tmp_path / "vault", samples(3)
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", fmt="%.17g")
    made = json.loads(hetorch("keygen", url, "--model", "small0", "--json", vault=vault).stdout)
    assert made["vault"] == str(vault)
    arguments = ("--model", "small0", "-o")
    hetorch("predict", url, tmp_path / "x.npy", *arguments, tmp_path / "y.npy", vault=vault)
    assert np.abs(np.load(tmp_path / "y.npy") - expected(x)).max() < ERROR
    assert (tmp_path / "y.npy").stat().st_mode & 0o777 == 0o600
    hetorch("predict", url, tmp_path / "x.csv", *arguments, tmp_path / "y.csv", vault=vault)
    assert np.abs(np.loadtxt(tmp_path / "y.csv", delimiter=",") - expected(x)).max() < ERROR
    result = hetorch("predict", url, tmp_path / "x.npy", "--model", "small1", "--json", vault=vault)
    document = json.loads(result.stdout)
    assert np.abs(np.array(document["outputs"]) - expected(x, seed=1)).max() < ERROR
    assert len(document["timings"]) == 3
    assert json.loads(hetorch("keygen", url, "--model", "small0", "--json", vault=vault).stdout) == made


def test_inspect_a_server(server: Server) -> None:
    url, _ = server
    document = json.loads(hetorch("inspect", url, "--model", "small1", "--json").stdout)
    assert (document["ring_degree"], document["security"]) == (8192, "128")
    assert [(group["kind"], group["count"]) for group in document["keys"]] == [
        ("relinearisation", 1),
        ("rotation", 4),
    ]
    assert sum(group["bytes"] for group in document["keys"]) == document["evaluation_key_bytes"]
    shown = hetorch("inspect", url, "--model", "small0").stdout
    assert re.search(r"^ +4 rotations +\S+ MB$", shown, re.MULTILINE)
    assert "ring degree" in shown and re.search(r"^predicted error +\S{1,9}$", shown, re.MULTILINE)
    assert re.search(r"^input range +-1, 1$", shown, re.MULTILINE)
    assert "'small0', 'small1'" in refusal("inspect", url)


def test_a_vault_that_others_can_read_is_refused(server: Server, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    vault.chmod(0o755)
    assert "chmod 700" in refusal("keygen", server[0], "--model", "small0", vault=vault)


def test_ctrl_c_ends_the_server_in_peace(tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    with server_process([plan], tmp_path) as (url, process):
        assert httpx.get(f"{url}/v1/health/live", trust_env=False).json()["status"] == "live"
    assert process.returncode == 0
    assert "Traceback" not in (tmp_path / "server.log").read_text()
