"""Transformers of scikit-learn: scalers, projections and element-wise functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.sources.scikit_learn.parts import Elementwise, linear, scaling
from hetorch.errors import UnsupportedModelError

_PROJECTIONS = ("PCA", "TruncatedSVD", "IncrementalPCA")


def transformer(model: Any) -> torch.nn.Module | None:
    """Return the module of a transformer; None if it is not known or not fitted.

    Raises:
        UnsupportedModelError: a parameter of the transformer asks for what cannot be computed.
    """
    kind = type(model).__name__
    if kind == "FunctionTransformer":
        return _function(model)
    size = getattr(model, "n_features_in_", None)
    if size is None:
        return None
    if kind == "StandardScaler":
        return _standard(size, model.mean_ if model.with_mean else None, model.scale_)
    if kind == "RobustScaler":
        centre = model.center_ if model.with_centering else None
        return _standard(size, centre, model.scale_ if model.with_scaling else None)
    if kind == "MaxAbsScaler":
        _without_clip(model)
        return _standard(size, None, model.scale_)
    if kind == "MinMaxScaler":
        _without_clip(model)
        return scaling(model.scale_, model.min_)
    return _projection(model) if kind in _PROJECTIONS else None


def _standard(size: int, centre: Any, scale: Any) -> torch.nn.Module:
    """Return (x - centre) / scale, without one of them if it is None."""
    factor = 1.0 / (np.ones(size) if scale is None else np.asarray(scale, dtype=np.float64))
    return scaling(factor, -factor * (np.zeros(size) if centre is None else np.asarray(centre)))


def _without_clip(model: Any) -> None:
    if getattr(model, "clip", False):
        raise UnsupportedModelError(f"{type(model).__name__} with clip=True compares; use clip=False")


def _projection(model: Any) -> torch.nn.Module:
    components = np.asarray(model.components_, dtype=np.float64)
    mean = getattr(model, "mean_", None)
    if getattr(model, "whiten", False):
        components = components / np.sqrt(np.asarray(model.explained_variance_))[:, None]
    return linear(components, 0.0 if mean is None else -components @ np.asarray(mean))


def _function(model: Any) -> torch.nn.Module:
    """Return the function of a FunctionTransformer: that of torch with the name of numpy's, or itself if it takes
    tensors."""
    if model.func is None:
        return torch.nn.Identity()
    options = model.kw_args or {}
    function: Callable[..., Any] = model.func
    if isinstance(function, np.ufunc) and not options:
        function = getattr(torch, {"absolute": "abs"}.get(function.__name__, function.__name__), function)
    try:
        taken = isinstance(function(torch.ones(2, 2, dtype=torch.float64), **options), torch.Tensor)
    except Exception:
        taken = False
    if not taken:
        name = getattr(model.func, "__name__", repr(model.func))
        raise UnsupportedModelError(
            f"FunctionTransformer: its function {name} does not take tensors of torch; write it with torch, give one "
            "function of numpy such as np.log1p, or let the client compute it before encrypting"
        )
    return Elementwise(lambda x: function(x, **options))
