"""A plan asks its clients for the keys that its program uses, and for no others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import PlanFormatError
from hetorch.plan import Plan
from hetorch.plan.keys import check_keys, required_keys
from tests.compiler.networks import plan
from tests.server.small_plan import outsourced_plan, small_plan

Change = Callable[[dict[str, Any]], object]


def lower(pair: list[int]) -> None:
    pair[1] -= 1


TAMPERED: dict[str, tuple[Change, str]] = {
    "a Galois key is missing": (
        lambda spec: spec["galois"].pop(0),
        r"uses the key of Galois element \d+ at level 2, key_spec has none",
    ),
    "a Galois key is too low": (
        lambda spec: lower(spec["galois"][0]),
        r"uses the key of Galois element \d+ at level 2, the one of key_spec is for level 1",
    ),
    "no relinearisation key": (
        lambda spec: spec.update(relinearisation_level=None),
        "uses the relinearisation key at level 1, key_spec has none",
    ),
    "a relinearisation key is too low": (
        lambda spec: spec.update(relinearisation_level=0),
        "the relinearisation key at level 1, the one of key_spec is for level 0",
    ),
    "another Galois key": (
        lambda spec: spec["galois"].append([4095, 0]),
        "asks for the key of Galois element 4095 at level 0, which the program uses nowhere",
    ),
    "a relinearisation key is too high": (
        lambda spec: spec.update(relinearisation_level=2),
        "asks for the relinearisation key at level 2, which the program uses at level 1 at most",
    ),
}


@pytest.mark.parametrize("case", sorted(TAMPERED))
def test_a_plan_with_other_keys_is_not_loaded(case: str, tmp_path: Path) -> None:
    change, message = TAMPERED[case]
    small_plan().save(tmp_path)
    manifest = tmp_path / "manifest.json"
    data = json.loads(manifest.read_text())
    change(data["key_spec"])
    manifest.write_text(json.dumps(data))
    with pytest.raises(PlanFormatError, match=message):
        Plan.load(tmp_path)


def test_a_program_that_rotates_more_is_not_loaded(tmp_path: Path) -> None:
    plan("mlp").save(tmp_path)
    manifest = tmp_path / "manifest.json"
    data = json.loads(manifest.read_text())
    fold = next(op for op in data["program"]["operations"] if op["kind"] == "rotate_add")
    fold["steps"] += 1
    manifest.write_text(json.dumps(data))
    with pytest.raises(PlanFormatError, match="the program uses the key of Galois element"):
        Plan.load(tmp_path)


def test_encrypted_weights_take_every_step_and_relinearise(tmp_path: Path) -> None:
    whole = outsourced_plan()
    for number, made in enumerate((whole, whole.without_weights())):
        made.save(tmp_path / str(number))
        assert Plan.load(tmp_path / str(number)).key_spec == made.key_spec
    with pytest.raises(PlanFormatError, match="the relinearisation key at level 2"):
        replace(whole, key_spec=small_plan().key_spec)


def test_equal_specs_pass_and_both_directions_are_told() -> None:
    few, many = EvaluationKeySpec(None, ((5, 1),)), EvaluationKeySpec(0, ((5, 1), (25, 1)))
    check_keys(few, few)
    for spec, required in ((few, many), (many, few)):
        with pytest.raises(PlanFormatError):
            check_keys(spec, required)


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "image"])
def test_compiled_plans_hold_and_it_takes_no_time(name: str) -> None:
    made = plan(name)
    start = time.perf_counter()
    assert required_keys(made.program, made.weights, made.parameters) == made.key_spec
    assert time.perf_counter() - start < 0.5
