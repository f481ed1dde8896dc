"""The fields of a configuration, as its dataclasses describe them: name, kind, default, and help from the docstring."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hetorch.errors import InputError
from hetorch.server.configuration.kinds import FilePath, Integer, Kind, Several, Switch, Text, Time

_ENTRY = re.compile(r"(\w+): (.+)", re.DOTALL)
"""A field in a docstring: its name and its help."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Args:
        name: its name in Python and in a configuration file.
        kind: the kind of its values.
        default: its value where nothing else is said.
        help: one or more sentences.
    """

    name: str
    kind: Kind
    default: object
    help: str

    @property
    def flag(self) -> str:
        """The flag of the command line."""
        return f"--{self.name.replace('_', '-')}"


def fields_of(cls: type[Any]) -> tuple[Field, ...]:
    """Return the fields of a dataclass. A field needs a default, and a line under "Args:" in the docstring of its
    class; kinds beside its plain type are told by Annotated (`Bytes`, `Seconds`, `Count`)."""
    hints = get_type_hints(cls, include_extras=True)
    helps = _helps(cls)
    return tuple(
        Field(field.name, _kind(hints[field.name]), field.default, helps.get(field.name, ""))
        for field in dataclasses.fields(cls)
    )


def check_fields(instance: Any) -> None:
    """Raise InputError for the first field of a dataclass that is out of range."""
    for field in fields_of(type(instance)):
        value = getattr(instance, field.name)
        if value is None and field.default is None:
            continue
        try:
            field.kind.check(value)
        except InputError as error:
            raise InputError(f"{field.name} {error}") from None


def _kind(hint: Any) -> Kind:
    """Return the kind of a field with this type; None among its values is no kind of its own."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        kind: Kind = arguments[1]
        return kind
    if origin in (Union, UnionType):
        (left,) = (argument for argument in arguments if argument is not NoneType)
        return _kind(left)
    if origin is Literal:
        return Text(arguments)
    if origin is tuple:
        return Several(_kind(arguments[0]))
    kinds: dict[Any, Kind] = {
        bool: Switch(),
        int: Integer(),
        float: Time(),
        str: Text(),
        Path: FilePath(),
    }
    return kinds[hint]


def _helps(cls: type[Any]) -> dict[str, str]:
    """Return the help of each field: its line in the docstring as sentences."""
    _, _, arguments = (inspect.getdoc(cls) or "").partition("Args:\n")
    helps = {}
    for block in re.split(r"\n {4}(?=\w)", "\n" + arguments.partition("\n\n")[0]):
        match = _ENTRY.fullmatch(" ".join(block.split()))
        if match is not None:
            helps[match[1]] = match[2][0].upper() + match[2][1:].removesuffix(".") + "."
    return helps
