"""The kinds of fields that an operation has: one declaration gives its operands, its results and its form in a plan.

A class of operations annotates its fields with the aliases below (or with Annotated and a kind). plan/manifest.py
writes and reads each kind, within the bounds that the kind states.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints


@dataclass(frozen=True, slots=True)
class ValueField:
    """The number of a value of the program or, if `many` is True, a tuple of one or more numbers."""

    role: Literal["operand", "result"]
    many: bool = False


@dataclass(frozen=True, slots=True)
class LayerField:
    """The index of a layer of the program."""


@dataclass(frozen=True, slots=True)
class IntegerField:
    """An integer in low..high."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class TextField:
    """Printable text of at most `longest` characters."""

    longest: int


@dataclass(frozen=True, slots=True)
class NumbersField:
    """A tuple of `fewest` to `most` floats in -largest..largest."""

    fewest: int
    most: int
    largest: float


@dataclass(frozen=True, slots=True)
class IntegersField:
    """A tuple of `fewest` to `most` integers in low..high."""

    fewest: int
    most: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class NumberField:
    """A float in low..high."""

    low: float
    high: float


FieldKind = ValueField | LayerField | IntegerField | TextField | NumbersField | IntegersField | NumberField

Operand = Annotated[int, ValueField("operand")]
Operands = Annotated[tuple[int, ...], ValueField("operand", many=True)]
Result = Annotated[int, ValueField("result")]
Results = Annotated[tuple[int, ...], ValueField("result", many=True)]
Layer = Annotated[int, LayerField()]
WeightName = Annotated[str, TextField(200)]
Steps = Annotated[int, IntegerField(0, 1 << 17)]
"""The steps of a rotation; no ring of hetorch has more slots than the bound."""
Stages = Annotated[tuple[int, ...], IntegersField(1, 16, 1, 16)]
"""The stages of the embedding in each factor of a bootstrap's maps."""
Count = Annotated[int, IntegerField(1, 1 << 10)]
"""A number of baby steps, or of primes."""
Bound = Annotated[float, NumberField(2.0**-60, 2.0**60)]
"""The largest magnitude of a value."""
Flag = Annotated[int, IntegerField(0, 1)]
"""True (1) or false (0)."""
Coefficients = Annotated[tuple[float, ...], NumbersField(2, 4096, 1e300)]
"""The coefficients of a Chebyshev series of degree 1 or more."""


@functools.cache
def field_kinds(operation: type[Any]) -> dict[str, FieldKind]:
    """Return the kinds of a dataclass's fields, in their order.

    Raises:
        TypeError: a field has no kind.
    """
    hints = get_type_hints(operation, include_extras=True)
    kinds: dict[str, FieldKind] = {}
    for field in fields(operation):
        kind = next(
            (item for item in getattr(hints[field.name], "__metadata__", ()) if isinstance(item, FieldKind)),
            None,
        )
        if kind is None:
            raise TypeError(f"{operation.__name__}.{field.name} is annotated with no kind of field")
        kinds[field.name] = kind
    return kinds
