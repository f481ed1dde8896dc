"""The client's part of a plan: read strictly, and computed as numpy and scipy compute it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from hetorch.errors import HetorchError, InputError, PlanFormatError, WireError
from hetorch.plan import PublicPlan
from hetorch.plan.class_scores import ClassScores
from hetorch.plan.columns import Columns
from hetorch.plan.features import Category, Missing, Number
from hetorch.plan.heads import Head, heads_json
from hetorch.plan.interface import Interface
from tests.server.small_plan import small_plan

TOWN = Category(1, ("Ulm", "Bern", None), (0.0, 2.0, -1.0), True, (1.0, 2.0, 1.0), (0.0, 0.0, 0.5), fill=None)
CODE = Category(
    1, ("Ulm", "Bern", 3, True), (5.0, 6.0, 7.0, 8.0), False, (2.0,), (1.0,), unknown=0.0, fill="Ulm"
)
COLUMNS = Columns(
    ("age", "town"),
    2,
    (
        Number(0, 0.5, -1.0, fill=9.0, missing=-9, low=-1.0, high=2.0),
        Missing(0, -9),
        TOWN,
        CODE,
        Number(0),
        Missing(1),
    ),
)
HEADS = (Head("logits", (3,), 2.0, -1.0), Head("value", (1, 1)))
CLASSES = (ClassScores(("no", "yes"), "sigmoid", 1), ClassScores((1, 2, 3), "softmax", 3))
WHOLE = Interface(COLUMNS, HEADS, by_name=False)
"""For plans of 8 inputs and 4 outputs."""


def public(interface: Interface) -> PublicPlan:
    return replace(small_plan(), interface=interface).public()


@pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")
@pytest.mark.parametrize("interface", [Interface(), WHOLE, Interface(classes=CLASSES), Interface(COLUMNS)])
def test_bytes_and_back(interface: Interface) -> None:
    plan = public(interface)
    again = PublicPlan.from_bytes(plan.to_bytes())
    assert again == plan and again.interface == interface
    assert again.to_bytes() == plan.to_bytes()


Change = Callable[[dict[str, Any]], object]
BROKEN: dict[str, tuple[Change, str]] = {
    "no heads": (lambda d: d.pop("heads"), "'heads' is missing"),
    "more": (lambda d: d.update(code="import os"), "unknown fields 'code'"),
    "size": (lambda d: d["heads"][0].update(shape=[4]), "heads do not have the 4 numbers"),
    "shape": (lambda d: d["heads"][0].update(shape=[1 << 40]), "shape: expected an integer"),
    "scale": (lambda d: d["heads"][0].update(scale=0), "scale: expected a number"),
    "twice": (lambda d: d["heads"][0].update(name="value"), "two heads have the same name"),
    "name": (lambda d: d["heads"][0].update(name="\x1b[2J"), "printable"),
    "many heads": (lambda d: d.update(heads=[{}] * 1025), "at most 1024"),
    "columns": (lambda d: d["columns"]["features"].pop(), "columns make 7 numbers"),
    "names": (lambda d: d["columns"].update(names=["age"]), "2 different printable"),
    "escape": (lambda d: d["columns"].update(names=["age", "\x1b"]), "2 different printable"),
    "kind": (lambda d: d["columns"]["features"][0].update(kind="code"), "number or missing or category"),
    "column": (lambda d: d["columns"]["features"][0].update(column=2), "column: expected an integer in 0..1"),
    "factor": (lambda d: d["columns"]["features"][0].update(factor="1"), "factor: expected a number"),
    "fill": (lambda d: d["columns"]["features"][0].update(fill=[]), "fill: expected a number"),
    "codes": (lambda d: d["columns"]["features"][2]["codes"].pop(), "one code"),
    "place": (lambda d: d["columns"]["features"][2].update(codes=[0, 1, 3]), "places must be whole numbers"),
    "half": (lambda d: d["columns"]["features"][2].update(codes=[0, 0.5, 1]), "places must be whole numbers"),
    "unknown": (lambda d: d["columns"]["features"][2].update(unknown=7), "places must be whole numbers"),
    "wide": (lambda d: d["columns"]["features"][3].update(factors=[1, 1], offsets=[0, 0]), "codes make one number"),
    "category": (lambda d: d["columns"]["features"][2].update(categories=[{}, 1, 2]), "text of at most"),
    "long": (lambda d: d["columns"]["features"][2].update(categories=["a" * 2000, 1, 2]), "text of at most 1000"),
}  # fmt: skip
BROKEN_CLASSES: dict[str, tuple[Change, str]] = {
    "scores": (lambda d: d["classes"].pop(), "classes do not have the 4 scores"),
    "both": (lambda d: d.update(heads=heads_json((Head("a", (4,)),))), "both heads and classes"),
    "link": (lambda d: d["classes"][0].update(link="exec"), "link must be one of none"),
    "labels": (lambda d: d["classes"][1].update(labels=[1, 2]), "2 labels and 3 scores do not go together"),
    "label": (lambda d: d["classes"][1].update(labels=[1, 2, {}]), "labels: expected text"),
    "null": (lambda d: d["classes"][1].update(labels=[1, 2, None]), "2 labels and 3 scores"),
    "pair": (lambda d: d["classes"][0].update(link="softmax"), "do not go together with the link softmax"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*BROKEN, *BROKEN_CLASSES])
def test_a_hostile_server_gets_one_clear_error(name: str) -> None:
    change, message = (BROKEN | BROKEN_CLASSES)[name]
    data = json.loads(public(WHOLE if name in BROKEN else Interface(classes=CLASSES)).to_bytes())
    change(data["interface"])
    with pytest.raises(WireError, match=message):
        PublicPlan.from_bytes(json.dumps(data).encode())


@pytest.mark.fuzz
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_random_changes_never_crash(position: int, byte: int) -> None:
    data = bytearray(FUZZED)
    data[position % len(data)] = byte
    try:
        plan = PublicPlan.from_bytes(bytes(data))
        plan.interface.columns and plan.interface.columns.read({"age": 3, "town": "Ulm"})
    except HetorchError as error:
        assert len(str(error)) < 1000


FUZZED = public(WHOLE).to_bytes()


def test_a_plan_and_its_interface_must_agree(tmp_path: Any) -> None:
    with pytest.raises(PlanFormatError, match="heads do not have the 4 numbers"):
        replace(small_plan(), interface=Interface(heads=(Head("a", (3,)),)))


def test_rows_of_a_table() -> None:
    table = {"town": ["Ulm", "Bern", None], "age": [1, None, -9]}
    expected = [
        # age: 0.5 x - 1, clipped; missing; the town's place and 0.5; its code; the age; missing
        [-0.5, 0, 1, 0, 0.5, 2 * 5 + 1, 1, 0],
        [9, 1, 0, 0, 1.5, 2 * 6 + 1, -2, 0],
        [9, 1, 0, 0, 0.5, 2 * 5 + 1, -9, 1],
    ]
    filled = Columns(COLUMNS.names, 2, (*COLUMNS.features[:4], Number(0, fill=-2.0), COLUMNS.features[5]))
    np.testing.assert_array_equal(filled.read(table), expected)
    texts = {"town": ["Ulm", "Bern", ""], "age": ["1", "", "-9"]}
    np.testing.assert_array_equal(filled.read(texts), expected)
    with pytest.raises(InputError, match="column age has no value in row 1"):
        COLUMNS.read(table)


def test_unknown_categories_have_a_code_or_are_refused() -> None:
    codes = Columns(("age", "town"), 2, (CODE,))
    np.testing.assert_array_equal(
        codes.read({"town": ["Rome", 3.0, "3", "", None, np.nan]}).ravel(),  # type: ignore[attr-defined]
        [1, 15, 15, 11, 11, 11],
    )
    with pytest.raises(InputError, match=r"town has 'Rome' in row 0.*it knows 'Ulm', 'Bern', None"):
        Columns(("age", "town"), 2, (TOWN,)).read({"town": "Rome"})
    cells = np.array([[1, None]], dtype=object)
    cells[0, 1] = ["Ulm"]
    with pytest.raises(InputError, match=r"town has \['Ulm'\] in row 0"):
        Columns(("age", "town"), 2, (TOWN,)).read(cells)


SCORES = np.random.default_rng(0).normal(size=(50, 3)) * 5
ONE = SCORES[:, :1]


def test_probabilities_are_those_of_scipy() -> None:
    np.testing.assert_allclose(
        ClassScores((1, 2, 3), "softmax", 3).probabilities(SCORES), softmax(SCORES, axis=1)
    )
    shares = expit(SCORES)
    np.testing.assert_allclose(
        ClassScores((1, 2, 3), "one_vs_rest", 3).probabilities(SCORES),
        shares / shares.sum(axis=1, keepdims=True),
    )
    each = ClassScores((1, 2, 3), "sigmoid", 3, exclusive=False)
    np.testing.assert_allclose(each.probabilities(SCORES), shares)
    np.testing.assert_array_equal(each.choose(SCORES), SCORES > 0)
    pair = ClassScores(("no", "yes"), "sigmoid", 1, factor=2.0, offset=1.0)
    np.testing.assert_allclose(pair.probabilities(ONE)[:, 1], expit(2 * ONE[:, 0] + 1))
    np.testing.assert_allclose(pair.probabilities(ONE).sum(axis=1), 1)
    np.testing.assert_array_equal(pair.choose(ONE), np.where(ONE[:, 0] > 0, "yes", "no"))
    assert np.all(np.isfinite(pair.probabilities(np.array([[1e9], [-1e9]]))))
    clipped = ClassScores((1, 2, 3), "clipped", 3).probabilities(np.array([[-2.0, -3, -1], [1, 0, -1]]))
    np.testing.assert_allclose(clipped, [[1 / 3, 1 / 3, 1 / 3], [2 / 3, 1 / 3, 0]])


def test_several_classifiers_and_none() -> None:
    both = Interface(classes=CLASSES)
    row = np.array([0.5, 1.0, 3.0, 2.0])
    first, second = both.probabilities(row)
    np.testing.assert_allclose(first, [1 - expit(0.5), expit(0.5)])
    np.testing.assert_allclose(second, softmax(row[1:]))
    assert both.labels(row).tolist() == ["yes", "2"] and both.labels(np.tile(row, (5, 1))).shape == (5, 2)
    with pytest.raises(InputError, match="knows no classes"):
        Interface().labels(row)
    with pytest.raises(InputError, match="no probabilities"):
        Interface(classes=(ClassScores((0, 1), "none", 1),)).probabilities(row[:1])


def test_outputs_by_name_and_in_order() -> None:
    rows = np.arange(8.0).reshape(2, 4)
    logits, value = WHOLE.named(rows, (4,))
    np.testing.assert_array_equal(logits, [[-1, 1, 3], [7, 9, 11]])
    np.testing.assert_array_equal(value, [[[3]], [[7]]])
    named = replace(WHOLE, by_name=True).named(rows[0], (4,))
    assert {name: part.shape for name, part in named.items()} == {"logits": (3,), "value": (1, 1)}
    assert Interface().named(rows, (4,)) is rows


def test_the_table_names_columns_outputs_and_labels() -> None:
    table = str(replace(small_plan(), interface=WHOLE))
    assert "columns     age, town\n" in table and "outputs     logits (3,), value (1, 1)\n" in table
    report = replace(small_plan(), interface=Interface(classes=CLASSES)).to_report()
    assert report["labels"] == ["no", "yes", "1", "2", "3"] and "columns" not in report
    assert "\noutputs " not in str(small_plan())
