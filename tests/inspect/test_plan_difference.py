"""Differences of plans: one thing is changed at a time, and it is named with both values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.inspect.plan_difference.change import Change
from hetorch.inspect.plan_difference.plans import (
    NO_FIGURE,
    PUBLIC_ONLY,
    PlanDifference,
    compare_plans,
    compare_public_plans,
)
from hetorch.ir.he_operations import Polynomial
from hetorch.plan import Plan
from hetorch.plan.interface import Interface
from hetorch.plan.output_functions import OutputFunction
from tests.inspect.branched_plan import inputs, model, plan
from tests.server.small_plan import outsourced_plan, small_plan

NAMES = ("a", "b")


def difference(first: Plan, second: Plan) -> PlanDifference:
    return compare_plans(first, second, NAMES)


def changed(first: Plan, second: Plan) -> dict[str, object]:
    """Return the figures of the whole that differ, by name."""
    found = difference(first, second)
    assert not found.equal
    return {change.name: (change.first, change.second) for change in found.changes}


def layers(first: Plan, second: Plan) -> dict[str, set[str]]:
    """Return the names of the figures that differ, by the name of the layer."""
    found = difference(first, second).layers
    return {layer.name: {change.name for change in layer.changes} for layer in found}


def test_a_plan_is_equal_to_itself() -> None:
    same = replace(plan())
    found = difference(plan(), same)
    assert found.equal and not found.changes and not found.layers
    assert str(found) == f"the plans are equal: fingerprint {plan().fingerprint}"
    assert found.to_dict()["equal"] is True


@pytest.mark.parametrize(
    ("figure", "value", "name"),
    [
        ("predicted_seconds", 2.0, "run_seconds"),
        ("memory_limit", 1 << 40, "memory_limit_bytes"),
        ("machine", "tuned 0123", "machine"),
        ("agreement", 0.25, "agreement"),
        ("approximation_error", 0.5, "approximation_error"),
    ],
)
def test_figures_of_the_report(figure: str, value: Any, name: str) -> None:
    other = replace(plan(), report=replace(plan().report, **{figure: value}))
    assert changed(plan(), other) == {name: (getattr(plan().report, figure), value)}
    assert layers(plan(), other) == {}


def test_notes_and_names() -> None:
    other = replace(plan(), name="other", report=replace(plan().report, notes=("a new note",)))
    found = difference(plan(), other)
    assert [change.name for change in found.changes] == ["name"]
    assert "+ note: a new note" in found.notes and f"- note: {plan().notes[0]}" in found.notes


def test_the_interface() -> None:
    softmax = Interface(functions=(OutputFunction("softmax", 1),))
    (name,) = changed(plan(), replace(plan(), interface=softmax))
    assert name == "interface_functions"


def test_weights_are_compared_with_their_largest_difference() -> None:
    weights = {name: array.copy() for name, array in small_plan().weights.items()}
    weights["dense.values"][2, 1] += 0.125
    other = replace(small_plan(), weights=weights)
    (layer,) = difference(small_plan(), other).layers
    assert [change.name for change in layer.changes] == ["weights"]
    largest = max(
        abs(array).max()
        for made in (small_plan(), other)
        for array in made.weights.values()
        if array.dtype == np.float64
    )
    assert layer.largest_weight_change == pytest.approx(0.125 / largest)
    assert "weights differ by up to" in str(layer)


def test_coefficients_of_a_polynomial() -> None:
    def doubled(op: object) -> object:
        return (
            replace(op, coefficients=tuple(2 * c for c in op.coefficients))
            if isinstance(op, Polynomial)
            else op
        )

    program = plan().program
    operations = tuple(doubled(op) for op in program.operations)
    other = replace(plan(), program=replace(program, operations=operations))  # type: ignore[arg-type]
    assert layers(plan(), other) == {"tanh": {"coefficients"}}


def test_another_degree_and_other_parameters() -> None:
    other = hetorch.compile(model(), inputs(), activation_degree=3, progress=False)
    figures = changed(plan(), other)
    assert figures["levels"] == (plan().parameters.max_level, other.parameters.max_level)
    assert figures["uploaded_bytes"] == (
        plan().public().evaluation_key_bytes,
        other.public().evaluation_key_bytes,
    )
    assert figures["total_bytes"] == (plan().report.memory_bytes, other.report.memory_bytes)
    found = layers(plan(), other)
    assert {"degree", "kind", "fitted_error"} <= found["tanh"]
    text = str(difference(plan(), other))
    assert f"degree {plan().report.polynomials[0].degree} -> 3" in text


def test_parts_of_one_layer_have_numbers() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)).eval()
    x = torch.rand(60, 1, 6, 6)
    plans = [hetorch.compile(net, x, activation_degree=n, activation_tolerance=0.9) for n in (3, 6)]
    layers = compare_plans(plans[0], plans[1], ("a", "b")).layers
    parts = [layer for layer in layers if layer.name == "1"]
    assert len({(layer.part, layer.status) for layer in parts}) == len(parts) > 2
    for layer in parts:
        assert f" 1, part {layer.part} of {layer.parts} ({layer.kind})" in str(layer)
    assert str(next(layer for layer in layers if layer.name == "3")).startswith("  3: ")


def test_layers_that_one_plan_lacks() -> None:
    found = difference(small_plan(), plan())
    statuses = {layer.name: layer.status for layer in found.layers}
    assert statuses["square"] == "removed" and statuses["tanh"] == statuses["one"] == "added"
    assert any(line.startswith("+ tanh") for line in str(found).splitlines())


def test_withheld_weights_are_no_difference_of_each_layer() -> None:
    whole = outsourced_plan()
    found = difference(whole, whole.without_weights())
    assert [(change.name, change.first, change.second) for change in found.changes] == [
        ("withheld", False, True)
    ]
    assert not found.layers


def test_what_no_figure_shows_is_said() -> None:
    unused = {**small_plan().weights, "unused": np.ones(3)}
    found = difference(small_plan(), replace(small_plan(), weights=unused))
    assert not found.equal and found.notes == (NO_FIGURE,)


def test_keys_are_counted() -> None:
    other = hetorch.compile(model(), inputs(), activation_degree=3, progress=False)
    before, after = dict(plan().key_spec.galois), dict(other.key_spec.galois)
    (keys,) = (c for c in difference(plan(), other).changes if c.name == "galois_keys")
    moved = sum(after.get(element, level) != level for element, level in before.items())
    for count, where in (
        (len(before.keys() - after.keys()), "only in the first"),
        (len(after.keys() - before.keys()), "only in the second"),
        (moved, "at another level"),
    ):
        assert (f"{count} element" in str(keys) and where in str(keys)) or count == 0


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (0.00787036236002861, 0.007869690896282491, "0.0078704 -> 0.0078697"),
        (1.0, 1.0 + 2**-52, "1.0 -> 1.0000000000000002"),
        (1.0, 2.0, "1 -> 2"),
    ],
)
def test_numbers_have_as_few_digits_as_tell_them_apart(first: float, second: float, text: str) -> None:
    assert str(Change("errors", "encryption_error", first, second)) == text


def test_public_parts() -> None:
    public = plan().public()
    found = compare_public_plans(public, public, NAMES)
    assert found.equal and PUBLIC_ONLY in str(found)
    lie = replace(small_plan().public(), fingerprint=public.fingerprint)
    found = compare_public_plans(public, lie, NAMES)
    assert not found.equal and "one of them is not what it says" in str(found)


def test_differences_are_plain_data() -> None:
    found = difference(small_plan(), plan()).to_dict()
    parsed = json.loads(json.dumps(found, allow_nan=False))
    assert parsed["changes"]["parameters"]["ring_degree"] == [
        small_plan().parameters.ring_degree,
        plan().parameters.ring_degree,
    ]
    assert {layer["status"] for layer in parsed["layers"]} >= {"added", "removed"}
