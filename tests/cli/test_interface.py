"""`hetorch predict` with tables, named outputs and classes; `hetorch compile` of a pipeline on a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

import hetorch
from hetorch.cli.arrays import load_array, save_arrays
from hetorch.cli.tables import load_labels, load_samples, with_numbers
from hetorch.errors import InputError
from hetorch.params import ParameterSet
from hetorch.plan.class_scores import ClassScores
from hetorch.plan.columns import Columns
from hetorch.plan.features import Category, Feature, Number
from hetorch.plan.heads import Head
from hetorch.plan.interface import Interface
from tests.cli.command import hetorch as run
from tests.cli.command import refusal, server_process
from tests.server.small_plan import expected, small_plan

ERROR = 2.0**-18
TOWN = Category(1, ("Ulm", "Bern"), (0.0, 1.0), True, (1.0, 1.0), (0.0, 0.0))
NUMBERS = tuple(Number(0, 0.001 * i) for i in range(6))
FEATURES: tuple[Feature, ...] = (*NUMBERS, TOWN)
INTERFACES = {
    "array": Interface(Columns((), 2, FEATURES)),
    "named": Interface(heads=(Head("logits", (3,)), Head("value", (1,), 2.0))),
    "table": Interface(
        Columns(("age", "town"), 2, FEATURES),
        classes=(
            ClassScores(("a", "b"), "sigmoid", 1, offset=-1.0),
            ClassScores(("x, y", 'z"', "w"), "softmax", 3),
        ),
    ),
}
Setting = tuple[str, Path]


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("service")
    parameters = ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])
    for name, interface in INTERFACES.items():
        replace(small_plan(parameters=parameters), interface=interface).save(folder / name)
    np.save(folder / "x.npy", np.random.default_rng(0).uniform(-1, 1, (2, 8)))
    (folder / "t.csv").write_text("town,age\nUlm,20\nBern,50\n", encoding="utf-8-sig")
    with server_process([folder / name for name in INTERFACES], folder) as (url, _):
        yield url, folder


def right() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    ages, towns = np.array([20.0, 50.0]), np.eye(2)
    return expected(np.concatenate([np.outer(ages, 0.001 * np.arange(6)), towns], axis=1))


def test_outputs_by_name(setting: Setting) -> None:
    url, folder = setting
    ask = ("predict", url, folder / "x.npy", "--model", "named")
    x = np.load(folder / "x.npy")
    document = json.loads(run(*ask, "--json", vault=folder / "vault").stdout)
    assert document["shape"] == {"logits": [2, 3], "value": [2, 1]}
    assert np.abs(np.array(document["outputs"]["value"]) - 2 * expected(x)[:, 3:]).max() < 2 * ERROR
    run(*ask, "-o", folder / "y.npz", vault=folder / "vault")
    with np.load(folder / "y.npz") as arrays:
        assert sorted(arrays.files) == ["logits", "value"]
        assert np.abs(arrays["logits"] - expected(x)[:, :3]).max() < ERROR
    assert "logits: [[" in run(*ask, vault=folder / "vault").stdout
    assert "give a file .npz" in refusal(*ask, "-o", folder / "y.npy", vault=folder / "vault")
    assert "knows no classes" in refusal(*ask, "--labels", vault=folder / "vault")


def test_a_table_and_its_classes(setting: Setting) -> None:
    url, folder = setting
    ask = ("predict", url, folder / "t.csv", "--model", "table")
    document = json.loads(run(*ask, "--proba", "--json", vault=folder / "vault").stdout)
    assert np.abs(np.array(document["outputs"]["output_0"])[:, 1] - expit(right()[:, 0] - 1)).max() < ERROR
    assert document["classes"] == [["a", "b"], ["x, y", 'z"', "w"]]
    assert "probabilities of a, b:\n" in run(*ask, "--proba", vault=folder / "vault").stdout
    run(*ask, "--labels", "-o", folder / "labels.csv", vault=folder / "vault")
    labels = [["ab"[int(row[0] > 0)], ("x, y", 'z"', "w")[int(row[1:].argmax())]] for row in right()]
    with (folder / "labels.csv").open(newline="") as file:
        assert list(csv.reader(file)) == labels
    run(*ask, "-o", folder / "scores.npy", vault=folder / "vault")
    assert np.abs(np.load(folder / "scores.npy") - right()).max() < ERROR
    assert "not both" in refusal(*ask, "--labels", "--proba", vault=folder / "vault")
    (folder / "other.csv").write_text("town,height\nUlm,20\n")
    other = ("predict", url, folder / "other.csv", "--model", "table")
    assert "lacks the column age; the model does not know the column height" in refusal(
        *other, vault=folder / "vault"
    )
    named = ("predict", url, folder / "t.csv", "--model", "named")
    assert "the plan has none: remove the line" in refusal(*named, vault=folder / "vault")


def test_columns_without_names_are_taken_in_order_from_the_first_line_on(setting: Setting) -> None:
    url, folder = setting
    (folder / "rows.csv").write_text("20,Ulm\n50,Bern\n")
    (folder / "text.csv").write_text("Ulm,20\n")
    ask = ("predict", url, folder / "rows.csv", "--model", "array", "--json")
    document = json.loads(run(*ask, vault=folder / "vault").stdout)
    assert np.abs(np.array(document["outputs"]) - right()).max() < ERROR
    other = ("predict", url, folder / "text.csv", "--model", "array")
    assert "column 0 has 'Ulm' in row 0, which is no number" in refusal(*other, vault=folder / "vault")


PIPELINE = """
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

