from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import InputError, PlanError
from hetorch.params import ParameterSet
from hetorch.params.primes import ntt_primes
from hetorch.plan import Plan
from hetorch.plan.sizes import ciphertext_bytes, evaluation_key_bytes
from tests.compiler.networks import inputs, plan


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual"])
def test_saved_and_loaded_is_the_same(name: str, tmp_path: Path) -> None:
    made = plan(name)
    made.save(tmp_path / "plan")
    loaded = Plan.load(tmp_path / "plan")
    assert loaded.fingerprint() == made.fingerprint()
    assert loaded.program == made.program and loaded.key_spec == made.key_spec
    assert loaded.report == made.report and loaded.public() == made.public()
    x = inputs(name)[:2]
    np.testing.assert_array_equal(loaded.run_cleartext(x), made.run_cleartext(x))
    assert sorted(file.name for file in (tmp_path / "plan").iterdir()) == [
        "manifest.json",
        "weights.safetensors",
    ]


def test_one_sample_or_a_batch() -> None:
    made, x = plan("mlp"), inputs("mlp")
    assert made.run_cleartext(x[0]).shape == (1, 5)
    assert made.run_cleartext(x[:3]).shape == (3, 5)
    assert made.run_cleartext(x[:0]).shape == (0, 5)
    for wrong in (x[:, :7], np.full((1, 50), np.inf), "text", [["a"] * 50], np.zeros((1, 50), dtype=complex)):
        with pytest.raises(InputError):
            made.run_cleartext(wrong)


def test_weights_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        plan("mlp").weights["transform.1.values"][0, 0] = 1


def test_a_report_prints_as_the_table_of_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    made = plan("residual")
    made.report()
    assert capsys.readouterr().out == f"{made.report}\n"
    lines = str(made.report).splitlines()
    assert set(lines) <= set(str(made).splitlines()) and len(lines) > len(made.report.layers) + 4
    headings = lines[0].replace("predicted error", "predicted_error").split()
    explained = type(made.report).__doc__ or ""
    assert all(heading.replace("_", " ") in explained for heading in headings[2:])
    assert "default constants: hetorch tune" in str(replace(made.report, machine="default"))
    assert "hetorch tune" not in str(replace(made.report, machine="tuned 1234"))


def test_the_table() -> None:
    text = str(plan("residual"))
    for word in (
        "layer",
        "predicted error",
        "N = 2^",
        "log2 QP",
        "128-bit security",
        "digits",
        "MB",
        "note",
        "first",
    ):
        assert word in text
    report = plan("residual").to_report()
    assert json.loads(json.dumps(report))["ring_degree"] == plan("residual").parameters.ring_degree


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
    "missing": (lambda folder: (folder / "manifest.json").unlink(), "cannot read"),
    "weights missing": (lambda folder: (folder / "weights.safetensors").unlink(), "cannot read"),
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
    with pytest.raises(PlanError, match=message):
        Plan.load(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot read"):
        Plan.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(PlanError, match="cannot write"):
        plan("mlp").save(tmp_path / "file")


def test_an_inconsistent_plan_cannot_be_made() -> None:
    made = plan("mlp")
    with pytest.raises(PlanError, match="slots"):
        replace(made, parameters=plan("linear").parameters)
    with pytest.raises(PlanError, match="missing"):
        replace(made, weights={})


def test_sizes_by_hand() -> None:
    parameters = ParameterSet.from_bits(4096, [30, 25, 25], [28, 28], digit_size=2, security="none")  # type: ignore[arg-type]
    bits = [prime.bit_length() for prime in parameters.modulus_chain]
    element = 4096 * sum(bits[:2]) // 8
    assert ciphertext_bytes(parameters, 1, seeded=False) == 2 * element
    assert ciphertext_bytes(parameters, 1, seeded=True) == element + 32
    special = sum(prime.bit_length() for prime in parameters.special_primes)
    spec = EvaluationKeySpec(2, ((5, 1),))
    expected = 2 * (4096 * (sum(bits) + special) // 8 + 32) + (4096 * (sum(bits[:2]) + special) // 8 + 32)
    assert evaluation_key_bytes(parameters, spec) == expected


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "seed").write_bytes(b"mine")
    with pytest.raises(PlanError, match="has other files \\('seed'\\) and no plan"):
        plan("linear").save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["seed"]
    plan("linear").save(tmp_path / "plan")
    plan("linear").save(tmp_path / "plan")
