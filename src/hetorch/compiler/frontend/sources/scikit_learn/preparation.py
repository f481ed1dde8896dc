"""The part of a pipeline of scikit-learn that the client computes: raw columns to the numbers that are encrypted.

Imputers, encoders of categories and the scalers around them become the features of plan.columns. What they do not do
column by column (a PCA of some columns) stays a module, for the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.sources.scikit_learn.encoders import ENCODERS, Raw
from hetorch.compiler.frontend.sources.scikit_learn.parts import SideBySide
from hetorch.errors import UnsupportedModelError
from hetorch.plan.columns import Columns
from hetorch.plan.features import Category, Feature, Missing, Number, is_missing

Reader = Callable[[Any], torch.nn.Module]
Step = Raw | Feature

CLIENT_KINDS = frozenset({*ENCODERS, "ColumnTransformer", "SimpleImputer", "MissingIndicator"})
"""Classes of transformers that the client computes."""


def table_names(model: Any) -> tuple[str, ...]:
    """Return the names of the columns on which an estimator was fitted; none if they had no names."""
    return tuple(str(name) for name in getattr(model, "feature_names_in_", ()))


def needs_client(model: Any) -> bool:
    """Return True if a transformer, or one inside it, is computed by the client."""
    if type(model).__name__ in CLIENT_KINDS:
        return True
    return any(needs_client(part) for _, part in _parts(model))


def _parts(model: Any) -> list[tuple[str, Any]]:
    return [*getattr(model, "steps", ()), *getattr(model, "transformer_list", ())]


@dataclass(frozen=True, slots=True)
class Preparation:
    """The client's features so far, and the modules of the server that follow on them."""

    features: tuple[Step, ...]
    modules: tuple[torch.nn.Module, ...] = ()

    def columns(self, names: tuple[str, ...], count: int) -> Columns:
        """Return the client's part for a table of `count` columns; an UnsupportedModelError if it makes no number."""
        if not self.features:
            raise UnsupportedModelError("the steps of the pipeline make no column of the table")
        return Columns(names, count, tuple(_finished(feature) for feature in self.features))

    def then(self, step: Any, read: Reader) -> Preparation:
        """Return the preparation with one more transformer; `read` makes modules for the server.

        Raises:
            UnsupportedModelError: neither the client nor the server can compute it.
        """
        kind = type(step).__name__
        if step is None or (isinstance(step, str) and step == "passthrough"):
            return self
        if self.modules:
            return replace(self, modules=(*self.modules, read(step)))
        if hasattr(step, "steps"):
            result = self
            for _, part in step.steps:
                result = result.then(part, read)
            return result
        if kind == "ColumnTransformer":
            return _side_by_side(
                [_on_columns(self, step, name, part, read) for name, part, _ in step.transformers_]
            )
        if kind == "FeatureUnion":
            weights = step.transformer_weights or {}
            return _side_by_side(
                [
                    _weighted(self.then(part, read), weights.get(name, 1.0))
                    for name, part in step.transformer_list
                    if not (isinstance(part, str) and part == "drop")
                ]
            )
        if kind == "SimpleImputer":
            return Preparation(_imputed(step, self.features))
        if kind == "MissingIndicator":
            return Preparation(_indicators(step, self.features))
        if kind in ENCODERS:
            return Preparation(ENCODERS[kind](step, self.features))
        if kind == "MinMaxScaler" and step.clip:
            return Preparation(_clipped(step, self.features))
        module = read(step)
        if isinstance(module, torch.nn.Linear) and _is_diagonal(module):
            factors = module.weight.detach().numpy().diagonal()
            return Preparation(_scaled(self.features, factors, module.bias.detach().numpy()))
        return replace(self, modules=() if isinstance(module, torch.nn.Identity) else (module,))


def _on_columns(whole: Preparation, model: Any, name: str, part: Any, read: Reader) -> Preparation:
    """Return what a ColumnTransformer makes of the columns of one of its transformers."""
    if isinstance(part, str) and part == "drop":
        return Preparation(())
    places = list(model._transformer_to_input_indices[name])
    if any(_width(feature) != 1 for feature in whole.features):
        raise UnsupportedModelError(
            "ColumnTransformer after a step that makes several columns of one is not supported; put it first"
        )
    own = Preparation(tuple(whole.features[place] for place in places))
    if not places:
        return own
    return _weighted(own.then(part, read), (model.transformer_weights or {}).get(name, 1.0))


def _weighted(part: Preparation, weight: float) -> Preparation:
    if weight == 1.0:
        return part
    if part.modules:
        return replace(part, modules=(*part.modules, _Times(float(weight))))
    width = sum(map(_width, part.features))
    return Preparation(_scaled(part.features, np.full(width, float(weight)), np.zeros(width)))


def _side_by_side(parts: Sequence[Preparation]) -> Preparation:
    """Return several preparations of the same table as one, whose results are joined."""
    features = tuple(feature for part in parts for feature in part.features)
    if not any(part.modules for part in parts):
        return Preparation(features)
    modules, begin = [], 0
    for part in parts:
        end = begin + sum(map(_width, part.features))
        modules.append(torch.nn.Sequential(_Slice(begin, end), *part.modules))
        begin = end
    return Preparation(features, (SideBySide(modules),))


