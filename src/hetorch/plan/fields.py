"""Strict reading of untrusted JSON: each field is read by its name, type and range."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import HetorchError
from hetorch.format_version import tell_other_version

Cell = str | int | float | bool | None
"""A value of a table as JSON has it; None is a missing value."""
LARGEST = 1e300
"""Largest absolute value of a number in a plan: sums of a few such numbers stay finite."""


class Fields:
    """One JSON object whose fields are read one by one.

    `where` names the object in messages. `fail` makes an error from a sentence; every reading method raises this error
    for a field that is missing, of the wrong type or out of range. `done` refuses fields that were never read.
    """

    __slots__ = ("_data", "_fail", "_left", "_where")

    def __init__(self, data: object, where: str, fail: Callable[[str], HetorchError]) -> None:
        if not isinstance(data, dict):
            raise fail(f"{where} must be a JSON object, got {type(data).__name__}")
        self._data: dict[str, object] = data
        self._left = set(data)
        self._where = where
        self._fail = fail

    @classmethod
    def parse(cls, text: bytes, where: str, fail: Callable[[str], HetorchError]) -> Fields:
        """Parse JSON text in UTF-8, whose length the caller has limited; NaN and infinities are refused."""
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise fail(f"{where} is not valid JSON: {str(error)[:120]}") from None
        return cls(data, where, fail)

    def take(self, name: str) -> object:
        """Return a field without checking its type."""
        if name not in self._data:
            raise self._fail(f"{self._where}: the field {name!r} is missing")
        self._left.discard(name)
        return self._data[name]

    def check_format(self, what: str, name: str, version: int, *, older: str, newer: str) -> None:
        """Read the fields `format` and `version`; refuse other ones with the version seen, ours, and what to do.

        Args:
            what: the thing that is read, for the error's sentence.
            name: the format that it must have.
            version: the version of the format that is read here.
            older: what to do if it is of an older hetorch.
            newer: what to do if it is of a newer one.
        """
        seen = self.take("format")
        if seen != name:
            raise self._fail(f"{what} is no {name}: its format is {repr(seen)[:60]}")
        number = self.integer("version", 0, 1 << 31)
        if number != version:
            raise self._fail(tell_other_version(what, number, version, older, newer))

    def has(self, name: str) -> bool:
        """Return True if the object has the field; this does not count as reading it."""
        return name in self._data

    def integer(self, name: str, low: int, high: int) -> int:
        return self._integer(name, self.take(name), low, high)

    def number(self, name: str, low: float, high: float) -> float:
        return self._number(name, self.take(name), low, high)

    def numbers(self, name: str, low: float, high: float, most: int) -> tuple[float, ...]:
        return tuple(self._number(name, item, low, high) for item in self._list(name, most))

    def integers(self, name: str, low: int, high: int, most: int) -> tuple[int, ...]:
        return tuple(self._integer(name, item, low, high) for item in self._list(name, most))

    def text(self, name: str, most: int) -> str:
        value = self.take(name)
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise self._wrong(name, f"printable text of at most {most} characters", value)
        return value

    def texts(self, name: str, most: int, length: int) -> tuple[str, ...]:
        items = self._list(name, most)
        for item in items:
            if not isinstance(item, str) or len(item) > length:
                raise self._wrong(name, f"texts of at most {length} characters", item)
        return tuple(str(item) for item in items)

    def optional_number(self, name: str) -> float | None:
        """Read a number, or null as None."""
        value = self.take(name)
        return None if value is None else self._number(name, value, -LARGEST, LARGEST)

    def cell(self, name: str, length: int) -> Cell:
        """Read a value of a table: text of at most `length` characters, a number, a truth value or null."""
        return self._cell(name, self.take(name), length)

    def cells(self, name: str, most: int, length: int) -> tuple[Cell, ...]:
        return tuple(self._cell(name, item, length) for item in self._list(name, most))

    def child(self, name: str) -> Fields:
        return Fields(self.take(name), f"{self._where}.{name}", self._fail)

    def children(self, name: str, most: int) -> list[Fields]:
        items = self._list(name, most)
        return [Fields(item, f"{self._where}.{name}[{i}]", self._fail) for i, item in enumerate(items)]

    def int32_array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Decode base64 of little-endian int32 in C order; its length is checked first."""
        size = 4 * math.prod(shape)
        value = self.take(name)
        if not isinstance(value, str) or len(value) != 4 * -(-size // 3):
            raise self._wrong(name, f"base64 of {size} bytes", value)
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise self._wrong(name, "base64", value) from None
        if len(data) != size:
            raise self._wrong(name, f"base64 of {size} bytes", value)
        return np.frombuffer(data, dtype="<i4").astype(np.int32).reshape(shape)

    def done(self) -> None:
        """Refuse fields that were not read."""
        if self._left:
            names = ", ".join(repr(name[:40]) for name in sorted(self._left)[:5])
            raise self._fail(f"{self._where}: unknown fields {names}")

    def error(self, sentence: str) -> HetorchError:
        """Return an error whose message is `sentence` after the name of the object."""
        return self._fail(f"{self._where}: {sentence}")

    def _list(self, name: str, most: int) -> list[object]:
        value = self.take(name)
        if not isinstance(value, list) or len(value) > most:
            raise self._wrong(name, f"a list of at most {most} items", value)
        return value

    def _integer(self, name: str, value: object, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(name, f"an integer in {low}..{high}", value)
        return value

    def _number(self, name: str, value: object, low: float, high: float) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(name, f"a number in {low:g}..{high:g}", value)
        return float(value)

    def _cell(self, name: str, value: object, length: int) -> Cell:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and len(value) <= length:
            return value
        if isinstance(value, int | float) and abs(value) <= LARGEST:
            return value
        raise self._wrong(name, f"text of at most {length} characters, a number, true, false or null", value)

    def _wrong(self, name: str, expected: str, value: object) -> HetorchError:
        return self._fail(f"{self._where}.{name}: expected {expected}, got {repr(value)[:60]}")


def encode_int32(array: NDArray[np.int32]) -> str:
    """Return the array as base64 text, which int32_array reads."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<i4").tobytes()).decode("ascii")


def canonical_json(data: object) -> bytes:
    """Encode data as ASCII JSON with sorted keys, without spaces or NaN, each float as its shortest exact repr.

    Equal data give equal bytes.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
