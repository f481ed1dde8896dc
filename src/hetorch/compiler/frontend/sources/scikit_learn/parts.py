"""The modules, in float64, of which those of estimators are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

KNOWN = (
    "what works: linear and logistic regression, ridge, lasso, elastic net, SGD, linear support vectors, perceptrons "
    "(MLP), StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA, TruncatedSVD, FunctionTransformer of a "
    "function of torch or numpy, and what holds these: Pipeline, FeatureUnion, GridSearchCV, OneVsRestClassifier, "
    "MultiOutputRegressor, VotingRegressor; and first, computed by the client: ColumnTransformer, OneHotEncoder, "
    "OrdinalEncoder, TargetEncoder, SimpleImputer"
)
"""Advice for estimators that are not known."""


class Elementwise(torch.nn.Module):
    """A function of torch that is applied to the whole tensor."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the function of `x`."""
        return self.function(x)


class SideBySide(torch.nn.Module):
    """The results of several modules on one input, joined along the last axis."""

    def __init__(self, parts: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the joined results on `x`."""
        return torch.cat([part(x) for part in self.parts], dim=-1)


def linear(weight: Any, bias: Any) -> torch.nn.Linear:
    """Return x @ weight.T + bias, of `weight` (outputs, inputs) and one number for each output or for all."""
    matrix = np.array(weight, dtype=np.float64)
    layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0], dtype=torch.float64)
    offset = np.array(np.broadcast_to(np.asarray(bias, dtype=np.float64), matrix.shape[:1]))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(matrix))
        layer.bias.copy_(torch.from_numpy(offset))
    return layer


def scaling(factor: Any, offset: Any) -> torch.nn.Linear:
    """Return factor * x + offset, with one factor for each column."""
    return linear(np.diag(np.asarray(factor, dtype=np.float64)), offset)
