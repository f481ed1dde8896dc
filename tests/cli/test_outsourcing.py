"""A server that sees neither the model nor the data, with the commands and processes of a user."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import simulate
from hetorch.client import Client, Vault
from hetorch.plan import Plan
from tests.cli.command import hetorch as run
from tests.cli.command import refusal, server_process
from tests.cli.recording_proxy import recording_proxy
from tests.cli.secret_traces import found_in
from tests.server.process_memory import memory_of, tree
from tests.server.scrape import scrape_url

X = np.random.default_rng(0).uniform(-1, 1, (3, 24))


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


@dataclass(frozen=True)
class Outsourced:
    """The model's owner has the module and the whole plan; the server runs on the public folder."""

    module: nn.Module
    plan: Plan
    whole: Path
    public: Path
    url: str
    keys: Path
    process: subprocess.Popen[str]

    def wrong_by(self, found: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        """Return the error against the module itself, as a share of the error that the plan promises."""
        with torch.no_grad():
            expected = self.module(torch.from_numpy(X).float()).double().numpy()
        report = self.plan.report
        bound = (report.predicted_error + report.approximation_error) * report.output_range
        return float(np.abs(found - expected).max() / bound)

    def weight_traces(self) -> dict[str, bytes]:
        """Return runs of 24 bytes of the module's and the plan's numbers, as they would lie in memory or in a file;
        runs with a zero are left out, because a zero is not secret."""
        arrays = [p.detach().numpy() for p in self.module.parameters()]
        arrays += [a for a in self.plan.weights.values() if a.dtype == np.float64]
        found: dict[str, bytes] = {}
        for index, array in enumerate(arrays):
            for kind, count in (("<f4", 6), ("<f8", 3)):
                rows = array.astype(kind).reshape(-1)[: array.size // count * count].reshape(-1, count)
                for row in rows[np.all(rows != 0, axis=1)][:40]:
                    found[f"{index}, {kind}, {len(found)}"] = row.tobytes()
        return found


@pytest.fixture(scope="module")
def outsourced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outsourced]:
    folder = tmp_path_factory.mktemp("outsourced")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(24, 12), Square(), nn.Linear(12, 5)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = hetorch.compile(
            module,
            torch.rand(200, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1,
            weights="encrypted",
        )
    whole, public = folder / "whole.hetorch", folder / "net.hetorch"
    plan.save(whole)
    run("without-weights", whole, "-o", public)
    keys = folder / "keys"
    with server_process([public], folder, "--key-folder", str(keys)) as (url, process):
        yield Outsourced(module, plan, whole, public, url, keys, process)


def test_two_commands_for_who_owns_model_and_data(outsourced: Outsourced, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    given = ("predict", outsourced.url, tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    message = refusal(*given, vault=tmp_path / "vault")
    assert "`hetorch upload-weights`" in message and not (tmp_path / "y.npy").exists()
    run(*given, "--weights", outsourced.whole, vault=tmp_path / "vault")
    assert outsourced.wrong_by(np.load(tmp_path / "y.npy")) < 1
    run(*given, vault=tmp_path / "vault")  # the server has them now
    assert outsourced.wrong_by(np.load(tmp_path / "y.npy")) < 1


def test_three_parties_by_their_commands(outsourced: Outsourced, tmp_path: Path) -> None:
    vault, key, weights = tmp_path / "vault", tmp_path / "mine.key", tmp_path / "net.weights"
    run("public-key", outsourced.url, "-o", key, vault=vault)
    made = run("encrypt-weights", outsourced.whole, "--public-key", key, "-o", weights, "--json")
    assert json.loads(made.stdout)["bytes"] == weights.stat().st_size
    sent = json.loads(run("upload-weights", outsourced.url, weights, "--json").stdout)
    np.save(tmp_path / "x.npy", X)
    run("predict", outsourced.url, tmp_path / "x.npy", "-o", tmp_path / "y.npy", vault=vault)
    found = np.load(tmp_path / "y.npy")
    assert outsourced.wrong_by(found) < 1
    exact = simulate(outsourced.plan, X)
    report = outsourced.plan.report
    assert np.abs(found - exact).max() < 2 * report.predicted_error * report.output_range
    with Client(outsourced.url, vault=vault) as client:
        assert client.make_keys().key_id == sent["key_id"]
    again = run("upload-weights", outsourced.url, outsourced.whole, "--json", vault=vault)
    assert json.loads(again.stdout) == sent


def test_the_server_never_has_a_weight_in_clear(outsourced: Outsourced, tmp_path: Path) -> None:
    """They are not on the wire, in its plan, in its stored files, or in its memory after it has computed."""
    traces = outsourced.weight_traces()
    whole = b"".join(path.read_bytes() for path in outsourced.whole.iterdir())
    assert len(found_in(whole, traces)) > 20  # the search finds weights that are there
    vault = Vault(tmp_path / "vault")
    with (
        recording_proxy(outsourced.url) as wire,
        Client(wire.address, vault=vault, weights=outsourced.plan) as client,
    ):
        assert outsourced.wrong_by(client.predict(X)) < 1
        size = client.plan.encrypted_weight_bytes
    assert len(wire.sent) > size // 2 > 100_000
    assert found_in(wire.everything, traces) == []
    assert found_in(b"".join(path.read_bytes() for path in outsourced.public.iterdir()), traces) == []
    stored = [path for path in outsourced.keys.rglob("*") if path.is_file()]
    assert sum(path.suffix == "" for path in stored) >= 2  # the keys and the weights, beside the catalogue
    assert found_in(b"".join(path.read_bytes() for path in stored), traces) == []
    memory = b"".join(memory_of(pid) for pid in tree(outsourced.process.pid))
    assert outsourced.plan.public().fingerprint.encode() in memory  # the search sees the server's objects
    assert found_in(memory, traces) == []
    metrics = scrape_url(outsourced.url)
    assert metrics("weights_held") >= 1 and metrics("secret_modules") == 0 and metrics.has("secret_modules")


def test_inspect_tells_that_weights_are_needed(outsourced: Outsourced) -> None:
    needed = outsourced.plan.public().encrypted_weight_bytes
    document = json.loads(run("inspect", outsourced.url, "--json").stdout)
    assert document["encrypted_weight_bytes"] == needed
    for folder, withheld in ((outsourced.whole, False), (outsourced.public, True)):
        document = json.loads(run("inspect", folder, "--json").stdout)
        assert (document["encrypted_weight_bytes"], document["weights_withheld"]) == (needed, withheld)
        assert document["fingerprint"] == outsourced.plan.public().fingerprint
    assert "not in this plan" in run("inspect", outsourced.public).stdout


def test_refusals_say_what_to_do(outsourced: Outsourced, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    assert "hetorch without-weights" in refusal("serve", outsourced.whole, "--port", 0)
    assert "--engine native" in refusal("serve", outsourced.public, "--engine", "seal", "--port", 0)
    key, noise = tmp_path / "mine.key", tmp_path / "noise"
    run("public-key", outsourced.whole, "-o", key, vault=vault)  # from the plan, the same as from the server
    noise.write_bytes(b"x" * 200)
    output = ("-o", tmp_path / "net.weights")
    encrypt = ("encrypt-weights", outsourced.whole, "--public-key")
    assert "no hetorch message" in refusal(*encrypt, noise, *output)
    assert "cannot read" in refusal(*encrypt, tmp_path / "none", *output)
    withheld = refusal("encrypt-weights", outsourced.public, "--public-key", key, *output)
    assert "without its weights" in withheld
    assert "no hetorch message" in refusal("upload-weights", outsourced.url, noise)
    assert "expected a message of kind encrypted_weights" in refusal("upload-weights", outsourced.url, key)
    assert "would be lost" in refusal("without-weights", outsourced.whole, "-o", outsourced.whole)
    assert "give the whole plan" in refusal("upload-weights", outsourced.url, outsourced.public, vault=vault)
