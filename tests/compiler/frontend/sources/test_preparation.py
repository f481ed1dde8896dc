"""Pipelines on tables: the client's columns and the module together compute what scikit-learn computes."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import compose, decomposition, impute, linear_model, model_selection, pipeline, preprocessing
from torch import nn

import hetorch
from hetorch import load_model, simulate
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.plan.columns import Columns
from hetorch.plan.fields import Fields
from hetorch.plan.interface import Interface, interface_json, read_interface

NUMBERS, TEXTS = ["age", "income", "debts"], ["job", "town"]


def frame(rows: int, seed: int, *, missing: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": random.integers(18, 80, rows),
            "income": random.normal(3000, 800, rows),
            "job": random.choice(["cook", "clerk", "pilot", "smith"], rows, p=[0.5, 0.3, 0.17, 0.03]),
            "debts": random.choice([0.0, 1.0, 2.0, 5.0], rows),
            "town": random.choice(["Ulm", "Bern"], rows),
            "member": random.choice([True, False], rows),
        }
    )
    if missing:
        for name in ("income", "job", "debts"):
            table[name] = table[name].mask(random.random(rows) < 0.1)
    return table


TABLE, OTHER = frame(300, 0), frame(50, 1)
COMPLETE, OTHER_COMPLETE = frame(300, 2, missing=False), frame(50, 3, missing=False)
CLASS = np.where(COMPLETE["age"] + COMPLETE["income"] / 100 > 80, "good", "bad")
LINE = COMPLETE["age"] * 0.1 + (COMPLETE["job"] == "cook")

Scaler, OneHot, Ordinal = (
    preprocessing.StandardScaler,
    preprocessing.OneHotEncoder,
    preprocessing.OrdinalEncoder,
)
Imputer = impute.SimpleImputer


def columns(*parts: Any, **options: Any) -> compose.ColumnTransformer:
    return compose.ColumnTransformer([(str(i), *part) for i, part in enumerate(parts)], **options)


COMPLETE_TABLES: dict[str, Any] = {
    "scaled and one-hot": columns((Scaler(), NUMBERS), (OneHot(), TEXTS)),
    "by place": columns((Scaler(), [0, 1, -3]), (OneHot(), slice(2, 3))),
    "by mask": columns((Scaler(), [True, True, False, True, False, False]), (OneHot(), [False] * 4 + [True, False])),
    "by type": columns((Scaler(), compose.make_column_selector(dtype_include=np.number)), (OneHot(), TEXTS)),
    "passthrough": columns((OneHot(), TEXTS), ("passthrough", ["debts"]), remainder="drop"),
    "remainder": columns((OneHot(), TEXTS), remainder="passthrough"),
    "remainder scaled": columns((OneHot(), [*TEXTS, "member"]), remainder=Scaler()),
    "dropped": columns(("drop", ["age"]), (OneHot(), TEXTS), (Scaler(), ["income"])),
    "empty": columns((Scaler(), []), (OneHot(), TEXTS)),
    "weights": columns((Scaler(), NUMBERS), (OneHot(), TEXTS), transformer_weights={"0": 0.5, "1": 3.0}),
    "min and max": columns((preprocessing.MinMaxScaler((-1, 2)), NUMBERS), (OneHot(), TEXTS)),
    "clipped": columns((preprocessing.MinMaxScaler((-1, 2), clip=True), NUMBERS), (OneHot(), TEXTS)),
    "robust": columns((preprocessing.RobustScaler(), NUMBERS), (preprocessing.MaxAbsScaler(), ["age"])),
    "drop first": columns((OneHot(drop="first"), TEXTS), (Scaler(), NUMBERS)),
    "drop if binary": columns((OneHot(drop="if_binary", handle_unknown="ignore"), [*TEXTS, "member"])),
    "rare together": columns((OneHot(min_frequency=0.2, handle_unknown="infrequent_if_exist"), TEXTS)),
    "rare first": columns((OneHot(max_categories=2, drop="first", handle_unknown="infrequent_if_exist"), TEXTS)),
    "unknown": columns((OneHot(handle_unknown="ignore"), TEXTS)),
    "numbers as categories": columns((OneHot(handle_unknown="ignore"), ["debts", "member"])),
    "ordinal": columns((Ordinal(), TEXTS), (Scaler(), NUMBERS)),
    "ordinal, unknown": columns((Ordinal(handle_unknown="use_encoded_value", unknown_value=-7), TEXTS)),
    "ordinal, rare": columns(
        (Ordinal(max_categories=3, handle_unknown="use_encoded_value", unknown_value=-1), ["job"])
    ),
    "target": columns((preprocessing.TargetEncoder(random_state=0), TEXTS), (Scaler(), NUMBERS)),
    "one-hot, scaled": columns(
        (pipeline.make_pipeline(OneHot(sparse_output=False), Scaler()), TEXTS), (Scaler(), NUMBERS)
    ),
    "ordinal, scaled": columns((pipeline.make_pipeline(Ordinal(), preprocessing.MinMaxScaler()), TEXTS)),
    "some projected": columns(
        (pipeline.make_pipeline(Scaler(), decomposition.PCA(2)), NUMBERS), (OneHot(), TEXTS), ("passthrough", ["age"]),
        transformer_weights={"0": 2.0},
    ),
    "a function": columns(
        (pipeline.make_pipeline(Scaler(), preprocessing.FunctionTransformer(np.exp)), ["age"]), (Scaler(), NUMBERS)
    ),
    "a union": columns(
        (pipeline.FeatureUnion([("a", Scaler()), ("b", preprocessing.MinMaxScaler())],
                               transformer_weights={"b": 3}), NUMBERS),
        (OneHot(), TEXTS),
    ),
    "nested": columns(
        (columns((Scaler(), ["age"]), ("passthrough", ["debts"])), ["age", "debts"]), (OneHot(), ["town"])
    ),
}  # fmt: skip
GAPS: dict[str, Any] = {
    "mean": columns((pipeline.make_pipeline(Imputer(), Scaler()), NUMBERS), (OneHot(), ["town"])),
    "median after": columns((pipeline.make_pipeline(Scaler(), Imputer(strategy="median")), NUMBERS)),
    "constant": columns((pipeline.make_pipeline(Imputer(strategy="constant", fill_value=-1), Scaler()), NUMBERS)),
    "most frequent": columns(
        (pipeline.make_pipeline(Imputer(strategy="most_frequent"), OneHot(handle_unknown="ignore")), TEXTS),
        (Imputer(strategy="most_frequent"), ["debts"]),
    ),
    "a category of its own": columns(
        (pipeline.make_pipeline(Imputer(strategy="constant", fill_value="none"), OneHot()), TEXTS)
    ),
    "missing is a category": columns((OneHot(handle_unknown="ignore"), TEXTS), (Imputer(), NUMBERS)),
    "missing has a code": columns((Ordinal(encoded_missing_value=-1), TEXTS), (Imputer(), NUMBERS)),
    "ordinal, imputed": columns((pipeline.make_pipeline(Ordinal(), Imputer()), TEXTS)),
    "indicators": columns(
        (pipeline.make_pipeline(Imputer(add_indicator=True), Scaler()), NUMBERS),
        (impute.MissingIndicator(error_on_new=False), NUMBERS),
    ),
    "clipped": columns(
        (pipeline.make_pipeline(Imputer(strategy="constant", fill_value=1e6), preprocessing.MinMaxScaler(clip=True)),
         ["income"])
    ),
    "a mark": columns((pipeline.make_pipeline(Imputer(missing_values=5.0), Imputer(), Scaler()), ["age"])),
}  # fmt: skip


def columns_of(model: Any) -> Columns:
    interface = load_model(model).hetorch_interface
    assert isinstance(interface, Interface) and interface.columns is not None
    return interface.columns


def own(model: Any, table: Any) -> Any:
    """Return what the client and the module compute, with the client's part as a client reads it."""
    module, part = load_model(model), columns_of(model)
    data = json.loads(json.dumps(interface_json(Interface(columns=part))))
    again = read_interface(Fields(data, "interface", ValueError), (part.width,), (1,))  # type: ignore[arg-type]
    assert again.columns == part
    with torch.no_grad():
        return module(torch.from_numpy(np.atleast_2d(np.asarray(part.read(table))))).numpy()


