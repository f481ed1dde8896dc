"""Functions that end a model and that the client applies after decryption: softmax, sigmoid, argmax.

On encrypted numbers they would be approximated, at the price of levels; on decrypted ones they are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hetorch.plan.fields import Fields

FunctionName = Literal["softmax", "log_softmax", "softmin", "argmax", "sigmoid", "log_sigmoid"]
ELEMENTWISE = frozenset({"sigmoid", "log_sigmoid"})
"""The functions of one number, which have no axis."""
MOST_FUNCTIONS = 16
"""Largest number of functions at the end of one output; a plan with more is refused."""
MOST_AXES = 8
"""Largest number of axes of an output, counted from its end."""


@dataclass(frozen=True, slots=True)
class OutputFunction:
    """One function, as torch defines it. `axis` is negative, counted from the last axis of the output, and -1 for the
    functions of one number; `keeps_axis` is True if an argmax leaves an axis of length 1."""

    name: FunctionName
    axis: int = -1
    keeps_axis: bool = False

    def apply(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the function of an array whose last axes are those of the output, float64 (int64 for argmax)."""
        if self.name == "sigmoid":
            decay = np.exp(-np.abs(x))  # at most 1, so that nothing overflows
            return np.asarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))
        if self.name == "log_sigmoid":
            return np.asarray(-np.logaddexp(0.0, -x))
        if self.name == "argmax":
            return np.asarray(x.argmax(axis=self.axis, keepdims=self.keeps_axis))
        scores = -x if self.name == "softmin" else x
        scores = scores - scores.max(axis=self.axis, keepdims=True)
        total = np.exp(scores).sum(axis=self.axis, keepdims=True)
        if self.name == "log_softmax":
            return np.asarray(scores - np.log(total))
        return np.asarray(np.exp(scores) / total)


def applied(functions: tuple[OutputFunction, ...], x: NDArray[Any]) -> NDArray[Any]:
    """Return an output (..., *shape) after all functions, in order."""
    for function in functions:
        x = function.apply(x)
    return x


def functions_problem(functions: tuple[OutputFunction, ...], shape: tuple[int, ...]) -> str | None:
    """Return what does not go together with an output of `shape`, or None."""
    rank = len(shape)
    for function in functions:
        if function.name not in ELEMENTWISE and function.axis < -rank:
            return f"{function.name} has the axis {function.axis} of an output with {rank} axes"
        if function.name == "argmax" and not function.keeps_axis:
            rank -= 1
    return None


def functions_json(functions: tuple[OutputFunction, ...]) -> dict[str, object]:
    """Return functions as the field `functions`, which read_functions reads; no field if there are none, so that plans
    without them keep their bytes."""
    data = [{"name": f.name, "axis": f.axis, "keeps_axis": int(f.keeps_axis)} for f in functions]
    return {"functions": data} if data else {}


def read_functions(fields: Fields) -> tuple[OutputFunction, ...]:
    """Read the field `functions`, if there is one; the error of `fields` names what is wrong."""
    functions = []
    for child in fields.children("functions", MOST_FUNCTIONS) if fields.has("functions") else []:
        name = child.text("name", 20)
        if name not in get_args(FunctionName):
            raise child.error(f"name must be one of {', '.join(get_args(FunctionName))}, got {name!r}")
        axis = child.integer("axis", -MOST_AXES, -1)
        functions.append(OutputFunction(name, axis, bool(child.integer("keeps_axis", 0, 1))))  # type: ignore[arg-type]
        child.done()
    return tuple(functions)
