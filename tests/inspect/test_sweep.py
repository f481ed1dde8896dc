"""Sweeps: the figures of each configuration, what is kept of an interrupted one, and what is refused."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, r2_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hetorch
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InputError, MissingPackageError, StorageError
from hetorch.inspect import load_sweep, sweep
from hetorch.inspect.sweeps import sweep as sweep_module
from hetorch.inspect.sweeps.digest import digest
from hetorch.inspect.sweeps.metrics import METRICS, front
from hetorch.inspect.sweeps.result import Sweep
from hetorch.inspect.sweeps.row import Row, row_from_bytes
from hetorch.inspect.sweeps.table import MARK

GRID: dict[str, Any] = {"ring_degree": [2048, 8192], "activation_degree": [2, 4], "precision": 1e-3}
"""Four configurations; those of the small ring have no room for an activation."""


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.SiLU(), nn.Linear(6, 2)).eval()


@functools.cache
def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(600, 4, generator=torch.Generator().manual_seed(1))
    return x, (x[:, 0] > x[:, 1]).long()


@functools.cache
def swept() -> Sweep:
    x, y = data()
    return sweep(net(), x, y, **GRID)


def test_figures_of_a_configuration_are_those_of_its_plan() -> None:
    x, y = data()
    row = swept()[3]
    assert dict(row.options) == {"ring_degree": 8192, "activation_degree": 4, "precision": 1e-3}
    plan = hetorch.compile(net(), x[:512], ring_degree=8192, activation_degree=4, precision=1e-3)
    noisy = hetorch.simulate(plan, x, seed=0)
    with torch.no_grad():
        clear = net()(x).numpy()
    span = plan.report.output_range
    # The model computes in single precision.
    assert row.error == pytest.approx(np.abs(noisy - clear).max() / span, abs=1e-6)
    assert row.accuracy == pytest.approx(accuracy_score(y, noisy.argmax(1)))
    assert row.accuracy_clear == pytest.approx(accuracy_score(y, clear.argmax(1)))
    assert row.agreement == pytest.approx(np.mean(noisy.argmax(1) == clear.argmax(1)))
    noise = noisy - hetorch.simulate(plan, x, noise=False)
    assert row.precision_bits == pytest.approx(-np.log2(np.sqrt(np.mean(noise**2)) / span))
    assert row.key_bytes == plan.public().evaluation_key_bytes and row.levels == plan.parameters.max_level
    assert row.memory_bytes == plan.report.memory_bytes
    assert row.seconds == row.predicted_seconds == plan.report.predicted_seconds
    # ePrint 2024/463, table 5.2: N = 2^13, 128 bits.
    assert (row.most_log2_qp, row.security_bits) == (214, 128) and row.security.endswith("of 214")


def test_what_does_not_compile_is_a_row_with_the_reason() -> None:
    result = swept()
    assert [row.is_compiled for row in result] == [False, False, True, True]
    assert all("no parameters fit" in reason for reason in result.refused.values())
    assert next(iter(result.refused)) == "ring_degree=2048, activation_degree=2"
    assert len(result.compiled) == 2 and result[0].seconds is None and result[0].security == ""


def test_options_that_contradict_each_other_are_a_row_too() -> None:
    result = sweep(net(), data()[0][:40], objective=["throughput"], weights=["encrypted"])
    assert "encrypted weights need" in result[0].reason


def test_the_table_as_text_html_and_in_a_terminal() -> None:
    text = str(swept())
    assert MARK not in text
    assert "Sequential: 4 configurations" in text and "the model in clear: accuracy" in text
    assert "not compiled, ring_degree=2048, activation_degree=4: no parameters fit" in text
    assert "128 bits: log2 QP" in text and "ring " not in text.splitlines()[1]
    html = swept()._repr_html_()
    assert html.count("<tr>") == 5 and "<script" not in html
    printed = io.StringIO()
    Console(file=printed, width=200).print(swept())
    assert "activation_degree" in printed.getvalue()
    assert repr(swept()) == "Sweep('Sequential': 4 configurations; print it for its table)"


def test_the_front_is_marked_in_the_table() -> None:
    lines = str(swept().table("key_bytes", "error")).splitlines()
    best = swept().pareto("key_bytes", "error").rows
    assert [line.startswith(MARK) for line in lines[3:7]] == [row in best for row in swept()]
    assert len(
        best
    ) >= 1 and "Pareto front: no other configuration is as good in evaluation keys and" in "".join(lines)
    assert MARK not in str(Sweep("net", (), (Row({}, reason="no"),)).table())
    with pytest.raises(InputError, match="needs encrypted_samples="):
        swept().table("measured_seconds")


def test_batches_and_the_choice_of_the_compiler() -> None:
    x = data()[0][:64]
    result = sweep(net(), x, batch_size=[None, 4], activation_degree=2)
    single, four = result
    assert (single.run_samples, four.run_samples) == (1, 4) and single.accuracy is None
    assert (
        four.seconds is not None
        and single.seconds is not None
        and four.seconds_per_sample == four.seconds / 4
    )
    assert "auto" in str(result) and "a sample" in str(result) and "auto" not in str(swept())


def test_encrypted_samples_are_measured() -> None:
    x, y = data()
    (row,) = sweep(net(), x, y, encrypted_samples=3, activation_degree=4, precision=1e-3)
    assert row.measured_seconds is not None and row.measured_seconds > 0
    assert row.seconds == row.measured_seconds
    # The noise of encryption is at most the precision, in this run as in the simulated one.
    assert row.error is not None and row.measured_error is not None
    assert 0 < row.measured_error <= row.error + 2e-3


def test_a_data_loader_has_the_labels() -> None:
    x, y = data()
    loader = DataLoader(TensorDataset(x, y), batch_size=50)
    (row,) = sweep(net(), loader, ring_degree=8192, activation_degree=4, precision=1e-3)
    assert row.to_dict() == swept()[3].to_dict() | {"compile_seconds": row.compile_seconds}
    (of_dataset,) = sweep(net(), TensorDataset(x, y), ring_degree=8192, activation_degree=4, precision=1e-3)
    assert of_dataset.accuracy == row.accuracy
    with pytest.raises(InputError, match="labels of its own"):
        sweep(net(), loader, y, ring_degree=8192)


def test_tables_and_targets() -> None:
    x = data()[0].numpy().astype(np.float64)
    frame = pd.DataFrame(x, columns=list("abcd"))
    targets = x @ [1.0, 2.0, 3.0, 4.0] + np.random.default_rng(0).normal(0, 0.1, len(x))
    model = LinearRegression().fit(frame, targets)
    (row,) = sweep(model, frame, targets)
    assert row.r2_clear == pytest.approx(r2_score(targets, model.predict(frame)))
    assert row.r2 == pytest.approx(row.r2_clear, abs=1e-3) and row.accuracy is None


class TwoInputs(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a * 2 + b[:, :4].square()


def test_several_inputs() -> None:
    x = data()[0]
    (row,) = sweep(TwoInputs(), (x, torch.cat([x, x], 1)), precision=1e-3)
    # Nothing is approximated: what differs is the noise.
    assert row.error is not None and 0 < row.error < 1e-3


def rows_computed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    computed: list[dict[str, Any]] = []

    def measure(study: Any, options: Any, tell: Any) -> Any:
        computed.append(dict(options))
        return kept(study, options, tell)

    kept = sweep_module.measure  # type: ignore[attr-defined]
    monkeypatch.setattr(sweep_module, "measure", measure)
    return computed


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = data()
    computed = rows_computed(monkeypatch)

    def interrupt(stage: str, done: float) -> None:
        if stage.startswith("4 of 4") and done > 0.8:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep(net(), x, y, folder=tmp_path, progress=interrupt, **GRID)
    assert len(computed) == 4 and len(load_sweep(tmp_path)) == 3
    assert not list(tmp_path.glob(".new-*"))
    computed.clear()
    again = sweep(net(), x, y, folder=tmp_path, **GRID)
    assert computed == [{"ring_degree": 8192, "activation_degree": 4, "precision": 1e-3}]
    compared = [row | {"compile_seconds": None} for row in again.to_dicts()]
    assert compared == [row | {"compile_seconds": None} for row in swept().to_dicts()]
    computed.clear()
    wider = sweep(net(), x, y, folder=tmp_path, **(GRID | {"activation_degree": [2, 3, 4]}))
    assert [options["activation_degree"] for options in computed] == [3, 3] and len(wider) == 6
    loaded = load_sweep(tmp_path)
    assert loaded.varied == ("ring_degree", "activation_degree")
    assert [tuple(row.options.values())[:2] for row in loaded] == list(
        itertools.product((2048, 8192), (2, 3, 4))
    )


@pytest.mark.parametrize("what", ["model", "samples", "labels", "seed"])
def test_another_study_is_computed_anew(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data()
    options: dict[str, Any] = {"ring_degree": 2048, "activation_degree": 2, "folder": tmp_path}
    computed = rows_computed(monkeypatch)
    sweep(net(), x, y, **options)
    sweep(net(), x.clone(), y.clone(), **options)
    assert len(computed) == 1
    sweep(
        net(1 if what == "model" else 0),
        x * 0.5 if what == "samples" else x,
        1 - y if what == "labels" else y,
        seed=1 if what == "seed" else 0,
        **options,
    )
    assert len(computed) == 2


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    x, y = data()
    options: dict[str, Any] = {"ring_degree": 2048, "activation_degree": 2, "folder": tmp_path}
    sweep(net(), x, y, **options)
    (file,) = tmp_path.glob("*.json")
    whole = json.loads(file.read_bytes())
    for damaged, message in [
        (b"{", "no.*valid JSON"),
        (json.dumps(whole | {"levels": "three"}).encode(), "levels"),
        (json.dumps(whole | {"version": 7}).encode(), "format version 7"),
        (json.dumps(whole | {"options": [["a"]]}).encode(), "options"),
        (json.dumps(whole | {"more": 1}).encode(), "more"),
        (b" " * (1 << 21), "too large"),
    ]:
        file.write_bytes(damaged)
        with pytest.raises(StorageError, match=message) as caught:
            sweep(net(), x, y, **options)
        assert str(file) in str(caught.value) and "delete" in str(caught.value)


def test_wrong_arguments_are_told_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = data()
    computed = rows_computed(monkeypatch)
    file = tmp_path / "file"
    file.write_text("")
    cases: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
        ((x, y), {"ring_degree": [5000]}, InputError, "ring_degree must be a power of two.*5000"),
        ((x, y), {"ring_degree": []}, InputError, "list for ring_degree is empty"),
        ((x, y), {"ring_degre": [8192]}, TypeError, "did you mean ring_degree"),
        ((x, y), {"precision": np.linspace(0.1, 0.9, 200), "scale_bits": range(20, 46), "digit_size": [1, 2, 3]},
         InputError, "15600 configurations"),
        ((x, y[:5]), {}, InputError, r"labels have shape \(5,\); give one label for each of the 600"),
        ((x, y + 5), {}, InputError, "needs classes 0..1"),
        ((x[:, :3], y), {"calibration_inputs": x}, InputError, r"shape \(600, 3\)"),
        ((x[0],), {}, InputError, "|".join(["one sample", "batch", "shape"])),
        ((torch.full((40, 4), torch.nan),), {"calibration_inputs": x}, InputError, "nan"),
        ((x, y), {"encrypted_samples": -1}, InputError, "encrypted_samples must be"),
        ((x, y), {"seed": -1}, InputError, "seed"),
        ((x, y), {"folder": file}, StorageError, "is a file"),
    ]  # fmt: skip
    for arguments, options, error, message in cases:
        with pytest.raises(error, match=message):
            sweep(net(), *arguments, **options)
    assert computed == []
    with pytest.raises(StorageError, match="there is no folder"):
        load_sweep(tmp_path / "none")


def test_signature_and_progress_name_every_option() -> None:
    import inspect

    assert set(CompileOptions.model_fields) <= set(inspect.signature(sweep).parameters)
    told: list[tuple[str, float]] = []
    x = data()[0][:40]
    sweep(net(), x, ring_degree=[2048], activation_degree=2, progress=lambda *stage: told.append(stage))
    assert told[0] == ("reading the model", 0.0) and told[-1] == ("1 of 1 (ring_degree=2048): done", 1.0)
    assert [done for _, done in told] == sorted(done for _, done in told)


def test_no_figure_is_called_like_an_option() -> None:
    assert not {part.name for part in fields(Row)} & set(CompileOptions.model_fields)
    assert all(hasattr(Row, name) for name in METRICS)


def test_csv_holds_what_the_dataframe_holds(tmp_path: Path) -> None:
    frame = swept().to_dataframe()
    swept().to_csv(tmp_path / "sweep.csv")
    with (tmp_path / "sweep.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["error"]) if line["error"] else None for line in lines] == [
        row.error for row in swept()
    ]
    read = pd.read_csv(tmp_path / "sweep.csv")
    assert list(read.columns) == list(frame.columns) and read["ring_degree"].tolist() == [
        2048,
        2048,
        8192,
        8192,
    ]
    with pytest.raises(StorageError, match="cannot write"):
        swept().to_csv(tmp_path / "none" / "sweep.csv")


def test_without_pyarrow_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pyarrow.*pip install 'hetorch\[notebook\]'"):
        swept().to_parquet(tmp_path / "sweep.parquet")


def test_parquet(tmp_path: Path) -> None:
    mixed = Sweep(
        "net", ("ring_degree",), (written(1.0, 2.0), Row({"security": None, "ring_degree": "none"}))
    )
    mixed.to_parquet(tmp_path / "sweep.parquet")
    assert pd.read_parquet(tmp_path / "sweep.parquet")["error"].tolist()[0] == 2.0


def written(seconds: float | None, error: float | None, **figures: Any) -> Row:
    return Row({}, predicted_seconds=seconds, error=error, **figures)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points: Sequence[tuple[int, int]]) -> None:
    rows = [written(float(a), None, accuracy=float(b)) for a, b in points]
    best = {(row.seconds, row.accuracy) for row in front(rows, ("seconds", "accuracy"))}
    # A point is on the front if no faster one is as accurate, and no equally fast one more accurate.
    expected = {
        (a, b) for a, b in points if not any((c < a and d >= b) or (c == a and d > b) for c, d in points)
    }
    assert best == expected
    times = [row.seconds or 0.0 for row in front(rows, ("seconds", "accuracy"))]
    assert times == sorted(times)


def test_a_front_of_what_is_known() -> None:
    result = Sweep("net", (), (written(1.0, 2.0), written(2.0, None), Row({}, reason="no")))
    assert [row.seconds for row in result.pareto()] == [1.0]
    with pytest.raises(InputError, match="'accuracy'; it needs labels="):
        result.pareto("seconds", "accuracy")
    with pytest.raises(InputError, match="'speed' is no figure of a sweep; the figures are accuracy"):
        result.pareto("speed")
    with pytest.raises(InputError, match="no configuration was compiled"):
        Sweep("net", (), (Row({}, reason="no"),)).pareto()
    with pytest.raises(InputError, match="no configuration has ring_degree=1"):
        swept().where(ring_degree=1)
    assert len(swept().where(ring_degree=8192)) == 2


def test_a_row_survives_its_bytes() -> None:
    for row in swept():
        again = row_from_bytes(row.to_bytes(), "row")
        assert again.to_dict() == row.to_dict() and dict(again.options) == dict(row.options)


def test_the_digest_sees_every_part() -> None:
    parts: list[Any] = [
        None, 0, 0.0, "0", False, (0,), (0, 0), {"a": 0}, np.zeros(2), np.zeros(3), np.zeros(2, np.float32), b"0",
        CompileOptions, (("a", "b"),), ("ab",), ("a", "b"),
    ]  # fmt: skip
    digests = [digest(part) for part in parts if part is not CompileOptions]
    assert len(set(digests)) == len(digests)
    assert digest(np.float64(0)) == digest(0.0) and digest([0]) == digest((0,))
    with pytest.raises(TypeError, match="no digest of ModelMetaclass"):
        digest(CompileOptions)