def check(model: Any, tables: tuple[Any, ...]) -> None:
    for table in tables:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = model.predict(table) if hasattr(model, "predict") else model.transform(table)
            expected = (
                expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected, dtype=np.float64)
            )
        shuffled = table.sample(frac=1, axis=1, random_state=3)
        results = own(model, shuffled)
        np.testing.assert_allclose(results, expected.reshape(results.shape), rtol=1e-9, atol=1e-9)
        mapping = {name: shuffled[name].tolist() for name in shuffled}
        np.testing.assert_array_equal(own(model, mapping), results)
        np.testing.assert_allclose(own(model, dict(table.iloc[0])), results[:1], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(own(model, table.iloc[0]), results[:1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COMPLETE_TABLES)
def test_tables_without_gaps(name: str) -> None:
    transformer = COMPLETE_TABLES[name]
    tables = [COMPLETE, OTHER_COMPLETE]
    if any(word in name for word in ("unknown", "rare", "if binary")):
        tables.append(OTHER_COMPLETE.assign(job="judge", town=["Rome", "Ulm"] * 25))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(transformer.fit(COMPLETE, LINE), tuple(tables))
        check(pipeline.make_pipeline(transformer, linear_model.Ridge()).fit(COMPLETE, LINE), tuple(tables))


@pytest.mark.parametrize("name", GAPS)
def test_tables_with_gaps(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer = GAPS[name].fit(TABLE, LINE)
    check(transformer, (TABLE, OTHER))


def test_outside_a_column_transformer() -> None:
    numbers = OTHER[NUMBERS]
    for model in (
        pipeline.make_pipeline(Imputer(), Scaler(), linear_model.Ridge()),
        pipeline.make_pipeline(
            Scaler(), columns(("passthrough", [0]), (Imputer(), [2, 1])), linear_model.Ridge()
        ),
        model_selection.GridSearchCV(
            pipeline.make_pipeline(Imputer(), linear_model.Ridge()), {"ridge__alpha": [1.0, 2.0]}, cv=2
        ),
        compose.TransformedTargetRegressor(
            pipeline.make_pipeline(Imputer(), linear_model.Ridge()), transformer=Scaler()
        ),
        Imputer(),
    ):
        check(model.fit(TABLE[NUMBERS], LINE), (numbers,))
    check(OneHot(handle_unknown="ignore").fit(TABLE[TEXTS]), (OTHER[TEXTS],))


def test_an_array_is_taken_in_the_order_of_the_columns() -> None:
    model = pipeline.make_pipeline(columns((Scaler(), [0]), (OneHot(), [1])), linear_model.Ridge())
    array = COMPLETE[["age", "job"]].to_numpy()
    part: Any = columns_of(model.fit(array, LINE))
    assert part.names == () and part.count == 2
    np.testing.assert_allclose(part.read(array), model[:-1].transform(array))
    np.testing.assert_allclose(part.read(array.tolist()), model[:-1].transform(array))
    np.testing.assert_allclose(part.read(array[0]), model[:-1].transform(array[:1])[0])
    with pytest.raises(InputError, match=r"shape \(300, 1\); the model takes a table of 2 columns"):
        part.read(array[:, :1])


MODEL = pipeline.make_pipeline(
    columns((Scaler(), NUMBERS), (OneHot(), TEXTS)), linear_model.LogisticRegression()
)
MODEL.fit(COMPLETE, CLASS)
PART: Any = columns_of(MODEL)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (COMPLETE.drop(columns=["age", "job"]), "the table lacks the columns age, job"),
        (COMPLETE.assign(height=1), "the model does not know the column height"),
        (
            COMPLETE.rename(columns={"age": "Age"}),
            "lacks the column age; the model does not know the column Age",
        ),
        (COMPLETE.assign(age=COMPLETE["age"].mask(COMPLETE.index == 4)), "column age has no value in row 4"),
        (COMPLETE.assign(age="old"), "column age has 'old' in row 0, which is no number"),
        (
            COMPLETE.assign(job="judge"),
            "job has 'judge' in row 0, which .*; it knows 'clerk'",
        ),
        (COMPLETE.assign(job=None), "job has no value in row 0, which the model was not trained on"),
        (pd.concat([COMPLETE, COMPLETE[["age"]]], axis=1), "two columns of the table have the same name"),
        ({"age": [1], "job": ["cook", "cook"]}, "lists of one length"),
    ],
)
def test_tables_that_do_not_fit(table: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PART.read(table)


def test_unused_columns_may_be_missing_and_text_from_files_is_read() -> None:
    expected = PART.read(COMPLETE)
    np.testing.assert_array_equal(PART.read(COMPLETE.drop(columns=["member"])), expected)
    texts = {name: [str(value) for value in COMPLETE[name]] for name in COMPLETE}
    np.testing.assert_array_equal(PART.read(texts), expected)
    np.testing.assert_array_equal(PART.read(COMPLETE.astype({"job": "category", "age": "float32"})), expected)


REFUSED: dict[str, tuple[Any, str]] = {
    "encoder behind": (
        columns((pipeline.make_pipeline(OneHot(sparse_output=False), OneHot()), TEXTS)), "works on columns as they come"
    ),
    "imputer behind": (columns((pipeline.make_pipeline(OneHot(), Imputer()), TEXTS)), "before they are encoded"),
    "bins": (columns((preprocessing.KBinsDiscretizer(encode="onehot"), NUMBERS)), "KBinsDiscretizer is not supported"),
    "text": (columns((Imputer(strategy="most_frequent"), TEXTS)), "add a OneHotEncoder"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_neither_side_computes(name: str) -> None:
    model, message = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(COMPLETE)
    with pytest.raises(UnsupportedModelError, match=message):
        load_model(model)


class Doubling(preprocessing.StandardScaler):  # type: ignore[misc]
    def transform(self, data: Any, copy: Any = None) -> Any:
        return 2 * super().transform(data, copy)


Doubling.__name__ = "StandardScaler"


def test_the_calibration_table_shows_a_step_that_computes_something_else() -> None:
    model = pipeline.make_pipeline(columns((Ordinal(), TEXTS)), Doubling(), linear_model.Ridge()).fit(
        COMPLETE, LINE
    )
    with pytest.raises(UnsupportedModelError, match="computes something else than its fitted attributes"):
        hetorch.compile(model, COMPLETE)


@pytest.mark.filterwarnings("ignore::hetorch.errors.InputRangeWarning")
def test_compiled_on_a_table_with_probabilities_and_labels() -> None:
    plan = hetorch.compile(MODEL, COMPLETE)
    public = hetorch.PublicPlan.from_bytes(plan.public().to_bytes())
    shuffled = OTHER_COMPLETE.sample(frac=1, axis=1, random_state=0)
    scores = simulate(plan, shuffled)
    error = plan.report.predicted_error * plan.report.output_range
    assert np.abs(scores[:, 0] - MODEL.decision_function(OTHER_COMPLETE)).max() <= error + 1e-6
    # The sigmoid changes by at most a quarter of its argument.
    assert (
        np.abs(public.interface.probabilities(scores) - MODEL.predict_proba(OTHER_COMPLETE)).max()
        <= error / 4 + 1e-6
    )
    sure = np.abs(MODEL.decision_function(OTHER_COMPLETE)) > error
    assert np.array_equal(public.interface.labels(scores)[sure], MODEL.predict(OTHER_COMPLETE)[sure])
    assert simulate(plan, OTHER_COMPLETE.iloc[0]).shape == (1,)


def test_a_module_that_was_loaded_before_and_a_mapping() -> None:
    plan = hetorch.compile(load_model(MODEL), {name: COMPLETE[name].tolist() for name in COMPLETE})
    assert plan.interface.columns == PART
    assert [one.labels for one in plan.interface.classes] == [("bad", "good")]


def test_a_torch_model_calibrated_on_a_table_takes_tables_in_any_order() -> None:
    model = nn.Linear(3, 2).eval()
    numbers = OTHER_COMPLETE[NUMBERS] / [80, 5000, 5]
    plan = hetorch.compile(model, numbers)
    expected = model(torch.tensor(numbers.to_numpy(), dtype=torch.float32)).detach().numpy()
    bound = plan.report.predicted_error * plan.report.output_range + 1e-5
    for table in (numbers, numbers[NUMBERS[::-1]], numbers.to_numpy()):
        assert np.abs(simulate(plan, table) - expected).max() <= bound
    with pytest.raises(InputError, match="lacks the column age"):
        simulate(plan, numbers[["income", "debts"]])
