"""Every parameter of every estimator that is accepted is honoured, and estimators that hold others are unwrapped."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import (
    compose,
    discriminant_analysis,
    ensemble,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    neural_network,
    pipeline,
    preprocessing,
    svm,
)
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import Interval, Options

from hetorch import load_model
from hetorch.errors import HetorchError, InputError, UnsupportedModelError
from hetorch.plan.interface import Interface

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(30, 3)) * [1, 2, 0.5] + [0.5, 0, 1]
LINE = np.abs(X @ [1.0, 2.0, -1.0]) + 0.1
TWO, THREE = (X[:, 0] > 0.5).astype(int), (X[:, 0] > 0.5).astype(int) + (X[:, 1] > 0)
TARGETS: tuple[Any, ...] = (THREE, TWO, LINE, np.stack([LINE, X[:, 0]], axis=1), None)

ROOMS = (
    *(
        "linear_model",
        "svm",
        "neural_network",
        "preprocessing",
        "decomposition",
        "discriminant_analysis",
        "impute",
    ),
)
IRRELEVANT = (
    "max_iter",
    "n_jobs",
    "random_state",
    "tol",
    "verbose",
    "copy",
    "copy_X",
    "warm_start",
    "cv",
    "n_alphas",
)
"""Parameters that decide how a fit is found, and not what is computed from it."""

LINEAR = {name: {"kernel": "linear"} for name in ("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")}
"""Parameters without which an estimator is refused."""


def fitted(make: Callable[[], Any], target: Any) -> Any:
    """Return the estimator, fitted, or None if it does not take its parameters or the target."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = make()
            known = model.get_params()
            model.set_params(**{k: v for k, v in {"max_iter": 30, "random_state": 0}.items() if k in known})
            return model.fit(X, target)
        except Exception:
            return None


def outputs(model: Any) -> Any:
    module = load_model(model)
    interface = module.hetorch_interface
    assert isinstance(interface, Interface)
    columns: Any = interface.columns
    with torch.no_grad():
        return module(torch.from_numpy(X if columns is None else columns.read(X))).numpy()


def truth(model: Any) -> Any:
    """Return scores, predictions or transformed values of an estimator; of probabilities, the centred logarithms."""
    if hasattr(model, "decision_function"):
        values = model.decision_function(X)
    elif hasattr(model, "predict_proba"):
        logarithms = np.log(model.predict_proba(X))
        values = logarithms - logarithms.mean(axis=1, keepdims=True)
    else:
        values = model.predict(X) if hasattr(model, "predict") else model.transform(X)
        values = values.toarray() if hasattr(values, "toarray") else values
    return np.asarray(values, dtype=np.float64).reshape(len(X), -1)


def check(model: Any) -> None:
    with np.errstate(all="ignore"):
        own, expected = outputs(model), truth(model)
    if not hasattr(model, "decision_function") and hasattr(model, "predict_proba"):
        own = np.concatenate([np.zeros_like(own), own], axis=1) if own.shape[1] == 1 else own
        own = own - own.mean(axis=1, keepdims=True)
    rows = np.isfinite(expected).all(axis=1)
    np.testing.assert_allclose(own[rows], expected[rows], rtol=1e-6, atol=1e-8)
    check_classes(model)