table = pd.read_csv({path!r})
parts = [("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["town"])]
model = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(table, table["age"] > 40)
"""


def test_a_pipeline_is_compiled_on_a_table(tmp_path: Path) -> None:
    rows = "\n".join(f"{'Ulm' if i % 3 else 'Bern'},{20 + i}" for i in range(40))
    (tmp_path / "t.csv").write_text(f"town,age\n{rows}\n")
    (tmp_path / "net.py").write_text(PIPELINE.format(path=str(tmp_path / "t.csv")))
    run(
        "compile",
        f"{tmp_path / 'net.py'}:model",
        "--calibration",
        tmp_path / "t.csv",
        "-o",
        tmp_path / "plan",
    )
    plan = hetorch.Plan.load(tmp_path / "plan")
    assert plan.interface.columns is not None and plan.interface.columns.names == ("town", "age")
    assert plan.interface.classes[0].labels == (False, True)
    again = ("compile", tmp_path / "plan", "--calibration", tmp_path / "t.csv", "-o", tmp_path / "p")
    assert "is a plan, which is compiled already" in refusal(*again)
    ask = ("evaluate", tmp_path / "plan", "--inputs", tmp_path / "t.csv", "--json")
    source = f"{tmp_path / 'net.py'}:model"
    result = json.loads(run(*ask, "--model", source).stdout)
    assert result["samples"] == 40 and result["noisy"]["agreement"] == 1.0


def test_labels_in_files(tmp_path: Path) -> None:
    path = tmp_path / "y.csv"
    for text in ("good\nbad\nbad\n", "credit\ngood\nbad\nbad\n"):
        path.write_text(text)
        assert load_labels(path, 3).tolist() == [["good"], ["bad"], ["bad"]]
    path.write_text("class\n2\n0\n")
    assert np.array_equal(load_labels(path, 2), [[2.0], [0.0]])


def test_text_labels_are_compared_with_those_of_the_classifier(tmp_path: Path) -> None:
    plan = small_plan(0, ParameterSet.from_bits(1 << 13, [49, 40, 40], [49]))
    classes = (ClassScores(("a", "b", "c", "d"), "softmax", 4),)
    replace(plan, interface=Interface(classes=classes)).save(tmp_path / "plan")
    x = np.random.default_rng(0).uniform(-1, 1, (20, 8))
    np.save(tmp_path / "x.npy", x)
    labels = np.array(list("abcd"))[expected(x).argmax(axis=1)].tolist()
    labels[0] = "a" if labels[0] != "a" else "b"
    (tmp_path / "y.csv").write_text("\n".join(["letter", *labels]))
    ask = ("evaluate", tmp_path / "plan", "--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.csv")
    assert json.loads(run(*ask, "--json").stdout)["compiled"]["accuracy"] == pytest.approx(0.95)


def test_tables_in_files(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('name, n\n"a, b",1\n,\n\nc,3\n')
    assert load_samples(path) == {"name": ["a, b", "", "c"], "n": ["1", "", "3"]}
    assert with_numbers({"name": ["a", ""], "n": ["1", ""]}) == {"name": ["a", None], "n": [1.0, None]}
    path.write_text("1, a\n3,b\n")
    assert np.array_equal(load_samples(path), [["1", "a"], ["3", "b"]])  # type: ignore[arg-type]
    path.write_text("1,2\n3,4\n")
    assert np.array_equal(load_samples(path), [[1, 2], [3, 4]])  # type: ignore[arg-type]
    for text, message in (
        ("a,a\n1,2\n", "names two columns alike"),
        ("a,b\n1\n", "1 values in line 2, and 2 in"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_samples(path)
    path.write_bytes(b"a,b\n\xff,\xfe\n")
    with pytest.raises(InputError, match=r"no readable \.csv"):
        load_samples(path)


def test_names_of_outputs_lead_nowhere_else(tmp_path: Path) -> None:
    save_arrays(tmp_path / "y.npz", {"../a": np.ones(2), "file": np.zeros(1)})
    with np.load(tmp_path / "y.npz") as arrays:
        assert sorted(arrays.files) == [".._a", "file"]
    with pytest.raises(
        InputError, match=r"holds 2 arrays \(\.\._a, file\); name one of them, as in .*y\.npz:\.\._a"
    ):
        load_array(tmp_path / "y.npz")
    assert load_array(tmp_path / "y.npz:file").shape == (1,)
    with pytest.raises(InputError, match="none is 'other'"):
        load_array(tmp_path / "y.npz:other")