def _width(feature: Step) -> int:
    return 1 if isinstance(feature, Raw) else feature.width


def _finished(feature: Step) -> Feature:
    """Return a feature; a raw column is a number as it is."""
    if not isinstance(feature, Raw):
        return feature
    if feature.fill is None or isinstance(feature.fill, int | float):
        fill = None if feature.fill is None else float(feature.fill)
        return Number(feature.column, fill=fill, missing=feature.missing)
    raise UnsupportedModelError(
        f"the column {feature.column} holds text ({feature.fill!r} in place of missing values) that no encoder turns "
        "into numbers; add a OneHotEncoder or OrdinalEncoder"
    )


def _scaled(features: Sequence[Step], factors: Any, offsets: Any) -> tuple[Feature, ...]:
    """Return factor * x + offset of each number that the features make."""
    scaled: list[Feature] = []
    begin = 0
    for step in features:
        feature = _finished(step)
        own = slice(begin, begin + feature.width)
        begin += feature.width
        factor, offset = (
            np.asarray(factors[own], dtype=np.float64),
            np.asarray(offsets[own], dtype=np.float64),
        )
        if isinstance(feature, Category):
            scaled.append(
                replace(
                    feature,
                    factors=tuple((factor * feature.factors).tolist()),
                    offsets=tuple((factor * feature.offsets + offset).tolist()),
                )
            )
            continue
        a, b = float(factor[0]), float(offset[0])
        feature = replace(feature, factor=a * feature.factor, offset=a * feature.offset + b)
        if isinstance(feature, Number):
            low, high, fill = (
                None if v is None else a * v + b for v in (feature.low, feature.high, feature.fill)
            )
            feature = replace(feature, low=low, high=high, fill=fill)
            if a < 0:
                feature = replace(feature, low=high, high=low)
        scaled.append(feature)
    return tuple(scaled)


def _clipped(model: Any, features: Sequence[Step]) -> tuple[Feature, ...]:
    """Return the features of a MinMaxScaler that clips."""
    low, high = (float(bound) for bound in model.feature_range)
    scaled = []
    for feature in _scaled(features, model.scale_, model.min_):
        if not isinstance(feature, Number) or feature.low is not None or feature.high is not None:
            raise UnsupportedModelError("MinMaxScaler with clip=True works on columns of numbers only")
        fill = None if feature.fill is None else min(max(feature.fill, low), high)
        scaled.append(replace(feature, low=low, high=high, fill=fill))
    return tuple(scaled)


def _imputed(model: Any, features: Sequence[Step]) -> tuple[Step, ...]:
    """Return the features with the values of a SimpleImputer in place of missing ones."""
    marker = None if is_missing(model.missing_values) else model.missing_values
    filled: list[Step] = []
    _check_columns(model, features)
    for feature, statistic in zip(features, np.asarray(model.statistics_, dtype=object), strict=True):
        if is_missing(statistic):
            continue  # a column without any value in the training is dropped
        value = statistic.item() if isinstance(statistic, np.generic) else statistic
        filled.append(_with_fill(feature, value, marker))
    indicators = _indicators(model.indicator_, features) if model.add_indicator else ()
    return (*filled, *indicators)


def _with_fill(feature: Step, value: Any, marker: Any) -> Step:
    if isinstance(feature, Raw):
        return feature if feature.fill is not None else replace(feature, fill=value, missing=marker)
    if isinstance(feature, Number) and marker is None:
        return feature if feature.fill is not None else replace(feature, fill=float(value))
    if isinstance(feature, Category) and marker is None and not feature.one_hot:
        known = None in feature.categories or feature.fill is not None
        factor, offset = feature.factors[0], feature.offsets[0]
        return (
            feature
            if known
            else replace(
                feature,
                categories=(*feature.categories, None),
                codes=(*feature.codes, (float(value) - offset) / factor),
            )
        )
    raise UnsupportedModelError("SimpleImputer works on columns before they are encoded; put it first")


def _indicators(model: Any, features: Sequence[Step]) -> tuple[Feature, ...]:
    """Return the features of a MissingIndicator."""
    marker = None if is_missing(model.missing_values) else model.missing_values
    _check_columns(model, features)
    return tuple(Missing(features[int(place)].column, marker) for place in model.features_)


def _check_columns(model: Any, features: Sequence[Step]) -> None:
    if any(_width(feature) != 1 for feature in features):
        raise UnsupportedModelError(
            f"{type(model).__name__} works on columns before they are encoded; put it first"
        )


def _is_diagonal(module: torch.nn.Linear) -> bool:
    weight = module.weight.detach().numpy()
    square = bool(weight.shape[0] == weight.shape[1])
    return square and bool(np.count_nonzero(weight) == np.count_nonzero(weight.diagonal()))


class _Slice(torch.nn.Module):
    def __init__(self, begin: int, end: int) -> None:
        super().__init__()
        self.begin, self.end = begin, end

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.begin : self.end]


class _Times(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor
