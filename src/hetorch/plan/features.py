"""The features that the client computes from one column of a table: scaled numbers, codes of categories, gaps.

Their constants are data of the model's training, which every client of the plan sees.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.plan.fields import LARGEST, Cell, Fields

MOST_CATEGORIES = 1 << 20
"""Largest number of categories of one column; a plan with more is refused."""
TEXT_LENGTH = 1000
"""Most characters in a category or the name of a column."""
NAMED = 5
"""Number of columns or categories that a message names."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Number:
    """factor * x + offset of a column of numbers, clipped to [low, high]; `fill`, where the value is missing.

    Missing are None, NaN and empty text, and values equal to `missing`.
    """

    column: int
    factor: float = 1.0
    offset: float = 0.0
    fill: float | None = None
    missing: Cell = None
    low: float | None = None
    high: float | None = None

    @property
    def width(self) -> int:
        return 1

    def compute(self, values: Sequence[Any], name: str) -> Array:
        """Return the feature (rows, 1) of a column's values."""
        gaps = [_is_gap(value, self.missing) for value in values]
        numbers = [
            0.0 if gap else _number(value, name, row)
            for row, (value, gap) in enumerate(zip(values, gaps, strict=True))
        ]
        feature = self.factor * np.asarray(numbers, dtype=np.float64) + self.offset
        if self.low is not None or self.high is not None:
            feature = np.clip(feature, self.low, self.high)
        if any(gaps):
            if self.fill is None:
                raise InputError(
                    f"the column {name} has no value in row {gaps.index(True)}, and the model does not replace "
                    "missing values"
                )
            feature = np.where(gaps, self.fill, feature)
        return feature[:, np.newaxis]


@dataclass(frozen=True, slots=True)
class Missing:
    """1 where a value of the column is missing, else 0."""

    column: int
    missing: Cell = None
    factor: float = 1.0
    offset: float = 0.0

    @property
    def width(self) -> int:
        return 1

    def compute(self, values: Sequence[Any], name: str) -> Array:
        """Return the feature (rows, 1) of a column's values."""
        gaps = [[_is_gap(value, self.missing)] for value in values]
        return self.factor * np.asarray(gaps, dtype=np.float64).reshape(-1, 1) + self.offset


@dataclass(frozen=True, slots=True)
class Category:
    """The code of a category, or a row of zeros with a one at the place that its code names, and then factors * row +
    offsets.

    columns     the column
    categories  its categories; None stands for missing values
    codes       a code for each category: a number or, if `one_hot`, a place from 0 on, or -1 for zeros only
    unknown     the code of any other value; None if other values are refused
    fill        the category of missing values; None if they are a category, or refused
    missing     a value that is missing besides None and NaN
    """

    column: int
    categories: tuple[Cell, ...]
    codes: tuple[float, ...]
    one_hot: bool
    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    unknown: float | None = None
    fill: Cell = None
    missing: Cell = None

    @property
    def width(self) -> int:
        return len(self.factors)

    def problem(self) -> str | None:
        """Return what does not go together, or None."""
        codes = self.codes if self.unknown is None else (*self.codes, self.unknown)
        if len(self.codes) != len(self.categories) or len(self.offsets) != self.width:
            return "a category needs one code, and each number one factor and one offset"
        if self.one_hot and not all(code.is_integer() and -1 <= code < self.width for code in codes):
            return f"places must be whole numbers from -1 to {self.width - 1}"
        return None if self.one_hot or self.width == 1 else "codes make one number"

    def compute(self, values: Sequence[Any], name: str) -> Array:
        """Return the features (rows, width) of a column's values."""
        known: dict[Any, float] = dict(zip(self.categories, self.codes, strict=True))
        codes = np.array([self._code(known, value, name, row) for row, value in enumerate(values)])
        if self.one_hot:
            rows = np.zeros((len(values), self.width))
            chosen = np.flatnonzero(codes >= 0)
            rows[chosen, codes[chosen].astype(np.int64)] = 1.0
        else:
            rows = codes.reshape(-1, 1)
        return np.asarray(rows * np.asarray(self.factors) + np.asarray(self.offsets))

    def _code(self, known: Mapping[Any, float], value: Any, name: str, row: int) -> float:
        missing = _is_gap(value, self.missing) and not (value == "" and "" in known)
        value = self.fill if missing else _plain(value)
        code = known.get(value) if isinstance(value, Hashable) else None
        if code is None and isinstance(value, str):
            code = known.get(_parsed(value))
        if code is None:
            code = self.unknown
        if code is None:
            shown = "no value" if value is None else repr(value)[:60]
            some = ", ".join(map(repr, self.categories[:NAMED])) + (
                ", ..." if len(self.categories) > NAMED else ""
            )
            raise InputError(
                f"the column {name} has {shown} in row {row}, which the model was not trained on; it knows {some}"
            )
        return code


