# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.torch import save_file
from sklearn import (
    cross_decomposition,
    decomposition,
    linear_model,
    neural_network,
    pipeline,
    preprocessing,
    svm,
)
from torch import nn

import hetorch
from hetorch import load_model
from hetorch.compiler.frontend.capture import capture
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.interpreter import run_tensor_program

X = np.random.default_rng(0).normal(size=(80, 5)) * [1, 2, 3, 4, 5] + 1
TARGETS = np.stack([X @ np.arange(5.0), np.sin(X[:, 0])], axis=1)
CLASSES = (X[:, 0] > 1).astype(int) + (X[:, 1] > 2)


def _scores(model: Any) -> Any:
    return model.decision_function(X)


def _logits(model: Any) -> Any:
    probabilities = model.predict_proba(X)
    return np.log(probabilities) - np.log(probabilities).mean(axis=1, keepdims=True)


ESTIMATORS: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
    "regression": (linear_model.LinearRegression(), TARGETS, lambda m: m.predict(X)),
    "ridge": (linear_model.Ridge(), TARGETS[:, 0], lambda m: m.predict(X)),
    "lasso": (linear_model.Lasso(0.1), TARGETS[:, 0], lambda m: m.predict(X)),
    "sgd": (linear_model.SGDRegressor(random_state=0), TARGETS[:, 1], lambda m: m.predict(X)),
    "logistic": (linear_model.LogisticRegression(max_iter=500), CLASSES, _scores),
    "two classes": (linear_model.LogisticRegression(), CLASSES > 0, _scores),
    "svc": (svm.LinearSVC(random_state=0), CLASSES, _scores),
    "svr": (svm.LinearSVR(random_state=0, max_iter=10000), TARGETS[:, 0], lambda m: m.predict(X)),
    "poisson": (linear_model.PoissonRegressor(), CLASSES, lambda m: m.predict(X)),
    "tweedie": (linear_model.TweedieRegressor(power=1.5), CLASSES, lambda m: m.predict(X)),
    "tweedie line": (linear_model.TweedieRegressor(), TARGETS[:, 0], lambda m: m.predict(X)),
    "svm": (svm.SVC(kernel="linear"), CLASSES > 0, _scores),
    "mlp": (
        neural_network.MLPRegressor(hidden_layer_sizes=(6, 4), activation="tanh", max_iter=50, random_state=0),
        TARGETS,
        lambda m: m.predict(X),
    ),
    "mlp classes": (
        neural_network.MLPClassifier(hidden_layer_sizes=(6,), max_iter=50, random_state=0), CLASSES, _logits
    ),
    "standard": (preprocessing.StandardScaler(), None, lambda m: m.transform(X)),
    "min max": (preprocessing.MinMaxScaler((-1, 2)), None, lambda m: m.transform(X)),
    "max abs": (preprocessing.MaxAbsScaler(), None, lambda m: m.transform(X)),
    "robust": (preprocessing.RobustScaler(), None, lambda m: m.transform(X)),
    "pca": (decomposition.PCA(3, whiten=True), None, lambda m: m.transform(X)),
    "svd": (decomposition.TruncatedSVD(2), None, lambda m: m.transform(X)),
    "pipeline": (
        pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(4), linear_model.LogisticRegression()),
        CLASSES > 0,
        _scores,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_estimators(name: str) -> None:
    estimator, target, truth = ESTIMATORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = estimator.fit(X) if target is None else estimator.fit(X, target)
    captured = capture(fitted, X[:10])
    outputs = run_tensor_program(captured.program, X)
    expected = np.asarray(truth(fitted)).reshape(len(X), -1)
    if name == "mlp classes":
        outputs = outputs - outputs.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs, expected, atol=1e-8)
    assert captured.name == type(fitted).__name__


def test_a_classifier_says_that_its_results_are_scores() -> None:
    fitted = ESTIMATORS["pipeline"][0].fit(X, CLASSES > 0)
    module = load_model(fitted)
    for model in (fitted, module):
        (note,) = capture(model, X).notes
        assert note.startswith("Pipeline: results are scores") and "predict_proba" in note
    truth = fitted.decision_function(X)
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.from_numpy(X)).numpy()[:, 0], truth, atol=1e-8)
    assert not capture(linear_model.LinearRegression().fit(X, TARGETS), X).notes


