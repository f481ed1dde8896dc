"""The layers of two plans, side by side: those that only one has, and what differs in the others."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetorch.inspect.drawing.boxes import Box, boxes_of
from hetorch.inspect.layers import Layer, layers_of
from hetorch.inspect.plan_difference.change import Change, Facts, changes_of
from hetorch.ir.he_operations import Polynomial
from hetorch.plan import Plan

DIGITS = 16
"""Digits of the digests of weights, layouts and coefficients. Raised, they are longer; 64 bits tell plans apart."""
DIGESTS = ("layout", "coefficients", "weights")
"""Names of figures that are digests, of which only the difference is shown."""
Status = Literal["changed", "removed", "added"]


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that differs; `largest_weight_change` is the largest difference of a weight relative to the largest
    weight of the layer, None if they have different shapes or do not differ. Where a plan makes several layers of one
    of the model, such as a MaxPool, this is the one of number `part`, from 1 on, of `parts`."""

    status: Status
    name: str
    kind: str
    changes: tuple[Change, ...] = ()
    largest_weight_change: float | None = None
    part: int = 1
    parts: int = 1

    def to_dict(self) -> dict[str, object]:
        """Return the change as plain data."""
        return {
            "status": self.status,
            "name": self.name,
            "part": self.part,
            "parts": self.parts,
            "kind": self.kind,
            "changes": {change.name: [change.first, change.second] for change in self.changes},
            "largest_weight_change": self.largest_weight_change,
        }

    def __str__(self) -> str:
        name = self.name if self.parts == 1 else f"{self.name}, part {self.part} of {self.parts}"
        kind = f" ({self.kind or 'layer'})"
        if self.status != "changed":
            return f"{'-' if self.status == 'removed' else '+'} {name}{kind}"
        changes = "; ".join(self._sentence(change) for change in self.changes)
        return f"  {name}{kind if self.parts > 1 else ''}: {changes}"

    def _sentence(self, change: Change) -> str:
        if change.name not in DIGESTS:
            return f"{change.title} {change}"
        if change.name != "weights":
            return f"another {change.name}" if change.name == "layout" else f"other {change.name}"
        if self.largest_weight_change is None:
            return "other weights"
        return f"weights differ by up to {self.largest_weight_change:.2g} of the largest"


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A layer of one plan with its figures."""

    box: Box
    facts: Facts
    arrays: tuple[NDArray[np.generic], ...] = field(repr=False)
    part: int = 1
    parts: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """Two layers of the same key are compared; the degree of a polynomial is no part of it."""
        return self.box.name, self.box.kind.partition("~")[0].strip()


def layer_changes(first: Plan, second: Plan, *, with_weights: bool = True) -> tuple[LayerChange, ...]:
    """Return the layers that differ, in the order in which they run.

    Layers are compared by their names; where a network has been changed, as many as possible in the same order.
    """
    before, after = _sides(first, with_weights), _sides(second, with_weights)
    matcher = difflib.SequenceMatcher(
        None, [one.key for one in before], [one.key for one in after], autojunk=False
    )
    found: list[LayerChange] = []
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(before[a:a_end], after[b:b_end], strict=True)
            found += [change for one, other in pairs if (change := _changed(one, other)) is not None]
        else:
            found += [_only_here("removed", one) for one in before[a:a_end]]
            found += [_only_here("added", one) for one in after[b:b_end]]
    return tuple(found)


def _only_here(status: Status, one: _Side) -> LayerChange:
    return LayerChange(status, one.box.name, one.box.kind, part=one.part, parts=one.parts)


def _changed(first: _Side, second: _Side) -> LayerChange | None:
    changes = changes_of("layer", first.facts, second.facts)
    if not changes:
        return None
    largest = None
    if any(change.name == "weights" for change in changes):
        largest = _largest_difference(first.arrays, second.arrays)
    return LayerChange(
        "changed", second.box.name, second.box.kind, changes, largest, second.part, second.parts
    )


def _sides(plan: Plan, with_weights: bool) -> list[_Side]:
    sides = [
        _side(plan, box, layer, with_weights)
        for box, layer in zip(boxes_of(plan), layers_of(plan), strict=True)
    ]
    parts = Counter(side.box.name for side in sides)
    seen: Counter[str] = Counter()
    numbered = []
    for side in sides:
        name = side.box.name
        seen[name] += 1
        numbered.append(replace(side, part=seen[name], parts=parts[name]))
    return numbered


def _side(plan: Plan, box: Box, layer: Layer, with_weights: bool) -> _Side:
    series = [op.coefficients for op in layer.operations if isinstance(op, Polynomial)]
    arrays = [plan.weights[name] for op in layer.operations for name in op.weight_names]
    blocks = [np.asarray(layer.layout.shape), layer.layout.block]
    facts: dict[str, object] = {
        "kind": box.kind,
        "shape": list(box.shape),
        "level": box.level,
        "scale_bits": box.scale_bits,
        "ciphertexts": box.ciphertexts,
        "operations": box.operations_text,
        "reads": list(box.sources),
        "diagonals": box.diagonals,
        "rotations": box.rotations,
        "multiplications": box.multiplications,
        "time_seconds": box.seconds,
        "encoded_weights_bytes": box.weight_bytes,
        "keys_bytes": box.key_bytes,
        "predicted_error": box.predicted_error,
        "layout": _digest(blocks),
        **_polynomial(box),
    }
    if series:
        facts["coefficients"] = _digest([np.asarray(one) for one in series])
    if with_weights and arrays:
        facts["weights"] = _digest(arrays)
    return _Side(box, facts, tuple(arrays))


def _polynomial(box: Box) -> Mapping[str, object]:
    if not box.fits:
        return {}
    return {
        "function": box.fits[0].function,
        "degree": max(fit.degree for fit in box.fits),
        "fitted_low": min(fit.low for fit in box.fits),
        "fitted_high": max(fit.high for fit in box.fits),
        "fitted_error": max(fit.error for fit in box.fits),
    }


def _digest(arrays: Sequence[NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:DIGITS]


def _largest_difference(
    first: Sequence[NDArray[np.generic]], second: Sequence[NDArray[np.generic]]
) -> float | None:
    """Return the largest difference of a weight relative to the largest weight; None if shapes or steps differ."""
    if [(array.dtype, array.shape) for array in first] != [(array.dtype, array.shape) for array in second]:
        return None
    largest = difference = 0.0
    for one, other in zip(first, second, strict=True):
        if one.dtype != np.float64:
            if not np.array_equal(one, other):
                return None
            continue
        a, b = one.astype(np.float64), other.astype(np.float64)
        largest = max(largest, float(np.abs(a).max()), float(np.abs(b).max()))
        difference = max(difference, float(np.abs(a - b).max()))
    return difference / largest if largest else None
