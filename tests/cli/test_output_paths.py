"""A place that cannot be written is told before the work, not after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetorch.cli.output_paths import check_file, check_plan_folder
from hetorch.errors import StorageError
from tests.cli.command import refusal, save_secure_plan


def test_places_that_can_be_written(tmp_path: Path) -> None:
    for place in (tmp_path / "new", tmp_path / "deep" / "new", tmp_path):
        check_plan_folder(place)
    (tmp_path / "old").touch()
    for file in (tmp_path / "new", tmp_path / "old", Path("/dev/null"), None):
        check_file(file)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]  # nothing was made


def test_places_that_cannot(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StorageError, match="it is a file; name a folder"):
        check_plan_folder(file)
    with pytest.raises(StorageError, match="there is no folder"):
        check_plan_folder(file / "plan")
    with pytest.raises(StorageError, match="it is a folder; name a file"):
        check_file(tmp_path)
    with pytest.raises(StorageError, match="there is no folder"):
        check_file(tmp_path / "none" / "file")


def test_every_verb_that_writes_looks_first(tmp_path: Path) -> None:
    """Nothing of the other arguments exists, so that any work would end in another refusal."""
    away, x = tmp_path / "none" / "file.npy", tmp_path / "x.npy"
    outputs: list[tuple[object, ...]] = [
        ("predict", "http://127.0.0.1:9", x, "-o", away),
        ("public-key", tmp_path / "plan", "-o", away),
        ("encrypt-weights", tmp_path / "plan", "--public-key", x, "-o", away),
        ("demo", "--report", away),
        ("demo", "--json", away),
        ("serve", save_secure_plan(tmp_path), "--ready-file", away),
        ("inspect", tmp_path / "plan", "--svg", away),
        ("inspect", tmp_path / "plan", "--onnx", away),
        ("trace", tmp_path / "plan", "--input", x, "--perfetto", away),
        ("sweep", "net.py:net", "--data", x, "-o", away),
    ]
    for arguments in outputs:
        assert "there is no folder" in refusal(*arguments)
    taken = tmp_path / "taken"
    taken.touch()
    folders: list[tuple[object, ...]] = [
        ("compile", "net.py:net", "--calibration", x, "-o", taken),
        ("without-weights", tmp_path / "plan", "-o", taken),
    ]
    for arguments in folders:
        assert "it is a file; name a folder" in refusal(*arguments)