def test_models_that_are_objects_already(tmp_path: Path) -> None:
    module = nn.Linear(2, 1)
    assert load_model(module) is module
    with pytest.raises(InputError, match="got int"):
        load_model(5)
    with pytest.raises(InputError, match=r"is the class Linear: make an instance, Linear\(\.\.\.\)"):
        hetorch.compile(nn.Linear, torch.zeros(4, 2))
    pickled = tmp_path / "model.joblib"
    pickled.write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match="is a pickle, which runs whatever it holds"):
        load_model(pickled)


def test_estimators_that_do_not_work_are_refused() -> None:
    with pytest.raises(InputError, match="not fitted"):
        capture(preprocessing.StandardScaler(), X)
    with pytest.raises(UnsupportedModelError, match="kernel"):
        capture(svm.SVC(kernel="rbf").fit(X, CLASSES), X)
    with pytest.raises(UnsupportedModelError, match="3 classes has one score a pair"):
        capture(svm.SVC(kernel="linear").fit(X, CLASSES), X)
    with pytest.raises(UnsupportedModelError, match="PLSRegression centres"):
        capture(cross_decomposition.PLSRegression().fit(X, TARGETS), X)
    with pytest.raises(UnsupportedModelError, match="PowerTransformer is not supported; what works"):
        capture(preprocessing.PowerTransformer().fit(X), X)


