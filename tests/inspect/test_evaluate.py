from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error
from torch.utils.data import DataLoader, TensorDataset

import hetorch
from hetorch.errors import InputError, InputRangeWarning, PlanUseError
from tests.cli.command import hetorch as command
from tests.cli.command import refusal, save_secure_plan
from tests.compiler.networks import inputs, model, plan
from tests.server.small_plan import expected, outsourced_plan, small_plan


def test_classes_against_the_model() -> None:
    made, x = plan("mlp"), inputs("mlp")[:64]
    with torch.no_grad():
        clear = model("mlp")(torch.from_numpy(x).float()).numpy()
    labels = np.random.default_rng(0).integers(0, clear.shape[1], len(x))
    result = hetorch.evaluate(made, x, labels, model=model("mlp"))
    compiled = hetorch.simulate(made, x, noise=False)
    assert result.clear is not None
    assert result.clear.accuracy == pytest.approx(accuracy_score(labels, clear.argmax(1)))
    assert result.compiled.accuracy == pytest.approx(accuracy_score(labels, compiled.argmax(1)))
    assert result.compiled.agreement == pytest.approx(np.mean(clear.argmax(1) == compiled.argmax(1)))
    # The model computes in single precision.
    worst = np.abs(compiled - clear).max() / made.report.output_range
    assert result.compiled.worst_error == pytest.approx(worst, abs=1e-5)
    assert result.outside_inputs == 0.0 and result.outside_activations is None
    assert "agreement with in clear" in str(result)


def test_a_data_loader_has_the_labels() -> None:
    made, x, y = plan("mlp"), inputs("mlp")[:40], torch.arange(40) % 3
    data = TensorDataset(torch.from_numpy(x), y)
    result = hetorch.evaluate(made, x, y, model=model("mlp"))
    assert hetorch.evaluate(made, DataLoader(data, batch_size=16), model=model("mlp")) == result
    assert hetorch.evaluate(made, data) == hetorch.evaluate(made, x, y)
    with pytest.raises(InputError, match="labels of its own"):
        hetorch.evaluate(made, data, y)


def test_a_regression_without_the_model() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (50, 8))
    targets = expected(x) + np.random.default_rng(1).normal(0, 0.1, (50, 4))
    result = hetorch.evaluate(small_plan(), x, targets)
    assert result.clear is None and result.compiled.accuracy is None and result.compiled.worst_error is None
    assert result.compiled.rmse == pytest.approx(
        root_mean_squared_error(targets.ravel(), expected(x).ravel())
    )
    r2 = r2_score(targets, expected(x), multioutput="variance_weighted")
    assert result.compiled.r2 == pytest.approx(r2)
    assert result.noisy.worst_error is not None and 0 < result.noisy.worst_error < 1e-6
    assert result.outside_activations is None  # a square has no range


def test_one_hot_labels_are_classes() -> None:
    """Rows with one 1 are classes, as in torch's cross entropy; rows with several are targets of a regression."""
    rows = inputs("mlp")[:30]
    classes = np.random.default_rng(0).integers(0, 3, 30)
    size = plan("mlp").output_shape[0]
    one_hot = np.eye(size)[classes]
    assert hetorch.evaluate(plan("mlp"), rows, one_hot) == hetorch.evaluate(plan("mlp"), rows, classes)
    several = one_hot.copy()
    several[3] = 1.0
    assert hetorch.evaluate(plan("mlp"), rows, several).compiled.rmse is not None


def test_the_model_may_follow_the_labels() -> None:
    rows, classes = inputs("mlp")[:30], np.zeros(30)
    named = hetorch.evaluate(plan("mlp"), rows, classes, model=model("mlp"))
    assert hetorch.evaluate(plan("mlp"), rows, classes, model("mlp")) == named
    for arguments in ((model("mlp"),), (model("mlp"), classes)):
        with pytest.raises(InputError, match=r"y is the labels, got .*evaluate\(plan, x, y, model=model\)"):
            hetorch.evaluate(plan("mlp"), rows, *arguments)


def test_without_labels_only_what_is_known_is_shown() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (10, 8))
    result = hetorch.evaluate(small_plan(), x)
    assert result.compiled.rmse is None and result.noisy.agreement == 1.0
    assert "accuracy" not in str(result) and "agreement with compiled" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["samples"] == 10


def test_inputs_outside_the_range_are_counted_and_told_at_the_caller() -> None:
    x = np.zeros((4, 8))
    x[1, 2], x[3, 0] = 1.5, -1.2
    made = small_plan()
    with pytest.warns(InputRangeWarning, match="in 2 of 4 samples") as caught:
        result = hetorch.evaluate(made, x)
    assert result.outside_inputs == 0.5
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3), r"shape \(3,\); give one label for each of the 5 samples"),
        (np.full(5, 4), r"hold 4; a plan with 4 outputs needs classes 0\.\.3"),
        (np.full(5, 0.5), r"hold 0\.5"),
        (np.zeros((5, 3)), r"shape \(5, 3\); the plan has 4 outputs"),
        (np.full((5, 4), np.nan), "NaN"),
        ("text", "not only of numbers|real numbers"),
    ],
)
def test_wrong_labels_are_refused(labels: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        hetorch.evaluate(small_plan(), np.zeros((5, 8)), labels)


def test_a_model_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(3,\), the plan of shape \(4,\)"):
        hetorch.evaluate(small_plan(), np.ones((5, 8)), model=torch.nn.Linear(8, 3))


def test_a_plan_without_its_weights_is_refused() -> None:
    withheld = outsourced_plan().without_weights()
    for run in (hetorch.evaluate, hetorch.simulate):
        with pytest.raises(PlanUseError, match="without its weights"):
            run(withheld, np.zeros((2, 8)))


def test_what_leaves_the_owner_holds_no_weight(tmp_path: Path) -> None:
    """The network is derived from the plan, so that nothing else has to carry weights."""
    made = outsourced_plan()
    made.network()
    made.without_weights().save(tmp_path / "server")
    weights = [
        number.tobytes()
        for array in made.weights.values()
        if array.dtype == np.float64
        for number in array.ravel()
    ]
    files = [made.public().to_bytes(), *(file.read_bytes() for file in (tmp_path / "server").iterdir())]
    for number in {w for w in weights if any(w)}:
        assert not any(number in data for data in files)
        assert not any(repr(float(np.frombuffer(number)[0])).encode() in data for data in files)


def test_the_command(tmp_path: Path) -> None:
    folder = save_secure_plan(tmp_path)
    x = np.random.default_rng(0).uniform(-1, 1, (20, 8))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", expected(x).argmax(axis=1))
    (tmp_path / "net.py").write_text("import torch\nnet = torch.nn.Linear(8, 4)\n")
    files = ["--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"]
    result = json.loads(command("evaluate", folder, *files, "--json").stdout)
    assert result["compiled"]["accuracy"] == 1.0 and result["clear"] is None
    text = command("evaluate", folder, *files, "--model", f"{tmp_path / 'net.py'}:net").stdout
    assert "in clear" in text and "worst error" in text
    np.save(tmp_path / "y.npy", np.zeros(7))
    assert "give one label for each of the 20 samples" in refusal("evaluate", folder, *files)


def test_a_classifier_on_a_table_is_judged_by_its_labels() -> None:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    table = {"age": random.normal(size=300).tolist(), "job": random.choice(["cook", "clerk"], 300).tolist()}
    frame = pd.DataFrame(table)
    labels = np.where(frame["age"] + (frame["job"] == "cook") + random.normal(size=300) > 0.5, "good", "bad")
    columns = ColumnTransformer([("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["job"])])
    classifier = make_pipeline(columns, LogisticRegression()).fit(frame, labels)
    made = hetorch.compile(classifier, frame)
    for x in (frame, table, frame[["job", "age"]]):
        result = hetorch.evaluate(made, x, labels, model=classifier)
        assert result.clear is not None
        assert result.clear.accuracy == pytest.approx(accuracy_score(labels, classifier.predict(frame)))
        assert result.noisy.agreement is not None and result.noisy.agreement > 0.99
    with pytest.raises(InputError, match="one label for each"):
        hetorch.evaluate(made, frame, labels[:3])


class Heads(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classes, self.price = torch.nn.Linear(8, 3), torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"classes": self.classes(x), "price": 1000 + 100 * self.price(x).reshape(-1, 2, 1)}


def test_several_outputs_are_compared_each_in_its_own_range() -> None:
    torch.manual_seed(0)
    heads, x = Heads().eval(), torch.randn(200, 8)
    made = hetorch.compile(heads, x)
    result = hetorch.evaluate(made, x, model=heads)
    assert result.compiled.worst_error is not None and result.compiled.worst_error < 1e-5
    own = hetorch.simulate(made, x)["classes"].argmax(1)
    with torch.no_grad():
        share = np.mean(own == heads(x)["classes"].argmax(1).numpy())
    assert result.noisy.agreement == pytest.approx(share)
    with torch.no_grad():
        labels = heads(x)["classes"].argmax(1)
    labels[:20] = (labels[:20] + 1) % 3
    judged = hetorch.evaluate(made, x, {"classes": labels}, model=heads)
    assert judged.clear is not None and judged.clear.accuracy == pytest.approx(0.9)
    with pytest.raises(InputError, match=r"by its name, as in \{'classes': y\}"):
        hetorch.evaluate(made, x, np.zeros(200))
    for wrong, message in (
        ({"price": np.zeros(200)}, "the labels of price"),
        ({"a": labels}, "the labels name a;"),
    ):
        with pytest.raises(InputError, match=message):
            hetorch.evaluate(made, x, wrong)


def test_each_output_of_several_has_its_figures() -> None:
    torch.manual_seed(0)
    heads, x = Heads().eval(), torch.randn(200, 8)
    made = hetorch.compile(heads, x)
    with torch.no_grad():
        truth = heads(x)
    targets = truth["price"].numpy() + 10
    result = hetorch.evaluate(made, x, {"classes": truth["classes"].argmax(1), "price": targets}, model=heads)
    classes, price = result.heads
    assert (classes.name, price.name) == ("classes", "price")
    assert classes.compiled.accuracy == 1.0 and classes.compiled.rmse is None
    assert price.compiled.accuracy is None and price.compiled.agreement is None
    assert price.compiled.rmse == pytest.approx(10, rel=1e-3)
    r2 = r2_score(
        targets.reshape(200, -1), truth["price"].numpy().reshape(200, -1), multioutput="variance_weighted"
    )
    assert price.compiled.r2 == pytest.approx(r2, rel=1e-3)
    assert result.noisy.worst_error == max(classes.noisy.worst_error or 0, price.noisy.worst_error or 0)
    assert result.compiled.accuracy is None  # two kinds of labels have no common figure
    lines = str(result).splitlines()
    assert lines.index("classes:") < lines.index("price:")
    assert json.loads(json.dumps(result.to_dict()))["heads"][1]["name"] == "price"


def test_labels_of_probabilities_are_compared_with_one_half() -> None:
    torch.manual_seed(0)
    binary, x = torch.nn.Sequential(torch.nn.Linear(8, 1), torch.nn.Sigmoid()).eval(), torch.randn(200, 8)
    made = hetorch.compile(binary, x)
    with torch.no_grad():
        shares = binary(x).numpy()
    labels = (shares[:, 0] > 0.5).astype(int)
    labels[:20] = 1 - labels[:20]
    result = hetorch.evaluate(made, x, labels, model=binary)
    assert result.compiled.accuracy == pytest.approx(accuracy_score(labels, shares[:, 0] > 0.5), abs=0.011)
    assert result.noisy.agreement is not None and result.noisy.agreement > 0.98
    soft = hetorch.evaluate(made, x, shares + 0.25)  # targets that are no classes
    assert soft.compiled.accuracy is None and soft.compiled.rmse == pytest.approx(0.25, abs=1e-3)
