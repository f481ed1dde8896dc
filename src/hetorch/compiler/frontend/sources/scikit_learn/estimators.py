"""A fitted estimator of scikit-learn as a module, which is checked against the estimator itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.marks import NOTE_MARK
from hetorch.compiler.frontend.sources.scikit_learn.parts import KNOWN, Array
from hetorch.compiler.frontend.sources.scikit_learn.predictors import predictor
from hetorch.compiler.frontend.sources.scikit_learn.transformers import transformer
from hetorch.compiler.frontend.sources.scikit_learn.wrappers import wrapped
from hetorch.errors import InputError, UnsupportedModelError

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
    function); the client computes probabilities and classes from them.

    Raises:
        UnsupportedModelError: the estimator is not known, or one of its parameters is not.
        InputError: it is not fitted.
    """
    name = type(model).__name__
    module = _named(_read(model).eval(), name)
    if hasattr(model, "classes_"):
        note = f"{name}: results are scores, one a class (one for two classes); the sigmoid or softmax of predict_proba"
        setattr(module, NOTE_MARK, f"{note} and the choice of predict are left to the client")
    return module


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
    truth = _truth(model, samples, transforms=transforms)
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


def _truth(model: Any, samples: Array, *, transforms: bool) -> Array | None:
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
            array: Array = np.asarray(values, dtype=np.float64)
        except Exception:
            return None
    # The probabilities of several outputs are a list, with the samples along its second axis.
    return array.reshape(len(samples), -1) if array.ndim <= 2 and len(array) == len(samples) else None
