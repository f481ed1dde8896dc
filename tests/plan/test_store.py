from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetorch import simulate
from hetorch.errors import PlanError, StorageError
from hetorch.params.primes import ntt_primes
from hetorch.plan import Plan
from tests.compiler.networks import inputs, plan


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual"])
def test_saved_and_loaded_is_the_same(name: str, tmp_path: Path) -> None:
    made = plan(name)
    made.save(tmp_path / "plan")
    loaded = Plan.load(tmp_path / "plan")
    assert loaded.fingerprint == made.fingerprint
    assert loaded.program == made.program and loaded.key_spec == made.key_spec
    assert loaded.report == made.report and loaded.public() == made.public()
    x = inputs(name)[:2]
    np.testing.assert_array_equal(simulate(loaded, x), simulate(made, x))
    assert sorted(file.name for file in (tmp_path / "plan").iterdir()) == [
        "manifest.json",
        "weights.safetensors",
    ]


def breaking(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = json.loads((folder / "manifest.json").read_text())
        change(data)
        (folder / "manifest.json").write_text(json.dumps(data))

    return apply


def _truncate(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return apply


def _text(text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / "manifest.json").write_text(text)

    return apply


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda folder: (folder / "manifest.json").unlink(), "is no plan folder"),
    "weights missing": (lambda folder: (folder / "weights.safetensors").unlink(), "is damaged: it has no"),
    "weights cut": (_truncate("weights.safetensors"), "SHA-256"),
    "manifest cut": (_truncate("manifest.json"), "not valid JSON"),
    "not json": (_text("{"), "not valid JSON"),
    "a list": (_text("[]"), "JSON object"),
    "other version": (breaking(lambda d: d.update(version=99)), "version"),
    "other format": (breaking(lambda d: d.update(format="x")), "hetorch-plan"),
    "unknown field": (breaking(lambda d: d.update(extra=1)), "unknown fields 'extra'"),
    "no name": (breaking(lambda d: d.pop("name")), "'name' is missing"),
    "no operations": (breaking(lambda d: d["program"].update(operations=[])), "not made"),
    "operation": (breaking(lambda d: d["program"]["operations"][0].update(kind="x")), "unknown operation"),
    "level": (breaking(lambda d: d["program"]["values"][1].__setitem__(0, 1)), "is at level"),
    "scale": (breaking(lambda d: d["program"]["values"][0].__setitem__(1, -1.0)), r"values\[0\]"),
    "order": (breaking(lambda d: d["program"]["operations"].reverse()), "before they are made"),
    "layout": (breaking(lambda d: d["program"]["layouts"][0].__setitem__(0, 9)), "layout"),
    "weight": (breaking(lambda d: d["program"]["operations"][0].update(weight="x")), "missing"),
    "ring": (breaking(lambda d: d["parameters"].update(ring_degree=1000)), "ring_degree"),
    "insecure": (
        breaking(lambda d: d["parameters"]["special_primes"].extend(ntt_primes(49, 3, 1 << 14))),
        "2\\^13|NTT|bits",
    ),
    "key": (breaking(lambda d: d["key_spec"]["galois"][0].__setitem__(0, 2)), "Galois"),
    "nan": (_text('{"format": NaN}'), "NaN"),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_a_broken_folder_is_one_clear_error(case: str, tmp_path: Path) -> None:
    plan("mlp").save(tmp_path)
    change, message = BROKEN[case]
    change(tmp_path)
    kind = StorageError if case == "missing" else PlanError
    with pytest.raises(kind, match=message) as told:
        Plan.load(tmp_path)
    assert str(tmp_path) in str(told.value)
    assert ("is damaged" in str(told.value)) == (case not in ("missing", "other version", "other format"))


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    plan("linear").save("~/plans/linear")
    assert (tmp_path / "plans" / "linear" / "manifest.json").exists()
    assert Plan.load("~/plans/linear").name == plan("linear").name


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no plan folder"):
        Plan.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is no plan folder but a file"):
        Plan.load(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot write"):
        plan("mlp").save(tmp_path / "file")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "seed").write_bytes(b"mine")
    with pytest.raises(StorageError, match="has other files \\('seed'\\) and no plan"):
        plan("linear").save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["seed"]
    plan("linear").save(tmp_path / "plan")
    plan("linear").save(tmp_path / "plan")