Feature = Number | Missing | Category
_KINDS: Mapping[str, type[Feature]] = MappingProxyType(
    {"number": Number, "missing": Missing, "category": Category}
)


def is_missing(value: object) -> bool:
    """Return True for None, NaN, and the missing values of pandas."""
    return (
        value is None
        or (isinstance(value, float | np.floating) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
    )


def _is_gap(value: Any, marker: Cell) -> bool:
    """Return True for a missing value, an empty text, as files have it, and a value equal to `marker`."""
    if is_missing(value) or (isinstance(value, str) and value == ""):
        return True
    if marker is None:
        return False
    return bool(value == marker or (isinstance(value, str) and _parsed(value) == marker))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _parsed(text: str) -> float | str:
    """Return the number that a text from a file spells, or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _number(value: Any, name: str, row: int) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(
            f"the column {name} has {repr(value)[:60]} in row {row}, which is no number"
        ) from None


def feature_json(feature: Feature) -> dict[str, object]:
    """Return a feature as plain data, which read_feature reads."""
    kind = next(name for name, known in _KINDS.items() if isinstance(feature, known))
    data: dict[str, object] = {"kind": kind}
    for name in type(feature).__dataclass_fields__:
        value = getattr(feature, name)
        data[name] = list(value) if isinstance(value, tuple) else int(value) if name == "one_hot" else value
    return data


def read_feature(fields: Fields, count: int) -> Feature:
    """Read the data of feature_json for a table of `count` columns; the error of `fields` names what is wrong."""
    kind = fields.text("kind", 20)
    column = fields.integer("column", 0, count - 1)
    missing = fields.cell("missing", TEXT_LENGTH)
    feature: Feature
    if kind == "category":
        feature = Category(
            column,
            fields.cells("categories", MOST_CATEGORIES, TEXT_LENGTH),
            fields.numbers("codes", -LARGEST, LARGEST, MOST_CATEGORIES),
            bool(fields.integer("one_hot", 0, 1)),
            fields.numbers("factors", -LARGEST, LARGEST, MOST_CATEGORIES),
            fields.numbers("offsets", -LARGEST, LARGEST, MOST_CATEGORIES),
            fields.optional_number("unknown"),
            fields.cell("fill", TEXT_LENGTH),
            missing,
        )
        if feature.problem() is not None:
            raise fields.error(str(feature.problem()))
    elif kind in ("number", "missing"):
        factor, offset = (fields.number(name, -LARGEST, LARGEST) for name in ("factor", "offset"))
        if kind == "missing":
            feature = Missing(column, missing, factor, offset)
        else:
            fill, low, high = (fields.optional_number(name) for name in ("fill", "low", "high"))
            feature = Number(column, factor, offset, fill, missing, low, high)
    else:
        raise fields.error(f"a feature is a {' or '.join(_KINDS)}, got {kind!r}")
    fields.done()
    return feature
