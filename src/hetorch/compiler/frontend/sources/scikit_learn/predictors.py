"""Linear models, linear support vectors and perceptrons of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.sources.scikit_learn.parts import KNOWN, Elementwise, linear
from hetorch.errors import UnsupportedModelError

_ACTIVATIONS: Mapping[str, Callable[[], torch.nn.Module]] = MappingProxyType(
    {
        "identity": torch.nn.Identity,
        "relu": torch.nn.ReLU,
        "tanh": torch.nn.Tanh,
        "logistic": torch.nn.Sigmoid,
    }
)


def predictor(model: Any) -> torch.nn.Module | None:
    """Return the module of a regressor or classifier; None if it is not known or not fitted.

    Raises:
        UnsupportedModelError: it computes more than a linear map, a perceptron or an exponential of them.
    """
    kind = type(model).__name__
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        return _perceptron(model)
    if getattr(model, "kernel", "linear") != "linear":
        raise UnsupportedModelError(f"{kind} with the kernel {model.kernel!r} is not supported; {KNOWN}")
    if kind in ("PLSRegression", "PLSCanonical", "CCA"):
        raise UnsupportedModelError(f"{kind} centres its inputs by numbers it does not show; {KNOWN}")
    if hasattr(model, "dual_coef_") and len(getattr(model, "classes_", ())) > 2:
        raise UnsupportedModelError(
            f"{kind} with {len(model.classes_)} classes has one score a pair of them and counts votes; use LinearSVC"
        )
    if not (hasattr(model, "coef_") and hasattr(model, "intercept_")):
        return None
    # A regression predicts a vector if it has one target; a classifier of two classes has one score.
    line = linear(np.atleast_2d(_dense(model.coef_)), np.atleast_1d(model.intercept_))
    if _predicts_exponential(model, kind):
        return torch.nn.Sequential(line, Elementwise(torch.exp))
    return line


def _dense(matrix: Any) -> Any:
    """Return the coefficients as an array; sparsify() makes them a sparse matrix."""
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


def _predicts_exponential(model: Any, kind: str) -> bool:
    """Return True for a generalised linear model whose link is the logarithm."""
    if kind == "TweedieRegressor":
        return bool(model.link == "log" or (model.link == "auto" and model.power > 0))
    return kind in ("PoissonRegressor", "GammaRegressor")


def _perceptron(model: Any) -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    count = len(model.coefs_)
    for number, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        layers.append(linear(np.asarray(weight).T, bias))
        if number < count - 1:
            layers.append(_ACTIVATIONS[model.activation]())
    # A classifier's softmax or logistic function is left to the client.
    if getattr(model, "out_activation_", "identity") == "exp":
        layers.append(Elementwise(torch.exp))
    return torch.nn.Sequential(*layers)
