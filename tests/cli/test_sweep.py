"""`hetorch sweep`: lists of options, the table with its Pareto front, files of figures, and resuming."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hetorch.cli.main import VERBS, app
from hetorch.cli.option_names import OptionNames
from hetorch.compiler.options import CompileOptions
from hetorch.inspect import load_sweep, sweep
from tests.cli.command import hetorch, refusal
from tests.cli.in_process import invoke as run
from tests.inspect.test_sweep import data, net

NET = """
from tests.inspect.test_sweep import net
"""
GRID = ("--ring-degree", "2048,8192", "--activation-degree", "2, auto", "--precision", "1e-3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    x, y = data()
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "y.npy", y.numpy())
    (folder / "net.py").write_text(NET)
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> tuple[object, ...]:
    """A sweep of two configurations that compile and two that do not, with its results in a folder."""
    return (
        *("sweep", f"{folder / 'net.py'}:net", "--data", folder / "x.npy", "--labels", folder / "y.npy"),
        *("--folder", folder / "runs", *GRID),
    )


def test_the_table_marks_the_front_and_names_flags(ask: tuple[object, ...], folder: Path) -> None:
    shown = run(*ask, "--output", folder / "runs.csv").stdout
    lines = shown.splitlines()
    assert lines[0] == "Sequential: 4 configurations" and "the model in clear: accuracy" in shown
    assert [line[0] for line in lines[3:7]].count("*") >= 1
    assert "not compiled, --activation-degree auto, --ring-degree 2048: no parameters fit" in shown
    assert "activation_degree=" not in shown
    frame = pd.read_csv(folder / "runs.csv")
    assert frame["ring_degree"].tolist() == [2048, 8192, 2048, 8192]
    assert len(load_sweep(folder / "runs")) == 4


def test_the_figures_are_those_of_python(ask: tuple[object, ...], folder: Path) -> None:
    x, y = data()
    expected = sweep(net(), x, y, activation_degree=[2, None], ring_degree=[2048, 8192], precision=1e-3)
    document = json.loads(run(*ask, "--json", "--pareto", "key_bytes").stdout, parse_constant=pytest.fail)
    for row, right in zip(document["rows"], expected, strict=True):
        assert {name: row[name] for name in right.options} == dict(right.options)
        assert (row["error"], row["accuracy"], row["reason"]) == (right.error, right.accuracy, right.reason)
    best = min(row["key_bytes"] for row in document["rows"] if row["key_bytes"])
    assert [row["pareto"] for row in document["rows"]] == [
        row["key_bytes"] == best for row in document["rows"]
    ]


def test_a_finished_sweep_is_read_from_its_folder(
    ask: tuple[object, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*ask)

    def fail(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr("hetorch.inspect.sweeps.sweep.measure", fail)
    run(*ask, "--output", folder / "runs.parquet")
    assert pd.read_parquet(folder / "runs.parquet")["levels"].notna().sum() == 2


def test_measured_times_and_sizes_in_megabytes(folder: Path) -> None:
    ask = (
        "sweep",
        f"{folder / 'net.py'}:net",
        "--data",
        folder / "x.npy",
        "--activation-degree",
        2,
        "--json",
    )
    document = json.loads(run(*ask, "--measure", 2, "--key-limit", "0.001,50").stdout)
    small, large = document["rows"]
    assert (small["key_limit"], large["key_limit"]) == (1000, 50_000_000)
    assert "key_limit" in small["reason"] and large["measured_seconds"] > 0


def test_nothing_that_compiles_is_exit_code_1(folder: Path) -> None:
    ask = ("sweep", f"{folder / 'net.py'}:net", "--data", folder / "x.npy", "--ring-degree", 2048)
    assert "not compiled" in run(*ask, code=1).stdout


def test_a_table_of_columns(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    text = "\n".join(f"{a},{b},{'Ulm' if a > b else 'Bern'}" for a, b in rows)
    (tmp_path / "t.csv").write_text(f"age,height,town\n{text}\n")
    (tmp_path / "y.csv").write_text("\n".join(["label", *(str(int(a > 0)) for a, _ in rows)]))
    (tmp_path / "net.py").write_text(PIPELINE.format(path=str(tmp_path / "t.csv")))
    ask = (
        "sweep",
        f"{tmp_path / 'net.py'}:model",
        "--data",
        tmp_path / "t.csv",
        "--labels",
        tmp_path / "y.csv",
    )
    (row,) = json.loads(run(*ask, "--json").stdout)["rows"]
    assert row["accuracy_clear"] == 1.0 and row["accuracy"] >= 0.95


PIPELINE = """
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

table = pd.read_csv({path!r})
parts = [("n", StandardScaler(), ["age", "height"]), ("c", OneHotEncoder(), ["town"])]
model = make_pipeline(ColumnTransformer(parts), LogisticRegression(C=1e6)).fit(table, (table["age"] > 0).astype(int))
"""


def test_refusals_come_before_the_model_is_read(folder: Path) -> None:
    ask = ("sweep", "none.py:net", "--data", folder / "x.npy")
    for arguments, message in (
        (("--ring-degree", "8192,5000"), "--ring-degree must be a power of two"),
        (("--pareto", "speed"), "'speed' is no figure of a sweep"),
        (("--pareto", "seconds,accuracy"), "it needs --labels with the classes"),
        (("--pareto", "measured_seconds"), "it needs --measure"),
        (("--output", folder / "runs.txt"), "none of the known endings .csv, .parquet"),
        ((), "there is no file 'none.py'"),
    ):
        assert message in refusal(*ask, *arguments)
    for words in (
        ("--ring-degree", "8192,x"),
        ("--ring-degree", ""),
        ("--measure", -1),
        ("--key-limit", "nan"),
    ):
        assert hetorch(*ask, *words, code=2).stderr


def test_every_option_of_compile_is_one_of_sweep() -> None:
    assert "sweep" in VERBS
    own = OptionNames.of(app, "sweep").own
    assert all(own[name] == f"--{name.replace('_', '-')}" for name in CompileOptions.model_fields)
