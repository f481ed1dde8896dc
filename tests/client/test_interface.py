"""What the client computes around encryption, against a real server: named outputs, classes, tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hetorch import simulate
from hetorch.client import Client, Sharing, Vault
from hetorch.errors import InputError
from hetorch.plan.class_scores import ClassScores
from hetorch.plan.columns import Columns
from hetorch.plan.features import Category, Number
from hetorch.plan.heads import Head
from hetorch.plan.interface import Interface
from hetorch.serving.models import serve_plan
from tests.server.live import live
from tests.server.small_plan import expected, small_plan

ERROR = 2.0**-20
TOWN = Category(1, ("Ulm", "Bern"), (0.0, 1.0), True, (1.0, 1.0), (0.0, 0.0))
INTERFACES = {
    "named": Interface(heads=(Head("logits", (3,), 2.0, 1.0), Head("value", (1,)))),
    "tuple": Interface(heads=(Head("output_0", (1, 2)), Head("output_1", (2,))), by_name=False),
    "classes": Interface(
        classes=tuple(ClassScores(("no", "yes"), "sigmoid", 1, offset=-1.0) for _ in range(4))
    ),
    "scores": Interface(classes=(ClassScores((1, 2, 3, 4), "none", 4),)),
    "table": Interface(
        Columns(("age", "town"), 2, (Number(0, 0.01), TOWN, *(Number(0, 0.001 * i) for i in range(5)))),
        classes=(ClassScores((1, 2, 3, 4), "softmax", 4),),
    ),
}
PLANS = {name: replace(small_plan(), interface=interface) for name, interface in INTERFACES.items()}
X = np.random.default_rng(0).uniform(-1, 1, (3, 8))
TABLE = pd.DataFrame({"town": ["Ulm", "Bern", "Ulm"], "age": [20, 50, 80]})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with live({name: serve_plan(name, plan) for name, plan in PLANS.items()}) as url:
        yield url


def client_of(address: str, vault: Vault, model: str) -> Client:
    return Client(address, vault=vault, model=model, allow_insecure=True, pinned=PLANS[model])


def test_outputs_by_name(address: str, vault: Vault) -> None:
    with client_of(address, vault, "named") as client:
        batch, one = client.predict(X), client.predict(X[0])
    assert list(batch) == ["logits", "value"]
    assert np.abs(batch["logits"] - (2 * expected(X)[:, :3] + 1)).max() < 2 * ERROR
    assert np.abs(batch["value"] - expected(X)[:, 3:]).max() < ERROR
    assert one["logits"].shape == (3,) and np.abs(one["logits"] - batch["logits"][0]).max() < 4 * ERROR


def test_outputs_in_order(address: str, vault: Vault) -> None:
    with client_of(address, vault, "tuple") as client:
        first, second = client.predict(X)
    assert first.shape == (3, 1, 2) and second.shape == (3, 2)
    assert np.abs(np.concatenate([first[:, 0], second], axis=1) - expected(X)).max() < ERROR


def test_probabilities_and_labels(address: str, vault: Vault) -> None:
    with client_of(address, vault, "classes") as client:
        shares, labels, scores = client.predict_proba(X), client.classify(X), client.predict(X)
        assert client.classify(X[0]).tolist() == ["yes"] * 4  # squares are positive
        shared = client.predict_proba(X, for_sharing=Sharing(queries=10, most_noise=1.0))
        assert client.classes == (("no", "yes"),) * 4
    assert len(shares) == 4 and labels.shape == (3, 4)
    for number, part in enumerate(shares):
        assert np.abs(part[:, 1] - expit(expected(X)[:, number] - 1)).max() < ERROR
        assert np.all(shared[number] != part) and np.allclose(shared[number].sum(axis=1), 1)
    assert scores.shape == (3, 4)


def test_without_probabilities_nothing_is_sent(address: str, vault: Vault) -> None:
    with client_of(address, vault, "scores") as client:
        with pytest.raises(InputError, match="no probabilities"):
            client.predict_proba(X)
        assert client.timings == []
        assert client.classify(X).tolist() == (expected(X).argmax(axis=1) + 1).tolist()
    with client_of(address, vault, "named") as client:
        with pytest.raises(InputError, match="knows no classes"):
            _ = client.classes
        for ask in (client.predict_proba, client.classify):
            with pytest.raises(InputError, match="knows no classes"):
                ask(X)
        assert client.timings == []


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE[["age", "town"]],
        TABLE.to_dict("list"),
        TABLE.to_dict("records"),
        TABLE[["age", "town"]].values,
    ],
)
def test_a_table_in_any_order(address: str, vault: Vault, table: object) -> None:
    numbers = np.array([[0.2, 1, 0], [0.5, 0, 1], [0.8, 1, 0]])
    rest = np.outer([20, 50, 80], 0.001 * np.arange(5))
    right = expected(np.concatenate([numbers, rest], axis=1))
    with client_of(address, vault, "table") as client:
        scores, labels = client.predict(table), client.classify(table)
        one = client.predict({"town": "Bern", "age": 50})
        with pytest.raises(InputError, match="lacks the column age"):
            client.predict(TABLE[["town"]])
    assert np.abs(scores - right).max() < ERROR and np.abs(one - right[1]).max() < ERROR
    assert labels.tolist() == (right.argmax(axis=1) + 1).tolist()
    assert np.abs(simulate(PLANS["table"], table) - right).max() < ERROR


def test_rows_with_other_columns_are_refused() -> None:
    columns = INTERFACES["table"].columns
    assert columns is not None
    with pytest.raises(InputError, match="row 1 and row 0 differ in town"):
        columns.read([{"age": 1, "town": "Ulm"}, {"age": 2}])
