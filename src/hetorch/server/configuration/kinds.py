"""The kinds of settings: how the text of a file, an environment variable or a flag becomes a value, and back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Protocol

from hetorch.errors import InputError
from hetorch.user_information import without_user_information

SIZE_UNITS: Mapping[str, int] = MappingProxyType(
    {"B": 1}
    | {f"{prefix}B": 1000**n for n, prefix in enumerate("kMGT", 1)}
    | {f"{prefix}iB": 1024**n for n, prefix in enumerate("KMGT", 1)}
)
"""Bytes in each unit of a size."""
TIME_UNITS: Mapping[str, float] = MappingProxyType(
    {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
)
"""Seconds in each unit of a time."""
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
"""A number and perhaps a unit."""
WORDS_OF_SWITCHES: Mapping[str, bool] = MappingProxyType(
    {word: True for word in ("true", "yes", "on", "1")}
    | {word: False for word in ("false", "no", "off", "0")}
)
"""The words that turn a switch on or off."""


class Kind(Protocol):
    """The kind of a setting."""

    @property
    def metavar(self) -> str:
        """The word for a value in the help of a flag."""

    def read(self, value: object) -> object:
        """Return the value that a text, or a value of TOML, stands for; InputError, which begins with "must be", for
        any other."""

    def check(self, value: object) -> None:
        """Raise InputError, which begins with "must be", for a value out of range."""

    def show(self, value: object) -> str:
        """Return a value as TOML, which `read` takes back."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from `minimum` to `maximum`; None for no end."""

    minimum: int | None = None
    maximum: int | None = None
    metavar = "NUMBER"

    def read(self, value: object) -> object:
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError(f"must be a whole number, got {value!r}")
        self.check(value)
        return value

    def check(self, value: object) -> None:
        assert isinstance(value, int)
        if self.minimum is not None and value < self.minimum:
            raise InputError(f"must be at least {self.minimum}, got {value}")
        if self.maximum is not None and value > self.maximum:
            raise InputError(f"must be at most {self.maximum}, got {value}")

    def show(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, at least one, written with its unit: "4 GB", "512 MiB"."""

    metavar = "SIZE"

    def read(self, value: object) -> object:
        match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
        factor = None if match is None else _named(match[2], SIZE_UNITS)
        if match is None or factor is None:
            raise InputError(f'must be a size with its unit, such as "4 GB" or "512 MiB", got {value!r}')
        size = round(float(match[1]) * factor)
        self.check(size)
        return size

    def check(self, value: object) -> None:
        assert isinstance(value, int)
        if value < 1:
            raise InputError(f"must be at least 1 byte, got {value}")

    def show(self, value: object) -> str:
        assert isinstance(value, int)
        unit = max((unit for unit in SIZE_UNITS if value % SIZE_UNITS[unit] == 0), key=SIZE_UNITS.__getitem__)
        return _string(f"{value // SIZE_UNITS[unit]} {unit}")


@dataclass(frozen=True, slots=True)
class Time:
    """A positive number of seconds, written with or without a unit: "30 s", "5 min", 30."""

    metavar = "TIME"

    def read(self, value: object) -> object:
        seconds = math.nan
        if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)) is not None:
            seconds = float(match[1]) * (_named(match[2] or "s", TIME_UNITS) or math.nan)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        if not math.isfinite(seconds):
            raise InputError(f'must be a time, such as "30 s" or "5 min", got {value!r}')
        self.check(seconds)
        return seconds

    def check(self, value: object) -> None:
        assert isinstance(value, int | float)
        if not value > 0:
            raise InputError(f"must be a positive number of seconds, got {value!r}")

    def show(self, value: object) -> str:
        assert isinstance(value, int | float)
        unit = next((u for u in ("d", "h", "min") if value % TIME_UNITS[u] == 0), "s")
        return _string(f"{float(value) / TIME_UNITS[unit]!r}".removesuffix(".0") + f" {unit}")


@dataclass(frozen=True, slots=True)
class Text:
    """Text; one of `choices` unless there are none."""

    choices: tuple[str, ...] = ()

    @property
    def metavar(self) -> str:
        return "|".join(self.choices) or "TEXT"

    def read(self, value: object) -> object:
        if not isinstance(value, str):
            raise InputError(f"must be text, got {value!r}")
        self.check(value)
        return value

    def check(self, value: object) -> None:
        if self.choices and value not in self.choices:
            raise InputError(f"must be one of {', '.join(self.choices)}, got {value!r}")

    def show(self, value: object) -> str:
        return _string(without_user_information(str(value)))


@dataclass(frozen=True, slots=True)
class FilePath:
    """The path of a file or folder."""

    metavar = "PATH"

    def read(self, value: object) -> object:
        if not isinstance(value, str) or not value or "\0" in value:
            raise InputError(f"must be the path of a file or folder, got {value!r}")
        return Path(value)

    def check(self, value: object) -> None:
        """Accept any path."""

    def show(self, value: object) -> str:
        assert isinstance(value, Path)
        return _string(str(value.absolute()))


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    metavar = ""

    def read(self, value: object) -> object:
        if isinstance(value, str):
            value = WORDS_OF_SWITCHES.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            raise InputError(f"must be true or false, got {value!r}")
        return value

    def check(self, value: object) -> None:
        """Accept both values."""

    def show(self, value: object) -> str:
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Several:
    """Several values of one kind: a list in TOML, text with commas elsewhere."""

    kind: Kind

    @property
    def metavar(self) -> str:
        return f"{self.kind.metavar},..."

    def read(self, value: object) -> object:
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",") if word.strip()]
        if not isinstance(value, list | tuple):
            raise InputError(f"must be a list, got {value!r}")
        return tuple(self.kind.read(entry) for entry in value)

    def check(self, value: object) -> None:
        assert isinstance(value, tuple)
        for entry in value:
            self.kind.check(entry)

    def show(self, value: object) -> str:
        assert isinstance(value, tuple)
        return f"[{', '.join(self.kind.show(entry) for entry in value)}]"


Bytes = Annotated[int, Size()]
"""The type of a field that is a number of bytes."""
Seconds = Annotated[float, Time()]
"""The type of a field that is a positive time in seconds."""
Count = Annotated[int, Integer(1)]
"""The type of a field that is a number of at least 1."""


def _named(unit: str, units: Mapping[str, float]) -> float | None:
    """Return the value of a unit, in whatever case it is written; None if there is none."""
    return next((value for name, value in units.items() if name.lower() == unit.lower()), None)


def _string(text: str) -> str:
    """Return text as a string of TOML, whose escapes are those of JSON, and DEL is one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
