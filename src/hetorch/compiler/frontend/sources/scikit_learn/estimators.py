"""A fitted estimator of scikit-learn as a module, which is checked against the estimator itself."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.marks import CHECK_MARK, INTERFACE_MARK, NOTE_MARK
from hetorch.compiler.frontend.sources.scikit_learn.classes import class_scores
from hetorch.compiler.frontend.sources.scikit_learn.encoders import Raw
from hetorch.compiler.frontend.sources.scikit_learn.parts import KNOWN, Array
from hetorch.compiler.frontend.sources.scikit_learn.predictors import predictor
from hetorch.compiler.frontend.sources.scikit_learn.preparation import Preparation, needs_client, table_names
from hetorch.compiler.frontend.sources.scikit_learn.transformers import transformer
from hetorch.compiler.frontend.sources.scikit_learn.wrappers import wrapped
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.plan.class_scores import ClassScores
from hetorch.plan.columns import Columns
from hetorch.plan.interface import Interface

CHECKED_SAMPLES = 16
"""Number of random samples on which a module is compared with its estimator."""
CHECK_TOLERANCE = 1e-4
"""Largest accepted difference between them, relative to the largest output if that exceeds 1. Rounding of estimators
that compute in float32 stays below 1e-5; a higher tolerance would let a misread parameter pass."""


def is_estimator(model: object) -> bool:
    """Return True if an object has the methods of a scikit-learn estimator."""
    return hasattr(model, "get_params") and (hasattr(model, "fit") or hasattr(model, "steps"))


def estimator_module(model: Any) -> torch.nn.Module:
    """Return a module, in float64, that computes what a fitted estimator computes.

    The module of a classifier returns its scores (decision_function, or the arguments of softmax or the logistic
    function); the client computes probabilities and classes from them. The module of a pipeline with categories or
    imputers begins at the numbers that the client makes of the columns. Its mark INTERFACE_MARK has the client's part.

    Raises:
        UnsupportedModelError: the estimator is not known, or one of its parameters is not.
        InputError: it is not fitted.
    """
    name = type(model).__name__
    columns, module = _read_columns(model)
    module = _named(module.eval(), name)
    classes = _classes(model)
    if hasattr(model, "classes_") and hasattr(model, "predict"):
        note = f"{name}: results are scores, one a class (one for two classes); the sigmoid or softmax of predict_proba"
        setattr(module, NOTE_MARK, f"{note} and the choice of predict are left to the client")
    setattr(module, INTERFACE_MARK, Interface(columns=columns, classes=classes))
    setattr(module, CHECK_MARK, _Check(model, module, columns))
    return module


class _Check:
    """The comparison of an estimator with its module and the client's `columns`, if these compute anything; a copy of
    the module keeps the same estimator."""

    def __init__(self, model: Any, module: torch.nn.Module, columns: Columns | None) -> None:
        self.model, self.module, self.columns = model, module, columns

    def __deepcopy__(self, memo: object) -> _Check:
        return self

    def __call__(self, raw: Any, samples: Array) -> None:
        """Raise an UnsupportedModelError if they differ on samples, which are `raw` for the estimator."""
        if self.columns is None or not self.columns.features:
            return
        if isinstance(raw, Mapping):
            pandas = sys.modules.get("pandas")  # whoever fitted on its tables has loaded it
            if pandas is None:
                return
            raw = pandas.DataFrame(raw)
        if hasattr(raw, "columns") and self.columns.names:
            raw = raw[[name for name in self.columns.names if name in raw.columns]]
        _compare(self.model, self.module, raw, samples, transforms=not hasattr(self.model, "predict"))


def _read_columns(model: Any) -> tuple[Columns | None, torch.nn.Module]:
    """Return the client's part of an estimator's inputs, None if it takes arrays without names, and its module."""
    kind = type(model).__name__
    if hasattr(model, "best_estimator_"):
        return _read_columns(model.best_estimator_)
    if kind == "TransformedTargetRegressor" and hasattr(model, "regressor_"):
        inner: list[Columns | None] = []

        def read(regressor: Any) -> torch.nn.Module:
            columns, module = _read_columns(regressor)
            inner.append(columns)
            return module

        module = wrapped(model, read, _read_transformer)
        assert module is not None
        return inner[0], module
    names, count = table_names(model), getattr(model, "n_features_in_", None)
    if not needs_client(model) or count is None:
        return (Columns(names, len(names)) if names else None), _read(model)
    steps = [step for _, step in getattr(model, "steps", [("", model)])]
    last = steps.pop() if hasattr(steps[-1], "predict") else None
    if last is not None and needs_client(last):
        raise UnsupportedModelError(
            f"{kind}: encoders and imputers inside {type(last).__name__} are not supported; put them before it, as a "
            "step of the pipeline"
        )
    preparation = Preparation(tuple(Raw(column) for column in range(count)))
    for step in steps:
        preparation = preparation.then(step, _read_transformer)
    modules = [*preparation.modules, *([] if last is None else [_read(last)])]
    return preparation.columns(names, count), torch.nn.Sequential(*modules)


def _classes(model: Any) -> tuple[ClassScores, ...]:
    """Return the classifiers whose scores the module of an estimator computes."""
    if hasattr(model, "steps"):
        return _classes(model.steps[-1][1])
    if hasattr(model, "best_estimator_"):
        return _classes(model.best_estimator_)
    if type(model).__name__ == "MultiOutputClassifier":
        parts = [_classes(part) for part in model.estimators_]
        return tuple(part[0] for part in parts) if all(parts) else ()
    if not hasattr(model, "predict") or not (hasattr(model, "classes_") or hasattr(model, "offset_")):
        return ()
    module = _read(model)

    def scores(samples: Array) -> Array:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(samples)).numpy())

    return class_scores(model, scores)


def _named(module: torch.nn.Module, name: str) -> torch.nn.Module:
    """Return the module under the name of the estimator, for error messages and plans."""
    wrapper = torch.nn.Sequential if isinstance(module, torch.nn.Sequential) else type(module)
    module.__class__ = type(name, (wrapper,), {"__module__": __name__})
    return module


def _read(model: Any) -> torch.nn.Module:
    """Return the module of what an estimator predicts, or transforms if it does not predict."""
    module = wrapped(model, _read, _read_transformer)
    module = transformer(model) if module is None else module
    module = predictor(model) if module is None else module
    if module is None:
        raise _unknown(model)
    _check(model, module, transforms=not hasattr(model, "predict"))
    return module


def _read_transformer(model: Any) -> torch.nn.Module:
    """Return the module of what an estimator transforms, also if it predicts as well (a Pipeline)."""
    module = wrapped(model, _read_transformer, _read_transformer)
    module = transformer(model) if module is None else module
    if module is None:
        raise _unknown(model)
    _check(model, module, transforms=True)
    return module


def _unknown(model: Any) -> InputError | UnsupportedModelError:
    kind = type(model).__name__
    if is_estimator(model) and not any(
        name.endswith("_") and not name.startswith("_") for name in vars(model)
    ):
        return InputError(f"{kind} is not fitted; call fit before compiling")
    if needs_client(model):
        return UnsupportedModelError(
            f"{kind} is computed by the client, before encryption: put it before all other steps, in a pipeline around "
            "the whole model"
        )
    return UnsupportedModelError(f"{kind} is not supported; {KNOWN}")


def _check(model: Any, module: torch.nn.Module, *, transforms: bool) -> None:
    """Raise an UnsupportedModelError if the module computes something else than the estimator on random samples.

    A parameter that was not read (a new one of scikit-learn, or of a class that is derived from one of its classes)
    shows itself here.
    """
    size = getattr(model, "n_features_in_", None)
    if size is None:
        return
    samples = np.random.default_rng(0).standard_normal((CHECKED_SAMPLES, size))
    _compare(model, module, samples, samples, transforms=transforms)


def _compare(model: Any, module: torch.nn.Module, raw: Any, samples: Array, *, transforms: bool) -> None:
    """Raise an UnsupportedModelError if a module computes something else on `samples` than the estimator on `raw`."""
    truth = _truth(model, raw, transforms=transforms)
    if truth is None:
        return
    with torch.no_grad():
        own = module(torch.from_numpy(samples)).numpy()
    if not transforms and _has_probabilities_only(model):
        own = np.concatenate([np.zeros_like(own), own], axis=1) if own.shape[1] == 1 else own
        own = own - own.mean(axis=1, keepdims=True)
    finite = np.isfinite(truth)
    largest = CHECK_TOLERANCE * max(1.0, float(np.abs(truth[finite]).max(initial=0.0)))
    if own.shape != truth.shape or not np.all(np.abs(own - truth)[finite] <= largest):
        raise UnsupportedModelError(
            f"{type(model).__name__} computes something else than its fitted attributes say, as one of its parameters "
            f"may ask; {KNOWN}"
        )


def _has_probabilities_only(model: Any) -> bool:
    return hasattr(model, "predict_proba") and not hasattr(model, "decision_function")


def _truth(model: Any, samples: Any, *, transforms: bool) -> Array | None:
    """Return what the estimator itself computes, (samples, outputs); None if it does not say it for such samples.

    Of a classifier without decision_function these are the logarithms of its probabilities, centred.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            if transforms:
                values = model.transform(samples)
            elif _has_probabilities_only(model):
                values = np.log(model.predict_proba(samples))
                values = values - values.mean(axis=1, keepdims=True)
            else:
                values = (model.decision_function if hasattr(model, "decision_function") else model.predict)(
                    samples
                )
            values = values.toarray() if hasattr(values, "toarray") else values
            array: Array = np.asarray(values, dtype=np.float64)
        except Exception:
            return None
    # The probabilities of several outputs are a list, with the samples along its second axis.
    return array.reshape(len(samples), -1) if array.ndim <= 2 and len(array) == len(samples) else None
