"""ONNX classifiers with a label and probabilities, built as converters of scikit-learn build them; the oracle is ONNX's
reference implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import hetorch
from hetorch import load_model, simulate
from hetorch.errors import UnsupportedModelError
from hetorch.plan.interface import Interface

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)).astype(np.float32)
W, B = RANDOM.normal(size=(4, 3)).astype(np.float32), RANDOM.normal(size=3).astype(np.float32)
NODE = helper.make_node
LABELS = ["no", "yes", "maybe"]


def linear(count: int, transform: str, **labels: Any) -> Any:
    coefficients = W[:, :count].T.ravel().tolist()
    return NODE(
        "LinearClassifier", ["x"], ["label", "raw"], domain="ai.onnx.ml", coefficients=coefficients,
        intercepts=B[:count].tolist(), post_transform=transform, **labels,
    )  # fmt: skip


NORMALISED = NODE("Normalizer", ["raw"], ["p"], domain="ai.onnx.ml", norm="L1")
SAME = NODE("Identity", ["raw"], ["p"])
SCORES = [NODE("MatMul", ["x", "w"], ["h"]), NODE("Add", ["h", "b"], ["s"])]
CHOSEN = [
    NODE("ArgMax", ["p"], ["i"], axis=1),
    NODE("ArrayFeatureExtractor", ["classes", "i"], ["taken"], domain="ai.onnx.ml"),
    NODE("Reshape", ["taken", "flat"], ["label"]),
]
CONSTANTS = {"w": W, "b": B, "classes": np.array([[3, 5, 9]]), "flat": np.array([-1])}
GRAPHS: dict[str, tuple[list[Any], int]] = {
    "softmax": ([linear(3, "SOFTMAX", classlabels_strings=LABELS), NORMALISED], TensorProto.STRING),
    "one against the rest": ([linear(3, "LOGISTIC", classlabels_ints=[3, 5, 9]), NORMALISED], TensorProto.INT64),
    "two classes": ([linear(1, "LOGISTIC", classlabels_ints=[0, 1]), NORMALISED], TensorProto.INT64),
    "two classes, not divided": ([linear(1, "LOGISTIC", classlabels_ints=[0, 1]), SAME], TensorProto.INT64),
    "scaled first": (
        [
            NODE("Scaler", ["y"], ["x"], domain="ai.onnx.ml", offset=[1.0, 0, -1, 2], scale=[2.0, 1, 1, 0.5]),
            linear(3, "SOFTMAX", classlabels_strings=LABELS), NORMALISED,
        ],
        TensorProto.STRING,
    ),
    "network": ([*SCORES, NODE("Softmax", ["s"], ["p"], axis=1), *CHOSEN], TensorProto.INT64),
    "network of probabilities": (
        [*SCORES, NODE("Sigmoid", ["s"], ["p"]), *CHOSEN], TensorProto.INT64
    ),
}  # fmt: skip


def save(
    nodes: list[Any], path: Path, labels: int, outputs: tuple[str, ...] = ("label", "p")
) -> onnx.ModelProto:
    entry = "y" if nodes[0].op_type == "Scaler" else "x"
    kinds = {"label": (labels, ["n"])}
    needed = {name for node in nodes for name in node.input}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(entry, TensorProto.FLOAT, ["n", 4])],
            [
                helper.make_tensor_value_info(name, *kinds.get(name, (TensorProto.FLOAT, ["n", "c"])))
                for name in outputs
            ],
            [numpy_helper.from_array(v, k) for k, v in CONSTANTS.items() if k in needed],
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=9,
    )
    onnx.save(model, str(path))
    return model


@pytest.mark.parametrize("name", GRAPHS)
def test_probabilities_and_labels_are_those_of_the_reference(name: str, tmp_path: Path) -> None:
    nodes, kind = GRAPHS[name]
    model = save(nodes, tmp_path / "m.onnx", kind)
    entry = model.graph.input[0].name
    truth: Any = ReferenceEvaluator(model).run(None, {entry: X})
    plan = hetorch.compile(load_model(tmp_path / "m.onnx"), X)
    assert len(plan.interface.classes) == 1
    scores = simulate(plan, X, noise=False)
    tolerance = 0.05 if name == "network of probabilities" else 1e-3
    assert np.abs(plan.interface.probabilities(scores) - truth[1]).max() <= tolerance
    ordered = np.sort(truth[1], axis=1)
    sure = ordered[:, -1] - ordered[:, -2] > 2 * tolerance
    assert sure.mean() > 0.5
    assert np.array_equal(plan.interface.labels(scores)[sure], np.asarray(truth[0])[sure])


def test_zip_maps_are_left_out(tmp_path: Path) -> None:
    nodes = [*SCORES, NODE("Softmax", ["s"], ["q"], axis=1)]
    zipped = NODE("ZipMap", ["q"], ["p"], domain="ai.onnx.ml", classlabels_strings=LABELS)
    model = save([*nodes, zipped], tmp_path / "m.onnx", TensorProto.STRING, ("p",))
    model.graph.output[0].CopyFrom(
        helper.make_value_info("p", helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        ))
    )  # fmt: skip
    onnx.save(model, str(tmp_path / "m.onnx"))
    loaded = load_model(tmp_path / "m.onnx")
    interface = loaded.hetorch_interface
    assert isinstance(interface, Interface) and interface.classes[0].labels == tuple(LABELS)
    with torch.no_grad():
        own = loaded(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(own, torch.from_numpy(X @ W + B).softmax(1).numpy(), atol=1e-6)


def test_several_outputs_come_back_by_name(tmp_path: Path) -> None:
    nodes = [*SCORES, NODE("Relu", ["s"], ["r"])]
    save(nodes, tmp_path / "m.onnx", TensorProto.INT64, ("s", "h"))
    plan = hetorch.compile(load_model(tmp_path / "m.onnx"), X)
    results = simulate(plan, X)
    assert list(results) == ["s", "h"]
    for name, truth in (("s", X @ W + B), ("h", X @ W)):
        assert np.abs(results[name] - truth).max() <= 1e-3 * np.ptp(truth)


def test_a_transform_that_is_not_known(tmp_path: Path) -> None:
    save([linear(3, "PROBIT", classlabels_ints=[1, 2, 3]), SAME], tmp_path / "m.onnx", TensorProto.INT64)
    with pytest.raises(UnsupportedModelError, match="transform PROBIT"):
        load_model(tmp_path / "m.onnx")
