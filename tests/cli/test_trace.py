"""`hetorch trace`: the table, the figures and the timeline of an inference, and what is wrong with it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from hetorch.inspect import trace
from hetorch.params import ParameterSet
from hetorch.plan import Plan
from tests.cli.command import refusal
from tests.cli.in_process import invoke as run
from tests.inspect.branched_plan import inputs, plan
from tests.server.small_plan import outsourced_plan

NET = """
import copy
from tests.inspect.branched_plan import model
def other():
    net = copy.deepcopy(model())
    net.out.weight.data.mul_(-1)
    return net
"""
SECURE = ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced")
    plan().save(folder / "plan")
    np.save(folder / "x.npy", inputs().numpy()[:20])
    (folder / "net.py").write_text(NET)
    return folder


def test_a_trace_runs_on_ciphertexts_and_compares_with_the_model(folder: Path) -> None:
    ask = ("trace", folder / "plan", "--input", folder / "x.npy", "--model", f"{folder / 'net.py'}:model")
    shown = run(*ask, "--perfetto", folder / "t.json")
    assert shown.stdout.startswith("Branched: 16 samples, encrypted")
    assert "error" in shown.stdout.splitlines()[1] and "outputs: at most" in shown.stdout
    assert "the first 16 of 20 samples; --samples takes more" in shown.stderr
    events = json.loads((folder / "t.json").read_text())["traceEvents"]
    assert {"measured: one run on ciphertexts", "predicted by the plan"} <= {
        e["args"].get("name") for e in events
    }
    assert (folder / "t.json").stat().st_mode & 0o777 == 0o600


def test_json_and_csv_have_the_figures_of_python(folder: Path) -> None:
    ask = (
        "trace",
        folder / "plan",
        "--inputs",
        folder / "x.npy",
        "--run",
        "simulated",
        "--samples",
        5,
        "--seed",
        3,
    )
    expected = trace(Plan.load(folder / "plan"), inputs()[:5], run="simulated", seed=3, progress=False)
    shown = run(*ask, "--json")
    document = json.loads(shown.stdout, parse_constant=pytest.fail)
    assert shown.stderr == "" and document["samples"] == 5
    for row, layer in zip(document["layers"], expected.layers, strict=True):
        assert layer.noise is not None
        assert (row["name"], row["noise_worst"]) == (layer.name, layer.noise.worst)
    rows = list(csv.DictReader(io.StringIO(run(*ask, "--csv").stdout)))
    assert [row["name"] for row in rows] == [layer.name for layer in expected.layers]
    highs = [layer.cleartext.high for layer in expected.layers if layer.cleartext is not None]
    assert [float(row["cleartext_high"]) for row in rows] == highs


def test_a_diagnosis_says_what_is_wrong_with_the_command_that_mends_it(folder: Path) -> None:
    ask = ("trace", folder / "plan", "--input", folder / "x.npy", "--run", "simulated", "--diagnose")
    assert "no layer diverges" in run(*ask, "--model", f"{folder / 'net.py'}:model").stdout
    wrong = run(*ask, "--model", f"{folder / 'net.py'}:other", code=1).stdout
    assert "diverges (weights)" in wrong and "hetorch compile MODEL --calibration FILE" in wrong
    assert "hetorch.compile" not in wrong
    diagnosis = json.loads(run(*ask, "--model", f"{folder / 'net.py'}:other", "--json", code=1).stdout)[
        "diagnosis"
    ]
    assert (diagnosis["ok"], diagnosis["cause"]) == (False, "weights")


def test_infinite_precision_is_null(folder: Path, tmp_path: Path) -> None:
    """Constant outputs have no noise by exact arithmetic, hence infinitely many bits."""
    np.save(tmp_path / "x.npy", np.zeros((1, 8)))
    ask = ("trace", folder / "plan", "--input", tmp_path / "x.npy", "--run", "cleartext", "--json")
    json.loads(run(*ask).stdout, parse_constant=pytest.fail)


def test_one_sample_alone(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", inputs().numpy()[0])
    shown = run("trace", folder / "plan", "--input", tmp_path / "x.npy", "--run", "cleartext").stdout
    assert shown.startswith("Branched: 1 sample, cleartext")


def test_refusals(folder: Path, tmp_path: Path) -> None:
    x = tmp_path / "x.npy"
    np.save(x, np.zeros((2, 8)))
    assert "a server shows no values" in refusal("trace", "http://127.0.0.1:9", "--input", x)
    np.save(tmp_path / "wide.npy", np.zeros((2, 9)))
    np.save(tmp_path / "none.npy", np.zeros((0, 8)))
    outsourced_plan(0, SECURE).save(tmp_path / "encrypted")
    outsourced_plan(0, SECURE).without_weights().save(tmp_path / "hidden")
    for plan_folder, file, message in (
        (folder / "plan", "wide.npy", "the model takes one sample of shape (8,)"),
        (folder / "plan", "none.npy", "sample"),
        (tmp_path / "encrypted", "x.npy", 'run="simulated"'),
        (tmp_path / "hidden", "x.npy", "without its weights"),
        (tmp_path / "no plan", "x.npy", "there is no plan folder"),
    ):
        assert message in run("trace", plan_folder, "--input", tmp_path / file, code=1).stderr
    for arguments in (("--run", "fast"), ("--samples", 0), ("--csv", "--json"), ("--csv", "--diagnose")):
        assert run("trace", folder / "plan", "--input", x, *arguments, code=2).stderr
    assert run("trace", folder / "plan", code=2).stderr