def check_classes(model: Any) -> None:
    """The labels and probabilities that the client computes of the scores are those of predict and predict_proba."""
    if not hasattr(model, "predict") or not (hasattr(model, "classes_") or hasattr(model, "offset_")):
        return
    interface = load_model(model).hetorch_interface
    assert isinstance(interface, Interface)
    scores = outputs(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(interface.labels(scores), model.predict(X))
        if hasattr(model, "predict_proba"):
            np.testing.assert_allclose(interface.probabilities(scores), model.predict_proba(X), atol=1e-6)
        else:
            with pytest.raises(InputError, match="no probabilities"):
                interface.probabilities(scores)


def accepted() -> Iterator[str]:
    for name, kind in all_estimators():
        room = kind.__module__.split(".")[1]
        if (
            room in ROOMS
            and not name.endswith("CV")
            and any(_accepts(fitted(kind, target)) for target in TARGETS)
        ):
            yield name


def _accepts(model: Any) -> bool:
    try:
        return model is not None and load_model(model) is not None
    except HetorchError:
        return False


def settings(kind: Any) -> Iterator[tuple[str, Any]]:
    """Return values of each parameter, other than its default, from its constraints in scikit-learn."""
    defaults = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    for name, constraints in kind._parameter_constraints.items():
        if name in IRRELEVANT or name not in defaults or not isinstance(constraints, list):
            continue
        values: list[Any] = []
        for constraint in constraints:
            if isinstance(constraint, Options):
                values += sorted(constraint.options, key=str)
            elif isinstance(constraint, Interval):
                values += [2] if "Integral" in str(constraint.type) else [0.25]
            elif isinstance(constraint, str) and constraint == "boolean":
                values += [False, True]
        yield from ((name, value) for value in values if value != defaults[name])


ACCEPTED = tuple(accepted())


def test_the_family_is_the_one_that_the_advice_names() -> None:
    assert {
        "LinearRegression",
        "Ridge",
        "LogisticRegression",
        "SGDClassifier",
        "LinearSVC",
        "MLPRegressor",
    } <= {*ACCEPTED}
    assert {"OneHotEncoder", "OrdinalEncoder", "TargetEncoder", "SimpleImputer"} <= {*ACCEPTED}
    assert {"StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler", "PCA", "TruncatedSVD"} <= {
        *ACCEPTED
    }


@pytest.mark.parametrize("name", ACCEPTED)
def test_each_parameter_is_honoured_or_refused(name: str) -> None:
    kind = dict(all_estimators())[name]
    for parameter, value in [("", None), *settings(kind)]:
        options = LINEAR.get(name, {}) | ({parameter: value} if parameter else {})
        for target in TARGETS:
            model = fitted(partial(kind, **options), target)
            if _accepts(model):
                check(model)
                break


def test_parameters_that_were_once_ignored() -> None:
    check(preprocessing.StandardScaler(with_mean=False).fit(X))
    if "loss" in neural_network.MLPRegressor().get_params():
        check(fitted(lambda: neural_network.MLPRegressor(loss="poisson"), LINE))
    check(linear_model.SGDClassifier(random_state=0).fit(X, TWO).sparsify())


class Clipped(linear_model.LinearRegression):  # type: ignore[misc]
    def predict(self, data: Any) -> Any:
        return np.clip(super().predict(data), 0, 1)


def test_a_class_that_computes_something_else_is_refused() -> None:
    with pytest.raises(
        UnsupportedModelError, match="Clipped computes something else than its fitted attributes"
    ):
        load_model(Clipped().fit(X, LINE))


def _log(data: Any) -> Any:
    return torch.log1p(data.square()) if isinstance(data, torch.Tensor) else np.log1p(np.square(data))


SCALED = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
UNWRAPPED: dict[str, tuple[Any, Any]] = {
    "search": (model_selection.GridSearchCV(SCALED, {"logisticregression__C": [0.1, 1.0]}, cv=2), TWO),
    "random search": (
        model_selection.RandomizedSearchCV(linear_model.Ridge(), {"alpha": [0.1, 1.0]}, n_iter=1, cv=2), LINE
    ),
    "one against the rest": (multiclass.OneVsRestClassifier(SCALED), THREE),
    "one against the rest of two": (multiclass.OneVsRestClassifier(svm.LinearSVC()), TWO),
    "several regressions": (multioutput.MultiOutputRegressor(linear_model.Ridge()), TARGETS[3]),
    "average": (
        ensemble.VotingRegressor(
            [("a", linear_model.Ridge()), ("b", linear_model.Lasso(0.1)), ("c", "drop")], weights=[1, 3, 5]
        ),
        LINE,
    ),
    "average of equals": (
        ensemble.VotingRegressor([("a", linear_model.Ridge()), ("b", linear_model.Lasso(0.1))]), LINE
    ),
    "union": (
        pipeline.make_pipeline(
            pipeline.FeatureUnion(
                [("a", preprocessing.StandardScaler()), ("b", "passthrough"), ("c", preprocessing.MinMaxScaler())],
                transformer_weights={"c": 0.5},
            ),
            linear_model.Ridge(),
        ),
        LINE,
    ),
    "function of torch": (pipeline.make_pipeline(preprocessing.FunctionTransformer(_log), linear_model.Ridge()), LINE),
    "function of numpy": (
        pipeline.make_pipeline(
            preprocessing.FunctionTransformer(np.abs), preprocessing.FunctionTransformer(np.log1p), linear_model.Ridge()
        ),
        LINE,
    ),
    "nothing": (pipeline.make_pipeline(preprocessing.FunctionTransformer(), "passthrough"), None),
    "without outliers": (linear_model.RANSACRegressor(random_state=0), LINE),
    "scaled target": (
        compose.TransformedTargetRegressor(linear_model.Ridge(), transformer=preprocessing.StandardScaler()), LINE
    ),
    "logarithm of the target": (
        compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.log, inverse_func=np.exp), LINE
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNWRAPPED)
def test_estimators_that_hold_others(name: str) -> None:
    model, target = UNWRAPPED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(model.fit(X, target))


def test_several_classifiers_are_scores_side_by_side() -> None:
    model = multioutput.MultiOutputClassifier(SCALED).fit(X, np.stack([TWO, THREE], axis=1))
    expected = [part.decision_function(X).reshape(len(X), -1) for part in model.estimators_]
    np.testing.assert_allclose(outputs(model), np.concatenate(expected, axis=1), atol=1e-8)


LOGISTIC = linear_model.LogisticRegression()
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "voting": (ensemble.VotingClassifier([("a", LOGISTIC)], voting="soft"), TWO, "compile each of its estimators_"),
    "stacking": (ensemble.StackingClassifier([("a", LOGISTIC)], cv=2), TWO, "final_estimator_"),
    "one against one": (multiclass.OneVsOneClassifier(LOGISTIC), THREE, "use OneVsRestClassifier"),
    "chain": (multioutput.RegressorChain(linear_model.Ridge()), TARGETS[3], "use MultiOutputRegressor"),
    "function": (preprocessing.FunctionTransformer(lambda x: np.where(x > 0, x, 0.0)), None, "write it with torch"),
    "lda as a step": (
        pipeline.make_pipeline(discriminant_analysis.LinearDiscriminantAnalysis(), LOGISTIC), THREE, "is not supported"
    ),
    "ranks of the target": (
        compose.TransformedTargetRegressor(
            linear_model.Ridge(), transformer=preprocessing.QuantileTransformer(n_quantiles=5)
        ),
        LINE, "is not supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_decides_inside_is_refused_with_what_works(name: str) -> None:
    model, target, advice = REFUSED[name]
    with pytest.raises(UnsupportedModelError, match=advice):
        load_model(model.fit(X, target))
