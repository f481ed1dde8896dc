"""Classifiers in ONNX: a graph that returns a label and probabilities, as converters of scikit-learn write it.

The module computes scores; the client computes probabilities and labels from them. Operators of ai.onnx.ml at the end
(ZipMap, Normalizer, the transform of a LinearClassifier) and those that only make the label are left to the client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.sources.onnx.operands import Operation, tensor
from hetorch.errors import UnsupportedModelError
from hetorch.plan.class_scores import ClassScores, Label, Link

PASSING = frozenset({"Cast", "Identity", "Normalizer", "ZipMap"})
"""Operators behind the scores that the client does without: they change the form or the sum of probabilities."""
TRANSFORMS: Mapping[str, Link] = MappingProxyType(
    {"NONE": "none", "SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
)
"""Link of each transform of a LinearClassifier."""

FINAL_OPERATORS: Mapping[str, Link] = MappingProxyType({"Softmax": "softmax", "Sigmoid": "sigmoid"})
"""Link of each last operator of a network that makes probabilities; capture leaves these operators to the client."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph: its operator, its operands and results by name, and its attributes."""

    kind: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a graph: the names of the results that are computed, and the classes whose scores they are."""

    outputs: tuple[str, ...]
    classes: tuple[ClassScores, ...] = ()


def find_ending(
    nodes: Sequence[Node],
    outputs: Sequence[str],
    is_label: Callable[[str], bool],
    constants: Mapping[str, Any],
) -> Ending:
    """Return the results that are computed for the graph's `outputs`: all but labels, without operators in PASSING.

    Args:
        nodes: the nodes of the graph.
        outputs: names of its outputs.
        is_label: tells if an output holds whole numbers or text.
        constants: arrays by name.
    """
    makers = {name: node for node in nodes for name in node.outputs}
    kept = [name for name in outputs if not is_label(name)]
    if len(kept) != 1:
        return Ending(tuple(kept or outputs))
    name, passed = kept[0], []
    maker = makers.get(name)
    while maker is not None and maker.kind in PASSING and maker.attributes.get("norm", "L1") == "L1":
        passed.append(maker)
        name = maker.inputs[0]
        maker = makers.get(name)
    if maker is not None and maker.kind == "LinearClassifier":
        return Ending((name,), (_linear(maker, any(node.kind == "Normalizer" for node in passed)),))
    labels = _labels([*passed, *(node for node in nodes if node.kind == "ArrayFeatureExtractor")], constants)
    if labels is None or maker is None or (len(outputs) == 1 and not passed):
        return Ending((name,))
    link = FINAL_OPERATORS.get(maker.kind, "identity")
    if link == "sigmoid" and any(node.kind == "Normalizer" for node in passed):
        link = "one_vs_rest"
    return Ending((name,), (ClassScores(labels, link, len(labels)),))


def _linear(node: Node, normalised: bool) -> ClassScores:
    labels = _labels([node], {})
    transform = str(node.attributes.get("post_transform", "NONE"))
    if labels is None or transform not in TRANSFORMS:
        raise UnsupportedModelError(f"LinearClassifier with the transform {transform} is not supported")
    link = TRANSFORMS[transform]
    return ClassScores(labels, "one_vs_rest" if link == "sigmoid" and normalised else link, len(labels))


def _labels(nodes: Sequence[Node], constants: Mapping[str, Any]) -> tuple[Label, ...] | None:
    """Return the labels that a node knows: its attribute, or the constant that it takes one of."""
    for node in nodes:
        for attribute in ("classlabels_ints", "classlabels_int64s", "classlabels_strings"):
            values = node.attributes.get(attribute)
            if values is not None and len(values):
                return tuple(value.decode() if isinstance(value, bytes) else value for value in values)
        if node.kind == "ArrayFeatureExtractor" and node.inputs[0] in constants:
            array = np.asarray(constants[node.inputs[0]]).reshape(-1)
            return tuple(value.decode() if isinstance(value, bytes) else value for value in array.tolist())
    return None


def _scores(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    """Return the labels of a LinearClassifier, which nothing reads, and its scores before the transform."""
    count = max(len(attributes.get(name, ())) for name in ("classlabels_ints", "classlabels_strings"))
    scores = _regression(operands, attributes, opset)
    return None, torch.cat([-scores, scores], dim=1) if scores.shape[1] == 1 and count == 2 else scores


def _regression(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = tensor(operands[0])
    weight = torch.tensor(attributes["coefficients"], dtype=x.dtype).reshape(-1, x.shape[-1])
    bias = attributes.get("intercepts")
    return torch.nn.functional.linear(x, weight, None if bias is None else torch.tensor(bias, dtype=x.dtype))


def _scale(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = tensor(operands[0])
    offset, factor = (torch.tensor(attributes[name], dtype=x.dtype) for name in ("offset", "scale"))
    return (x - offset) * factor


LEARNING: Mapping[str, Operation] = MappingProxyType(
    {"LinearClassifier": _scores, "LinearRegressor": _regression, "Scaler": _scale}
)
"""Functions that compute an operator of the domain ai.onnx.ml, by its name."""
