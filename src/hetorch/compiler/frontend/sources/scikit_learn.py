"""Linear models, perceptrons, scalers and pipelines of scikit-learn as modules.

They are read by their fitted attributes; scikit-learn is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.marks import NOTE_MARK
from hetorch.errors import InputError, UnsupportedModelError

Array = NDArray[np.float64]

_ACTIVATIONS: dict[str, Callable[[], torch.nn.Module]] = {
    "identity": torch.nn.Identity,
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
    "logistic": torch.nn.Sigmoid,
}
KNOWN = (
    "what works: linear and logistic regression, ridge, lasso, elastic net, SGD, linear support vectors, perceptrons "
    "(MLP), StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA, TruncatedSVD, and pipelines of these"
)


def is_estimator(model: object) -> bool:
    """Return True if an object has the methods of a scikit-learn estimator."""
    return hasattr(model, "get_params") and (hasattr(model, "fit") or hasattr(model, "steps"))


def estimator_module(model: Any) -> torch.nn.Module:
    """Return a module, in float64, that computes what a fitted estimator computes.

    The module of a classifier returns its scores (decision_function, or the arguments of softmax or the logistic
    function); the client computes probabilities and classes from them.

    Raises:
        UnsupportedModelError: the estimator is not known.
        InputError: it is not fitted.
    """
    name = type(model).__name__
    module = _named(_module(model), name).eval()
    if hasattr(model, "classes_"):
        note = f"{name}: results are scores, one a class (one for two classes); the sigmoid or softmax of predict_proba"
        setattr(module, NOTE_MARK, f"{note} and the choice of predict are left to the client")
    return module


def _named(module: torch.nn.Module, name: str) -> torch.nn.Module:
    """Return the module under the name of the estimator, for error messages and plans."""
    wrapper = torch.nn.Sequential if isinstance(module, torch.nn.Sequential) else type(module)
    module.__class__ = type(name, (wrapper,), {"__module__": __name__})
    return module


def _module(model: Any) -> torch.nn.Module:
    if hasattr(model, "steps"):
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        return torch.nn.Sequential(*(_module(step) for step in steps))
    kind = type(model).__name__
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        return _perceptron(model)
    if kind == "StandardScaler" and hasattr(model, "n_features_in_"):
        size = model.n_features_in_
        mean = model.mean_ if model.mean_ is not None else np.zeros(size)
        scale = model.scale_ if model.scale_ is not None else np.ones(size)
        return _scaling(1.0 / np.asarray(scale), -np.asarray(mean) / np.asarray(scale))
    if kind == "MinMaxScaler" and hasattr(model, "min_"):
        if getattr(model, "clip", False):
            raise UnsupportedModelError("MinMaxScaler with clip=True compares; use clip=False")
        return _scaling(model.scale_, model.min_)
    if kind == "MaxAbsScaler" and hasattr(model, "scale_"):
        return _scaling(1.0 / np.asarray(model.scale_), np.zeros(len(model.scale_)))
    if kind == "RobustScaler" and hasattr(model, "n_features_in_"):
        size = model.n_features_in_
        centre = model.center_ if model.center_ is not None else np.zeros(size)
        scale = model.scale_ if model.scale_ is not None else np.ones(size)
        return _scaling(1.0 / np.asarray(scale), -np.asarray(centre) / np.asarray(scale))
    if kind in ("PCA", "TruncatedSVD", "IncrementalPCA") and hasattr(model, "components_"):
        return _projection(model)
    if getattr(model, "kernel", "linear") != "linear":
        raise UnsupportedModelError(f"{kind} with the kernel {model.kernel!r} is not supported; {KNOWN}")
    if kind in ("PLSRegression", "PLSCanonical", "CCA"):
        raise UnsupportedModelError(f"{kind} centres its inputs by numbers it does not show; {KNOWN}")
    if hasattr(model, "dual_coef_") and len(getattr(model, "classes_", ())) > 2:
        raise UnsupportedModelError(
            f"{kind} with {len(model.classes_)} classes has one score a pair of them and counts votes; use LinearSVC"
        )
    if hasattr(model, "coef_") and hasattr(model, "intercept_"):
        # A regression predicts a vector if it has one target; a classifier of two classes has one score.
        line = _linear(np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_))
        return torch.nn.Sequential(line, _Exponential()) if _predicts_exponential(model, kind) else line
    if is_estimator(model) and not any(
        name.endswith("_") and not name.startswith("_") for name in vars(model)
    ):
        raise InputError(f"{kind} is not fitted; call fit before compiling")
    raise UnsupportedModelError(f"{kind} is not supported; {KNOWN}")


def _predicts_exponential(model: Any, kind: str) -> bool:
    """Return True for a generalised linear model whose link is the logarithm."""
    if kind == "TweedieRegressor":
        return bool(model.link == "log" or (model.link == "auto" and model.power > 0))
    return kind in ("PoissonRegressor", "GammaRegressor")


class _Exponential(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()


def _perceptron(model: Any) -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    count = len(model.coefs_)
    for number, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        layers.append(_linear(np.asarray(weight).T, np.asarray(bias)))
        if number < count - 1:
            layers.append(_ACTIVATIONS[model.activation]())
    return torch.nn.Sequential(*layers)


def _projection(model: Any) -> torch.nn.Module:
    components = np.asarray(model.components_, dtype=np.float64)
    mean = getattr(model, "mean_", None)
    if getattr(model, "whiten", False):
        components = components / np.sqrt(np.asarray(model.explained_variance_))[:, None]
    offset = np.zeros(len(components)) if mean is None else -components @ np.asarray(mean)
    return _linear(components, offset)


def _scaling(factor: Any, offset: Any) -> torch.nn.Module:
    return _linear(np.diag(np.asarray(factor, dtype=np.float64)), np.asarray(offset, dtype=np.float64))


def _linear(weight: Array, bias: Array) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(weight, dtype=np.float64)))
        layer.bias.copy_(
            torch.from_numpy(np.array(np.broadcast_to(bias, weight.shape[:1]), dtype=np.float64))
        )
    return layer
