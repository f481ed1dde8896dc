"""The columns of a table, and the numbers that the client computes from them before it encrypts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.plan.features import NAMED, TEXT_LENGTH, Feature, Number, feature_json, read_feature
from hetorch.plan.fields import Fields

MOST_COLUMNS = 1 << 16
"""Largest number of columns of a table, and of features made of them; a plan with more is refused."""
MOST_WIDTH = 1 << 22
"""Largest number of numbers that are made of one row; a plan with more is refused."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table, in the order in which an array has them, and the `features` that are computed from them.

    `names` are empty if the columns have none, and there are `count`. Without features the columns are the input as
    they are.
    """

    names: tuple[str, ...]
    count: int
    features: tuple[Feature, ...] = ()

    @property
    def width(self) -> int:
        """The number of numbers that are made of one row."""
        return sum(feature.width for feature in self.features) if self.features else self.count

    def read(self, value: object) -> object:
        """Return the numbers (rows, width) of a table, or (width,) of one row of it.

        A table is a DataFrame, a mapping from names to columns or a list of rows that map names to values, all in any
        order, or an array (rows, count) in the order of the columns. One row is a Series or a mapping from names to
        values, or an array (count,).
        Tensors and arrays of columns that need no computation are returned as they are.

        Raises:
            InputError: columns are missing or unknown, or a value is no number, missing, or an unknown category.
        """
        table = named_columns(value) if self.names or hasattr(value, "columns") else None
        if table is None:
            return self._read_array(value)
        columns, single = table
        if self.names:
            values = self._in_order(columns)
        elif len(columns) == self.count:
            values = list(columns.values())
        else:
            raise InputError(f"the table has {len(columns)} columns, the model takes {self.count}")
        rows = self._compute(values)
        return rows[0] if single else rows

    def _read_array(self, value: object) -> object:
        if not self.features:
            return value
        if hasattr(value, "detach"):
            value = value.detach().cpu()
        array = np.asarray(value, dtype=None if isinstance(value, np.ndarray) else object)
        if array.ndim not in (1, 2) or array.shape[-1] != self.count:
            raise InputError(
                f"the input has shape {array.shape}; the model takes a table of {self.count} columns, or one row of it"
            )
        rows = self._compute(list(np.atleast_2d(array).T))
        return rows[0] if array.ndim == 1 else rows

    def _in_order(self, columns: Mapping[str, Sequence[Any]]) -> list[Sequence[Any]]:
        needed = {feature.column for feature in self.features} if self.features else range(self.count)
        missing = [name for i, name in enumerate(self.names) if i in needed and name not in columns]
        unknown = [name for name in columns if name not in self.names]
        if missing or unknown:
            raise InputError(
                "; ".join(
                    f"{what} the column{'s' if len(names) > 1 else ''} {', '.join(map(str, names[:NAMED]))}"
                    f"{', ...' if len(names) > NAMED else ''}"
                    for what, names in (("the table lacks", missing), ("the model does not know", unknown))
                    if names
                )
                + f"; it was made for {', '.join(self.names[:20])}{', ...' if len(self.names) > 20 else ''}"
            )
        return [columns.get(name, ()) for name in self.names]

    def _compute(self, values: Sequence[Sequence[Any]]) -> Array:
        features = self.features or tuple(Number(i) for i in range(self.count))
        return np.concatenate([f.compute(values[f.column], self._name(f.column)) for f in features], axis=1)

    def source(self, place: int) -> tuple[str, float, float]:
        """Return the name of the column from which the number at `place` of a row (`read`) is made, its factor and its
        offset; 1 and 0 unless it is a scaled number."""
        if not self.features:
            return self._name(place), 1.0, 0.0
        ends = np.cumsum([feature.width for feature in self.features])
        feature = self.features[int(np.searchsorted(ends, place, side="right"))]
        name = self._name(feature.column)
        if isinstance(feature, Number) and feature.factor != 0:
            return name, feature.factor, feature.offset
        return name, 1.0, 0.0

    def _name(self, column: int) -> str:
        return self.names[column] if self.names else str(column)


def named_columns(value: object) -> tuple[dict[str, Sequence[Any]], bool] | None:
    """Return the columns of a table by name, and True if it is one row; None for anything else.

    InputError if two columns have the same name, or columns differ in length.
    """
    if hasattr(value, "columns") and hasattr(value, "__getitem__"):
        names = [str(name) for name in value.columns]
        if len(set(names)) < len(names):
            raise InputError("two columns of the table have the same name")
        return {str(name): list(np.asarray(value[name])) for name in value.columns}, False
    if hasattr(value, "to_dict") and hasattr(value, "index"):  # a Series of pandas
        value = value.to_dict()
    if isinstance(value, list | tuple) and value and all(isinstance(row, Mapping) for row in value):
        return _columns_of_rows(value), False
    if not isinstance(value, Mapping):
        return None
    columns = {str(name): column for name, column in value.items()}
    scalar = [np.ndim(column) == 0 for column in columns.values()]
    if all(scalar):
        return {name: [column] for name, column in columns.items()}, True
    lengths = {-1 if np.ndim(column) == 0 else len(column) for column in columns.values()}
    if len(lengths) > 1 or any(np.ndim(column) != 1 for column in columns.values()):
        raise InputError("the columns of the table must be lists of one length, or all of them single values")
    return columns, False


def _columns_of_rows(rows: Sequence[Mapping[Any, Any]]) -> dict[str, Sequence[Any]]:
    """Return the columns of rows that map names to values; InputError if they do not have the same names."""
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            differing = ", ".join(map(str, list(row.keys() ^ rows[0].keys())[:NAMED]))
            raise InputError(
                f"the rows of the table must have the same columns; row {number} and row 0 differ in {differing}"
            )
    return {str(name): [row[name] for row in rows] for name in rows[0]}


def columns_json(columns: Columns) -> dict[str, object]:
    """Return columns as plain data, which read_columns reads."""
    return {
        "names": list(columns.names),
        "count": columns.count,
        "features": [feature_json(feature) for feature in columns.features],
    }


def read_columns(fields: Fields) -> Columns:
    """Read the data of columns_json; the error of `fields` names what is wrong."""
    names = fields.texts("names", MOST_COLUMNS, TEXT_LENGTH)
    count = fields.integer("count", 1, MOST_COLUMNS)
    if names and (len(names) != count or len(set(names)) < count or not all(map(str.isprintable, names))):
        raise fields.error(f"names must be {count} different printable ones, or none")
    features = tuple(read_feature(child, count) for child in fields.children("features", MOST_COLUMNS))
    fields.done()
    columns = Columns(names, count, features)
    if columns.width > MOST_WIDTH:
        raise fields.error(f"at most {MOST_WIDTH} numbers may be made of a row")
    return columns
