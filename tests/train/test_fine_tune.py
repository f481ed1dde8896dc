"""Fine-tuning on small synthetic data, against torch; what it reports and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from hetorch.errors import InputError, TrainingError
from hetorch.train import PolyAct, fine_tune, penalty, prepare, search
from hetorch.train.ranges import MARGIN


def rings(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points (count, 2) in two rings, which no linear map tells apart."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, count)
    angle, radius = draw.uniform(0, 2 * np.pi, count), 1 + labels + draw.normal(0, 0.1, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return torch.from_numpy(points.astype(np.float32)), torch.from_numpy(labels)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2)
    )


@pytest.fixture(scope="module")
def trained() -> nn.Sequential:
    model, (x, y) = network(), rings(512, 0)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(100):
        optimiser.zero_grad()
        functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.eval()


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def test_the_polynomials_keep_the_accuracy_and_the_model_stays(trained: nn.Sequential) -> None:
    before = copy.deepcopy(trained.state_dict())
    tuned = fine_tune(trained, rings(512, 0), epochs=6, learning_rate=0.01, progress=False)
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    acts = [part for part in tuned.model.modules() if isinstance(part, PolyAct)]
    assert [act.stage for act in acts] == ["polynomial"] * 2 and not tuned.model.training
    test = rings(1000, 1)
    assert accuracy(trained, *test) > 0.99
    # Parabolas tell rings apart, so quartics lose nothing but chance: 1 % of 1,000 is three deviations of a share of
    # 1 %.
    assert accuracy(tuned.model, *test) > 0.98
    assert [epoch.stage for epoch in tuned.history] == ["exact"] + ["polynomial"] * 5
    assert tuned.best.judged == min(epoch.judged for epoch in tuned.history[1:])
    assert tuned.original is trained


def test_the_ranges_are_those_of_the_data_and_of_changed_ones_with_a_margin(trained: nn.Sequential) -> None:
    x, y = rings(256, 0)
    tuned = fine_tune(
        trained, DataLoader(TensorDataset(x, y), 64), epochs=2, augment=lambda x: 2 * x, progress=False
    )
    act = tuned.model[2]  # type: ignore[index]
    with torch.no_grad():
        hidden = tuned.model[1](tuned.model[0](torch.cat([x, 2 * x])))  # type: ignore[index]
    low, high = hidden.aminmax(dim=0)
    torch.testing.assert_close(act.running_low, low - MARGIN * (high - low))
    torch.testing.assert_close(act.running_high, high + MARGIN * (high - low))


def test_the_same_seed_gives_the_same_weights_and_leaves_the_state_of_torch(trained: nn.Sequential) -> None:
    data = rings(256, 0)
    state = torch.random.get_rng_state()
    first, again, other = (
        fine_tune(trained, data, epochs=2, seed=seed, progress=False).model.state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())


def test_a_larger_range_weight_lowers_the_penalty(trained: nn.Sequential) -> None:
    data = rings(256, 0)
    low, high = (
        fine_tune(trained, data, epochs=5, range_weight=weight, learning_rate=0.02, progress=False)
        for weight in (10.0, 0.0)
    )
    assert sum(epoch.penalty for epoch in low.history) < sum(epoch.penalty for epoch in high.history)


def test_the_teacher_is_imitated_and_not_the_labels(trained: nn.Sequential) -> None:
    x, _ = rings(512, 0)
    wrong = torch.zeros(512, dtype=torch.int64)
    student = fine_tune(
        network(), (x, wrong), teacher=trained, epochs=10, learning_rate=0.02, augment=None, progress=False
    )
    test, labels = rings(500, 1)
    assert accuracy(student.model, test, labels) > 0.9
    with torch.no_grad():
        found, wanted = student.model(test), trained(test)
    # The judge is the mean square of the difference relative to the variance, on other points of the same rings.
    distance = float((found - wanted).square().mean() / wanted.var(0).mean())
    assert student.best.judged < 0.1 and distance < 0.2


def test_labels_are_not_needed(trained: nn.Sequential) -> None:
    x, y = rings(256, 0)
    with_labels, tensor, array, dataset = (
        fine_tune(trained, data, epochs=2, progress=False)
        for data in ((x, y), x, x.numpy(), TensorDataset(x))
    )
    for tuned in (tensor, array, dataset):
        assert tuned.best.accuracy is None
        for value, expected in zip(tuned.model.parameters(), with_labels.model.parameters(), strict=True):
            assert torch.equal(value, expected)
    batches = fine_tune(trained, [x[:128], x[128:]], epochs=2, progress=False)
    assert batches.history[-1].judged == batches.history[-1].loss < 1


def test_shifted_inputs_stay_near_the_teacher_with_augmentation() -> None:
    draw = torch.Generator().manual_seed(0)
    brightness, noise = torch.rand(1024, 1, 1, 1, generator=draw), torch.rand(1024, 1, 6, 6, generator=draw)
    pictures = 0.2 * brightness + 0.3 * noise
    torch.manual_seed(1)
    teacher = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=1.0), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    teacher(pictures)  # the batch normalisation takes their statistics
    teacher.eval()
    # Shifts and stretches within those of the default.
    centre, width = pictures.mean((1, 2, 3), keepdim=True), pictures.max() - pictures.min()
    moved = torch.cat([centre + 1.35 * (pictures - centre) + share * width for share in (-0.19, 0.19)])
    distances: dict[str | None, float] = {}
    changes: tuple[Literal["shift"] | None, ...] = ("shift", None)
    for augment in changes:
        tuned = fine_tune(
            teacher, pictures, augment=augment, epochs=10, learning_rate=5e-3, batch_size=32, progress=False
        )
        with torch.no_grad():
            wanted, found = teacher(moved), tuned.model(moved)
        distances[augment] = float((found - wanted).square().mean() / wanted.var(0).mean())
    assert distances["shift"] < 0.5 * distances[None]


def test_a_regression_with_a_loss_of_its_own_has_no_accuracy() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 3)
    y = x[:, :1] * x[:, 1:2]
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    tuned = fine_tune(
        model, (x, y), loss=functional.mse_loss, distillation=0.0, augment=None, degree=2, learning_rate=0.02,
        progress=False,
    )  # fmt: skip
    assert tuned.best.accuracy is None
    # A product is a sum of squares, which parabolas are.
    assert tuned.best.judged < 0.1 * float(y.var())


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: (x.numpy(), y.numpy()[:, None].astype(np.uint8)),
        lambda x, y: TensorDataset(x, y),
        lambda x, y: DataLoader(TensorDataset(x, y), 32, shuffle=True),
        lambda x, y: [(x[:32], y[:32]), (x[32:], y[32:])],
    ],
    ids=["arrays with a column of labels", "dataset", "loader", "list of batches"],
)
def test_data_in_the_usual_forms(form: Callable[[Tensor, Tensor], object]) -> None:
    data = form(*rings(64, 0))
    tuned = fine_tune(network(), data, epochs=1, progress=False)
    assert tuned.best.judged < 10 and (tuned.best.accuracy is None) == (not isinstance(data, tuple | Dataset))


@pytest.mark.parametrize("batches", [1, 2, 9, 10, 11, 20])
def test_any_number_of_steps_has_a_schedule(trained: nn.Sequential, batches: int) -> None:
    data = [rings(4, seed) for seed in range(batches)]
    tuned = fine_tune(trained, data, epochs=1, progress=False)
    assert len(tuned.history) == 1


def test_training_stops_early_and_keeps_the_best(trained: nn.Sequential) -> None:
    data = rings(128, 0)
    tuned = fine_tune(
        trained, data, epochs=40, learning_rate=0.3, clip=100.0, patience=2, validation=data, augment=None,
        loss="cross_entropy", distillation=0, progress=False,
    )  # fmt: skip
    assert len(tuned.history) < 40
    assert tuned.history[-1].number - tuned.best.number == 2
    with torch.no_grad():
        judged = functional.cross_entropy(tuned.model(data[0]), data[1]).item()
    assert judged == pytest.approx(tuned.best.judged, rel=1e-4)


def test_the_result_is_a_table_and_progress_is_told(trained: nn.Sequential) -> None:
    told: list[tuple[str, float]] = []
    tuned = fine_tune(
        trained, rings(64, 0), epochs=2, exact_epochs=1, progress=lambda *told_now: told.append(told_now)
    )
    lines = repr(tuned).splitlines()
    assert len(lines) == 3 and lines[1].split()[:2] == ["1", "exact"] and lines[2].endswith("best")
    assert tuned._repr_html_().startswith("<pre style=")
    assert told == [("epoch 1 of 2, exact activations", 0.0), ("epoch 2 of 2, polynomial activations", 0.5)]


def test_a_prepared_model_is_trained_as_a_copy(trained: nn.Sequential) -> None:
    x, y = rings(128, 0)
    prepared = prepare(trained, x, degree=2)
    tuned = fine_tune(prepared, (x, y), teacher=trained, epochs=1, progress=False)
    assert tuned.model[2].degree == 2  # type: ignore[index]
    assert prepared[2].stage == "exact"  # type: ignore[index]


def test_divergence_is_told_with_a_remedy(trained: nn.Sequential) -> None:
    def broken(outputs: Tensor, labels: Tensor) -> Tensor:
        return outputs.sum() * float("nan")

    with pytest.raises(TrainingError, match=r"the loss is nan in epoch 1.*smaller learning_rate"):
        fine_tune(trained, rings(64, 0), loss=broken, epochs=1, progress=False)


def test_labels_are_no_argument_of_their_own(trained: nn.Sequential) -> None:
    samples, labels = rings(8, 0)
    call: Any = fine_tune
    with pytest.raises(TypeError, match=r"was given 3; .*fine_tune\(model, \(x, y\)\)"):
        call(trained, samples, labels)
    call = search
    with pytest.raises(TypeError, match=r"search\(model, \(x, y\), share=0.5\)"):
        call(trained, samples, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be"),
        ({"exact_epochs": 3, "epochs": 3}, "exact_epochs must be 0..2"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"range_weight": float("inf")}, "range_weight must be 0 or more"),
        ({"distillation": 0.0}, "give a loss"),
        ({"loss": "crossentropy"}, "loss must be a function"),
        ({"augment": "mixup"}, "augment must be a function"),
        ({"augment": lambda x: x[:1]}, "augment must return tensors of the shapes"),
        ({"augment": lambda x: x.reshape(3, 3)}, "augment does not take the inputs"),
        ({"teacher": nn.Linear(2, 3)}, "the teacher returns"),
        ({"teacher": "resnet"}, "teacher must be"),
        ({"degree": 5}, "degree must be"),
        ({"loader": "rings.csv"}, "loader must be"),
        ({"loader": torch.zeros(4, 2), "loss": "cross_entropy"}, "loss takes labels, but the data have none"),
        ({"loader": (torch.zeros(4, 2), torch.zeros(5))}, "4 inputs and 5 labels"),
        ({"loader": (torch.zeros(4, dtype=torch.int64), torch.zeros(4, 2))}, r"samples come first.*\(x, y\)"),
        ({"loader": []}, "loader holds no batch"),
        ({"loader": [{"x": torch.zeros(4, 2)}]}, "a batch is dict"),
        ({"loader": iter([])}, "read once"),
        (
            {"loader": (torch.zeros(4, 2), torch.zeros(4)), "loss": "cross_entropy"},
            "the loss does not take outputs",
        ),
        ({"loader": (torch.zeros(4, 3), torch.zeros(4).long())}, "does not accept the example inputs"),
        ({"loss": lambda outputs, labels: outputs}, "loss must return one number"),
    ],
)
def test_wrong_arguments_are_told(options: dict[str, object], message: str) -> None:
    data = options.pop("loader", rings(64, 0))
    with pytest.raises(InputError, match=message):
        fine_tune(network(), data, progress=False, **{"epochs": 1, **options})  # type: ignore[arg-type]


def test_the_penalty_in_a_loop_of_ones_own_falls() -> None:
    x, _ = rings(256, 0)
    model = prepare(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)), x).train()
    with torch.no_grad():
        model(0.5 * x)
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    values = []
    for _ in range(20):
        model(x)
        values.append(penalty(model))
        optimiser.zero_grad()
        values[-1].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert values[-1].item() < 0.5 * values[0].item()
