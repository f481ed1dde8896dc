"""The activations of a prepared model, and what was replaced in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from hetorch.errors import InputError
from hetorch.train.poly_act import PolyAct

REPLACES = "hetorch_replaces"
"""Attribute of a module that prepare put in: the text of what was there."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replaced layer: its path in the prepared model, and the texts of the old and the new module."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Replacements:
    """The layers that prepare replaced, as a table."""

    rows: tuple[Replacement, ...]

    def __repr__(self) -> str:
        """Return the table as text."""
        cells = [("layer", "before", "after"), *((row.path, row.before, row.after) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(3)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        )


def poly_acts(model: nn.Module) -> Mapping[str, PolyAct]:
    """Return the activations that train to be polynomials, by their paths.

    Raises:
        InputError: there are none.
    """
    acts = {path: part for path, part in model.named_modules() if isinstance(part, PolyAct)}
    if not acts:
        raise InputError(
            f"{type(model).__name__} has no PolyAct: hetorch.train.prepare(model, example_inputs) puts them in"
        )
    return acts


def replacements(model: nn.Module) -> Replacements:
    """Return which layers of a prepared model were replaced, and by which. Printed, it is a table."""
    return Replacements(
        tuple(
            Replacement(path, getattr(part, REPLACES), repr(part))
            for path, part in model.named_modules()
            if hasattr(part, REPLACES)
        )
    )
