"""Encoders of categories as features that the client computes: OneHotEncoder, OrdinalEncoder, TargetEncoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from hetorch.errors import UnsupportedModelError
from hetorch.plan.features import Category, Feature, is_missing
from hetorch.plan.fields import Cell


@dataclass(frozen=True, slots=True)
class Raw:
    """A column as it comes, with `fill` in place of missing values (None and NaN, or `missing`) unless it is None."""

    column: int
    missing: Cell = None
    fill: Cell = None


Steps = Sequence[Raw | Feature]


def _one_hot(model: Any, features: Steps) -> tuple[Feature, ...]:
    made = []
    dropped: Any = model.drop_idx_ if model.drop_idx_ is not None else [None] * len(model.categories_)
    for number, raw in enumerate(_raw(model, features)):
        groups, infrequent = _groups(model, number)
        count = max(groups) + 1
        left_out = None if dropped[number] is None else groups[int(dropped[number])]
        places = [_place(group, left_out) for group in groups]
        unknown: int | None = None if model.handle_unknown == "error" else -1
        if model.handle_unknown in ("infrequent_if_exist", "warn") and infrequent is not None:
            unknown = _place(infrequent, left_out)
        width = count - (left_out is not None)
        if width:
            made.append(_category(raw, model.categories_[number], places, unknown, width))
    return tuple(made)


def _place(group: int, left_out: int | None) -> int:
    """Return the place of a group of categories, without the one that is left out; -1 for this one."""
    if left_out is None or group < left_out:
        return group
    return -1 if group == left_out else group - 1


def _ordinal(model: Any, features: Steps) -> tuple[Feature, ...]:
    made = []
    for number, raw in enumerate(_raw(model, features)):
        groups, _ = _groups(model, number)
        codes = [
            model.encoded_missing_value if is_missing(category) else code
            for category, code in zip(model.categories_[number], groups, strict=True)
        ]
        unknown = model.unknown_value if model.handle_unknown == "use_encoded_value" else None
        made.append(_category(raw, model.categories_[number], codes, unknown, 0))
    return tuple(made)


def _target(model: Any, features: Steps) -> tuple[Feature, ...]:
    made = []
    raws = _raw(model, features)
    means = np.atleast_1d(model.target_mean_)
    for number, encoding in enumerate(model.encodings_):
        column, target = divmod(number, len(means))
        made.append(_category(raws[column], model.categories_[column], encoding, means[target], 0))
    return tuple(made)


ENCODERS: Mapping[str, Callable[[Any, Steps], tuple[Feature, ...]]] = MappingProxyType(
    {"OneHotEncoder": _one_hot, "OrdinalEncoder": _ordinal, "TargetEncoder": _target}
)
"""Functions that return the features of an encoder on raw columns, by the name of its class."""


def _raw(model: Any, features: Steps) -> list[Raw]:
    raws = [feature for feature in features if isinstance(feature, Raw)]
    if len(raws) < len(features):
        raise UnsupportedModelError(
            f"{type(model).__name__} works on columns as they come, or after a SimpleImputer; put it first"
        )
    return raws


def _groups(model: Any, number: int) -> tuple[list[int], int | None]:
    """Return the number of the group of each category of a column, and the group of the infrequent ones, which share
    the last one, or None."""
    categories = model.categories_[number]
    lists = getattr(model, "infrequent_categories_", None)
    rare = [] if lists is None or lists[number] is None else list(lists[number])
    if not rare:
        return list(range(len(categories))), None
    is_rare = [any(category is item or category == item for item in rare) for category in categories]
    last = len(categories) - sum(is_rare)
    frequent = iter(range(last))
    return [last if rare_one else next(frequent) for rare_one in is_rare], last


def _category(raw: Raw, categories: Any, codes: Any, unknown: Any, width: int) -> Category:
    """Return the feature of a raw column; `width` is that of a row of zeros with a one, or 0 for the codes themselves.

    A missing value whose code is not a number is left out: the client refuses it.
    """
    cells: list[Cell] = []
    kept: list[float] = []
    for category, code in zip(categories, codes, strict=True):
        value = None if is_missing(category) else category
        value = value.item() if isinstance(value, np.generic) else value
        if value is not None and not isinstance(value, str | int | float):
            raise UnsupportedModelError(
                f"categories must be text, numbers or truth values, got {type(value).__name__}"
            )
        if np.isfinite(code):
            cells.append(value)
            kept.append(float(code))
    if len(set(cells)) < len(cells):
        raise UnsupportedModelError("None and NaN in one column are two categories; replace one of them")
    return Category(
        column=raw.column,
        categories=tuple(cells),
        codes=tuple(kept),
        one_hot=width > 0,
        factors=(1.0,) * max(width, 1),
        offsets=(0.0,) * max(width, 1),
        unknown=None if unknown is None or not np.isfinite(unknown) else float(unknown),
        fill=raw.fill,
        missing=raw.missing,
    )