class Varied(nn.Module):
    """A network with many of ONNX's operators."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.last = nn.Linear(3 * 8 * 8, 5)
        self.layer = nn.LayerNorm(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.first(x)))
        y = nn.functional.pad(self.up(y), (0, 1, 1, 0))
        y = torch.cat([y[:, :1] * 2, y[:, 1:].sigmoid()], dim=1) + y.mean((2, 3), keepdim=True)
        y = nn.functional.avg_pool2d(nn.functional.interpolate(y, scale_factor=2), 2)[:, :, 1:, 1:]
        y = self.layer(self.last(y.flatten(1)).clamp(-2, 2) ** 2)
        return y.view(-1, 5, 1).transpose(1, 2).reshape(-1, 5) - y.max(1, keepdim=True).values


ONNX_MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3), nn.Softmax(1)), (4,)),
    "varied": (Varied, (2, 8, 8)),
    "pool": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (3, 6, 6)),
    "rows": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3, dilation=2), nn.LeakyReLU(0.2), nn.PReLU(3)), (2, 9)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ONNX_MODELS))
@pytest.mark.parametrize("fixed", [False, True])
def test_onnx(name: str, fixed: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, shape = ONNX_MODELS[name]
    model, x = make().eval(), torch.randn(6, *shape)
    path = tmp_path / "model.onnx"
    axes = None if fixed else {"x": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (x[:1],), str(path), dynamo=False, input_names=["x"], dynamic_axes=axes, opset_version=17
        )
    loaded = load_model(path)
    with torch.no_grad():
        expected = torch.cat([model(sample[None]) for sample in x])
        torch.testing.assert_close(torch.cat([loaded(sample[None]) for sample in x]), expected)
    captured = capture(loaded, x)
    outputs = run_tensor_program(captured.program, x.numpy())
    truth = model[:-1](x) if name == "mlp" else expected  # type: ignore[index]
    np.testing.assert_allclose(outputs, truth.detach().numpy(), rtol=1e-4, atol=1e-4)


def graph(
    nodes: list[Any], shape: list[int | str], constants: dict[str, Any] | None = None, rank: int = 2
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


NODES: dict[str, tuple[Any, dict[str, Any]]] = {
    "same": (
        helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2]),
        {"w": np.random.default_rng(1).normal(size=(2, 2, 2, 3)).astype(np.float32)},
    ),
    "uneven": (
        helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[0, 1, 1, 0], count_include_pad=1), {}
    ),
    "depth": (helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=2), {}),
    "steps": (
        helper.make_node("Slice", ["x", "a", "b", "c", "d"], ["y"]),
        {"a": np.array([-1]), "b": np.array([-9]), "c": np.array([2]), "d": np.array([-2])},
    ),
    "gather": (helper.make_node("Gather", ["x", "i"], ["y"], axis=3), {"i": np.array([[3, 0], [1, 1]])}),
    "gemm": (
        helper.make_node("Einsum", ["x", "w"], ["y"], equation="bcij,kj->bik"),
        {"w": np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)},
    ),
    "norm": (helper.make_node("ReduceL2", ["x", "a"], ["y"], keepdims=0), {"a": np.array([1, 3])}),
    "hard": (helper.make_node("HardSigmoid", ["x"], ["y"], alpha=0.3), {}),
    "pad": (
        helper.make_node("Pad", ["x", "p", "v"], ["y"]),
        {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "v": np.array(1.5, np.float32)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NODES))
def test_onnx_nodes_do_what_the_reference_does(name: str, tmp_path: Path) -> None:
    node, constants = NODES[name]
    x = np.random.default_rng(2).normal(size=(3, 2, 4, 6)).astype(np.float32)
    results: Any = ReferenceEvaluator(graph([node], ["n", 2, 4, 6], constants)).run(None, {"x": x})
    expected = results[0]
    onnx.save(graph([node], ["n", 2, 4, 6], constants, expected.ndim), str(tmp_path / "m.onnx"))
    loaded = load_model(tmp_path / "m.onnx")
    np.testing.assert_allclose(loaded(torch.from_numpy(x)).numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        run_tensor_program(capture(loaded, x).program, x), expected, rtol=1e-4, atol=1e-5
    )


def test_onnx_that_does_not_work_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\x09junk")
    with pytest.raises(InputError, match="no ONNX model"):
        load_model(broken)
    onnx.save(graph([helper.make_node("NonZero", ["x"], ["y"])], [1, 4]), str(tmp_path / "n.onnx"))
    with pytest.raises(UnsupportedModelError, match=r"NonZero.*comparisons"):
        load_model(tmp_path / "n.onnx")


def test_a_state_dict_with_its_class(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    loaded = load_model(path, lambda: nn.Linear(3, 2))
    assert torch.equal(loaded.weight, model.weight)  # type: ignore[arg-type]
    again = load_model(model.state_dict(), lambda: nn.Linear(3, 2))
    assert torch.equal(again.weight, model.weight)  # type: ignore[arg-type]
    for wrong, message in (
        ({}, "must hold tensors"),
        ({"weight": 3}, "must hold tensors"),
        ({"a": model.weight}, "belong"),
    ):
        with pytest.raises(InputError, match=message):
            load_model(wrong, lambda: nn.Linear(3, 2))
    with pytest.raises(InputError, match="take no arguments"):
        load_model(model.state_dict(), nn.Linear)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="module="):
        load_model(model.state_dict())
    with pytest.raises(InputError, match=r"the model is an OrderedDict.*load_model\(state_dict, module="):
        capture(model.state_dict(), torch.zeros(2, 3))
    with pytest.raises(InputError, match="does not belong to Linear"):
        load_model(path, lambda: nn.Linear(4, 2))
    with pytest.raises(InputError, match="module="):
        load_model(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no safetensors"):
        load_model(path, lambda: nn.Linear(3, 2))
    with pytest.raises(InputError, match="no file"):
        load_model(tmp_path / "none.pt2")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(InputError, match="safetensors file"):
        load_model(tmp_path / "a.bin")


@pytest.mark.parametrize("batch", [1, 4])
def test_exported_programs(batch: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)).eval()
    axes = None if batch == 1 else ({0: torch.export.Dim.AUTO},)
    exported = torch.export.export(model, (torch.randn(batch, 1, 6, 6),), dynamic_shapes=axes)
    torch.export.save(exported, tmp_path / "m.pt2")
    x = torch.randn(7, 1, 6, 6)
    for source in (exported, load_model(tmp_path / "m.pt2")):
        outputs = run_tensor_program(capture(source, x).program, x.numpy())
        np.testing.assert_allclose(outputs, model(x).detach().numpy(), atol=1e-5)


def test_exported_models_name_the_axis_that_is_wrong() -> None:
    """A model with a batch of one refuses a larger batch too, which is not what the user has to mend."""
    exported = torch.export.export(nn.Linear(4, 2), (torch.rand(1, 4),))
    with pytest.raises(InputError, match=r"shape \(6, 3\).*size\(\)\[1\] == 4") as caught:
        capture(exported, torch.rand(6, 3))
    assert "batch size" not in str(caught.value)


def test_a_fixed_batch_is_told(tmp_path: Path) -> None:
    exported = torch.export.export(nn.Linear(3, 2), (torch.randn(8, 3),))
    torch.export.save(exported, tmp_path / "m.pt2")
    with pytest.raises(InputError, match=r"another batch size.*dynamic_shapes"):
        capture(load_model(tmp_path / "m.pt2"), torch.randn(5, 3))
