"""Estimators of scikit-learn that hold others: each is the module of what it holds, where that is linear outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.sources.scikit_learn.parts import SideBySide, linear
from hetorch.errors import UnsupportedModelError

Reader = Callable[[Any], torch.nn.Module]

_NEAREST = {
    "VotingClassifier": "compile each of its estimators_, and average their probabilities on the client",
    "StackingClassifier": "compile each of its estimators_ and its final_estimator_ as plans of their own",
    "CalibratedClassifierCV": "compile its estimator, or the estimator of one of its calibrated_classifiers_, and "
    "calibrate the scores on the client",
    "OneVsOneClassifier": "use OneVsRestClassifier, whose scores need no votes",
    "ClassifierChain": "use MultiOutputClassifier, whose outputs do not decide about one another",
    "RegressorChain": "use MultiOutputRegressor, whose outputs do not depend on one another",
}
"""Advice for estimators that decide, vote or average probabilities inside, by the names of their classes."""


def wrapped(model: Any, read: Reader, read_transformer: Reader) -> torch.nn.Module | None:
    """Return the module of an estimator that holds others; None if it is no such estimator.

    Args:
        model: the estimator.
        read: returns the module of an estimator that is held, for its scores or predictions.
        read_transformer: the same for what an estimator transforms.

    Raises:
        UnsupportedModelError: the estimator computes from what it holds what cannot be computed on encrypted data.
    """
    kind = type(model).__name__
    if kind in _NEAREST:
        raise UnsupportedModelError(f"{kind} is not supported; {_NEAREST[kind]}")
    if hasattr(model, "steps"):
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        last = [read(step) for step in steps[-1:]]
        return torch.nn.Sequential(*(read_transformer(step) for step in steps[:-1]), *last)
    if hasattr(model, "best_estimator_"):
        return read(model.best_estimator_)
    if kind == "RANSACRegressor" and hasattr(model, "estimator_"):
        return read(model.estimator_)
    if kind == "TransformedTargetRegressor" and hasattr(model, "regressor_"):
        return _transformed_target(model, read, read_transformer)
    if kind == "FeatureUnion":
        return _union(model, read_transformer)
    if kind in ("OneVsRestClassifier", "MultiOutputRegressor", "MultiOutputClassifier") and hasattr(
        model, "estimators_"
    ):
        return _beside(model, kind, read)
    if kind == "VotingRegressor" and hasattr(model, "estimators_"):
        return _average(model, read)
    return None


def _beside(model: Any, kind: str, read: Reader) -> torch.nn.Module:
    """Return the scores of all estimators side by side."""
    if any(type(part).__name__ == "_ConstantPredictor" for part in model.estimators_):
        raise UnsupportedModelError(
            f"{kind} has a class that all samples or none belong to; fit it without that one"
        )
    return SideBySide([read(part) for part in model.estimators_])


def _average(model: Any, read: Reader) -> torch.nn.Module:
    parts = SideBySide([read(part) for part in model.estimators_])
    weights = [
        w for (_, part), w in zip(model.estimators, model.weights or (), strict=False) if part != "drop"
    ]
    shares = np.asarray(weights or [1.0] * len(model.estimators_), dtype=np.float64)
    return torch.nn.Sequential(parts, linear((shares / shares.sum())[None], 0.0))


def _union(model: Any, read_transformer: Reader) -> torch.nn.Module:
    parts: list[torch.nn.Module] = []
    for name, step in model.transformer_list:
        if isinstance(step, str) and step == "drop":
            continue
        part = torch.nn.Identity() if isinstance(step, str) else read_transformer(step)
        weight = (model.transformer_weights or {}).get(name, 1.0)
        parts.append(part if weight == 1.0 else torch.nn.Sequential(part, _Times(float(weight))))
    return SideBySide(parts)


class _Times(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def _transformed_target(model: Any, read: Reader, read_transformer: Reader) -> torch.nn.Module:
    """Return the regressor and the inverse of a linear map of its target."""
    inner = read(model.regressor_)
    transformer = model.transformer_
    if type(transformer).__name__ == "FunctionTransformer":
        if transformer.inverse_func is None:
            return inner
        inverse = type(transformer)(transformer.inverse_func, kw_args=transformer.inv_kw_args)
        return torch.nn.Sequential(inner, read_transformer(inverse))
    line = read_transformer(transformer)
    if not isinstance(line, torch.nn.Linear) or line.weight.shape[0] != line.weight.shape[1]:
        raise UnsupportedModelError(
            f"TransformedTargetRegressor with {type(transformer).__name__} is not supported; compile its regressor_, "
            "and call inverse_transform of its transformer_ on the client"
        )
    back = np.linalg.inv(line.weight.detach().numpy())
    return torch.nn.Sequential(inner, linear(back, -back @ line.bias.detach().numpy()))
