"""The client's part of a model besides encryption: the columns of its tables, the names of its outputs, its classes.

All of it is data that the client interprets, part of the plan and of its public part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.plan.class_scores import ClassScores, classes_json, read_classes
from hetorch.plan.columns import Columns, columns_json, read_columns
from hetorch.plan.fields import Fields
from hetorch.plan.heads import Head, heads_json, read_heads, split
from hetorch.plan.output_functions import (
    OutputFunction,
    applied,
    functions_json,
    functions_problem,
    read_functions,
)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interface:
    """The client's part of a model.

    columns    the columns of a table and what is computed from them before encryption; None if inputs are arrays only
    heads      the outputs of a model that returns several tensors or names them; empty for a model that returns one
    by_name    True if the outputs are a dictionary, False if they are a tuple
    classes    the classifiers whose scores the outputs are, in order; empty if they are no scores
    functions  the functions that end a model of one output; each head has its own
    """

    columns: Columns | None = None
    heads: tuple[Head, ...] = ()
    by_name: bool = True
    classes: tuple[ClassScores, ...] = ()
    functions: tuple[OutputFunction, ...] = ()

    @property
    def row_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the outputs, if the plan returns a row of several, else none."""
        return tuple(head.shape for head in self.heads) if len(self.heads) > 1 else ()

    def problem(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> str | None:
        """Return what does not agree with the shapes of a plan, or None."""
        if self.columns is not None and input_shape != (self.columns.width,):
            return (
                f"the columns make {self.columns.width} numbers of a row, the input has shape {input_shape}"
            )
        total = math.prod(output_shape)
        if self.heads and sum(head.size for head in self.heads) != total:
            return f"the heads do not have the {total} numbers of the output"
        if self.classes and sum(one.scores for one in self.classes) != total:
            return f"the classes do not have the {total} scores of the output"
        if self.classes and self.heads:
            return "there are both heads and classes"
        if self.functions and (self.heads or self.classes):
            return "there are functions besides heads or classes"
        outputs = [(head.functions, head.shape) for head in self.heads] or [(self.functions, output_shape)]
        return next(filter(None, (functions_problem(*output) for output in outputs)), None)

    def describe(self) -> dict[str, list[str]]:
        """Return the names of the columns, of the outputs (with their shapes and functions), of the functions that end
        a single output, and of the labels, as far as there are any."""
        names: dict[str, list[str]] = {
            "columns": list(self.columns.names) if self.columns is not None else [],
            "outputs": [f"{head.name} {head.shape}{_named_functions(head.functions)}" for head in self.heads],
            "functions": [function.name for function in self.functions],
            "labels": [str(label) for one in self.classes for label in one.labels],
        }
        return {title: texts for title, texts in names.items() if texts}

    def named(self, results: Array, output_shape: tuple[int, ...]) -> Any:
        """Return what the model returns, from results (..., *output_shape) of the plan.

        That is one array or, of a model of several outputs, all of them by name or in order, each (..., *shape); after
        the functions that end the model.
        """
        if not self.heads:
            return applied(self.functions, results)
        rows = results.reshape(*results.shape[: results.ndim - len(output_shape)], -1)
        parts = tuple(
            applied(head.functions, part)
            for head, part in zip(self.heads, split(self.heads, rows), strict=True)
        )
        return dict(zip((head.name for head in self.heads), parts, strict=True)) if self.by_name else parts

    def probabilities(self, scores: Array) -> Any:
        """Return the probabilities (..., labels) of scores (..., outputs); a list of them for several classifiers.

        InputError if the model has none.
        """
        self.check_probabilities()
        parts = [one.probabilities(part) for one, part in self._by_classifier(scores)]
        return parts[0] if len(parts) == 1 else parts

    def labels(self, scores: Array) -> NDArray[np.generic]:
        """Return the labels (...) of scores (..., outputs); (..., classifiers) of several classifiers.

        InputError if the model is no classifier whose labels the plan knows.
        """
        self.check_classes()
        parts = [one.choose(part) for one, part in self._by_classifier(scores)]
        return parts[0] if len(parts) == 1 else np.stack(parts, axis=-1)

    def check_probabilities(self) -> None:
        """Raise InputError if the model has no probabilities."""
        self.check_classes()
        if any(one.link == "none" for one in self.classes):
            raise InputError(
                "this classifier has no probabilities, as scikit-learn's has no predict_proba; classify gives its "
                "labels and predict its scores"
            )

    def check_classes(self) -> None:
        """Raise InputError if the model is no classifier whose classes the plan knows."""
        if not self.classes:
            raise InputError(
                "the plan knows no classes: it was not compiled from a classifier of scikit-learn or ONNX; predict "
                "gives the outputs"
            )

    def _by_classifier(self, scores: Array) -> list[tuple[ClassScores, Array]]:
        parts, begin = [], 0
        for one in self.classes:
            parts.append((one, scores[..., begin : begin + one.scores]))
            begin += one.scores
        return parts


def _named_functions(functions: tuple[OutputFunction, ...]) -> str:
    return "".join(f" {function.name}" for function in functions)


PLAIN = Interface()
"""The interface of a model of arrays: one in, one out."""


def interface_json(interface: Interface) -> dict[str, object]:
    """Return the interface as plain data, which read_interface reads."""
    return {
        "columns": None if interface.columns is None else columns_json(interface.columns),
        "heads": heads_json(interface.heads),
        "by_name": int(interface.by_name),
        "classes": classes_json(interface.classes),
    } | functions_json(interface.functions)


def read_interface(fields: Fields, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Interface:
    """Read the data of interface_json for a plan of these shapes; the error of `fields` names what is wrong."""
    has_columns = fields.take("columns") is not None
    interface = Interface(
        columns=read_columns(fields.child("columns")) if has_columns else None,
        heads=read_heads(fields),
        by_name=bool(fields.integer("by_name", 0, 1)),
        classes=read_classes(fields),
        functions=read_functions(fields),
    )
    fields.done()
    problem = interface.problem(input_shape, output_shape)
    if problem is not None:
        raise fields.error(problem)
    return interface
