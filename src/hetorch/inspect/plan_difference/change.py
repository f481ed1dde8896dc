"""One figure that differs between two plans, and its text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hetorch.quantities import count_text, size_text, time_text

Facts = Mapping[str, object]
"""Figures by name, as plain data. The end of a name tells the unit of a number: _bytes, _seconds, _scale."""

LONGEST = 60
"""Characters of a value that are shown; --json has all."""
PRIMES = ("modulus_chain", "special_primes")
KEYS = "galois_keys"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that differs: its group, its name, and both values, None where a plan has none."""

    group: str
    name: str
    first: object
    second: object

    @property
    def title(self) -> str:
        """The name in words, without its unit."""
        name = self.name
        for unit in ("_bytes", "_seconds"):
            name = name.removesuffix(unit)
        return name.replace("_", " ")

    def __str__(self) -> str:
        if self.name == KEYS and isinstance(self.first, list) and isinstance(self.second, list):
            return _keys_text(self.first, self.second)
        before, after = _shown(self.name, self.first), _shown(self.name, self.second)
        if before == after:
            if self.name in PRIMES:
                return f"other primes of the same sizes: {before}"
            before, after = _told_apart(self.first, self.second)
        text = f"{before} -> {after}"
        if self.name.endswith(("_bytes", "_seconds")):
            text += _growth(self.first, self.second)
        return text


def changes_of(group: str, first: Facts, second: Facts) -> tuple[Change, ...]:
    """Return the figures that differ, in the order of the first plan."""
    names = {**first, **second}
    return tuple(
        Change(group, name, first.get(name), second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    )


def _told_apart(first: object, second: object) -> tuple[str, str]:
    """Return both values as text, real numbers with as few digits as tell them apart."""
    if isinstance(first, float) and isinstance(second, float):
        for digits in range(5, 17):
            before, after = f"{first:.{digits}g}", f"{second:.{digits}g}"
            if before != after:
                return before, after
    return repr(first)[:LONGEST], repr(second)[:LONGEST]


def _shown(name: str, value: object) -> str:
    """Return a value as text, in the unit that its name tells."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(name, value)
    if name in PRIMES and isinstance(value, list):
        return " ".join(str(prime.bit_length()) for prime in value) + " bits"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _number(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return size_text(value)
    if name.endswith("_seconds"):
        return time_text(value)
    if name.endswith("_scale") and value > 0:
        return f"2^{math.log2(value):.4g}"
    if name == "ring_degree":
        return f"2^{int(value).bit_length() - 1}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _growth(first: object, second: object) -> str:
    """Return the growth from one number to another, in words; empty if it has no meaning."""
    if not isinstance(first, int | float) or not isinstance(second, int | float) or not first > 0:
        return ""
    factor = second / first
    return f" ({factor:.3g} times)" if factor >= 2 else f" ({100 * (factor - 1):+.2g} %)"


def _keys_text(first: Iterable[list[int]], second: Iterable[list[int]]) -> str:
    """Return how many Galois elements only one plan has, and how many both have at different levels."""
    before, after = (
        {element: level for element, level in first},
        {element: level for element, level in second},
    )
    moved = sum(after.get(element, level) != level for element, level in before.items())
    counts = (
        (len(before.keys() - after.keys()), "only in the first"),
        (len(after.keys() - before.keys()), "only in the second"),
        (moved, "at another level"),
    )
    return ", ".join(f"{count_text(count, 'element')} {where}" for count, where in counts if count)
