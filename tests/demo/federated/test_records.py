"""The records of the hospitals: from files in both forms in which UCI's data go around, and the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetorch.demo.federated.records import (
    FEATURES,
    HOSPITALS,
    features_of,
    read_hospitals,
    read_table,
    synthetic_table,
)
from hetorch.errors import InputError, StorageError

ROW = "63,1,4,145,233,1,2,150,0,2.3,3,0,6,0"


def write(folder: Path, text: str = f"{ROW}\n" * 20) -> Path:
    folder.mkdir(exist_ok=True)
    for name in HOSPITALS:
        (folder / f"processed.{name}.data").write_text(text)
    return folder


def test_features_by_hand() -> None:
    row = np.array([[63, 1, 4, 0, 245, np.nan, 2, 138, 0, 10, 3, 0, 6, 2]])
    records = features_of(row)
    numbers = [
        1,
        0,
        0,
        0,
        4,
        -0.7 / 0.9,
    ]  # age, no blood pressure (0 is none), cholesterol, rate, ST (cut), vessels
    flags = [0.5, 0, -0.5]
    categories = [0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0]
    assert records.features.shape == (1, FEATURES)
    np.testing.assert_allclose(records.features[0], [*numbers, *flags, *categories])
    assert records.labels.tolist() == [1.0]


@pytest.mark.parametrize(
    "text",
    [
        "X1,X2\n" + f"{ROW}\n" * 20,
        "63.0,1.0,4.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n" * 20,
        f"{ROW}\n\n" * 20,
    ],
    ids=["names", "points", "blank lines"],
)
def test_files_with_and_without_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "t").write_text(text)
    table = read_table(tmp_path / "t")
    assert table.shape == (20, 14)
    assert np.array_equal(table[3], [float(value) for value in ROW.split(",")])


def test_missing_values_in_all_forms(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("?,-9,,-9.0,nan,1,2,150,0,2.3,3,0,6,4\n" * 20)
    table = read_table(tmp_path / "t")
    assert np.isnan(table[:, :5]).all()
    assert not np.isnan(table[:, 5:]).any()
    assert np.isfinite(features_of(table).features).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n" * 20, "has 3 columns in line 1, expected 14"),
        (f"{ROW}\n" * 5 + ROW.replace("145", "high"), "line 6 that is no number"),
        (ROW[:-1] + "7\n", "diagnosis '7' in line 1"),
        (ROW[:-1] + "?\n", r"diagnosis '\?' in line 1"),
        (f"{ROW}\n" * 3, "has 3 records"),
        ("", "has 0 records"),
    ],
)
def test_wrong_files_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_hospitals(write(tmp_path / "heart", text), 0)


def test_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no folder .*nowhere"):
        read_hospitals(tmp_path / "nowhere", 0)
    folder = write(tmp_path / "heart_disease")
    assert read_hospitals(tmp_path, 0).hospitals[0].name == "cleveland"  # the folder above will do
    (folder / "processed.va.data").unlink()
    (folder / "processed.hungarian.data").unlink()
    with pytest.raises(StorageError, match=r"lacks processed\.hungarian\.data, processed\.va\.data"):
        read_hospitals(folder, 0)
    (folder / "processed.va.data").mkdir()
    (folder / "processed.hungarian.data").write_text("")
    with pytest.raises((StorageError, InputError)):
        read_hospitals(folder, 0)


def test_without_data_there_is_a_stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in (None, str(tmp_path)):
        monkeypatch.delenv("HETORCH_DATA", raising=False)
        if folder is not None:
            monkeypatch.setenv("HETORCH_DATA", folder)
        data = read_hospitals(None, 0)
        assert data.synthetic
        assert "synthetic stand-in" in data.source
    monkeypatch.setenv("HETORCH_DATA", str(write(tmp_path / "heart_disease").parent))
    assert not read_hospitals(None, 0).synthetic


def test_no_test_record_is_trained_on_and_the_seed_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETORCH_DATA", raising=False)
    data, again, other = read_hospitals(None, 1), read_hospitals(None, 1), read_hospitals(None, 2)
    for index, hospital in enumerate(data.hospitals):
        count = len(synthetic_table(index))
        assert len(hospital.test) == count // 4
        assert len(hospital.train) == count - count // 4
        seen = {row.tobytes() for row in hospital.train.features}
        assert not any(row.tobytes() in seen for row in hospital.test.features)
        assert np.array_equal(hospital.test.features, again.hospitals[index].test.features)
        assert not np.array_equal(hospital.test.features, other.hospitals[index].test.features)
