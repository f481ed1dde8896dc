"""Models that return several tensors, or one with a name, and those that take token ids."""

from __future__ import annotations

import re
import types
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.compiler.frontend.graph.several_outputs import Outputs
from hetorch.errors import InputError, UnsupportedModelError

torch.manual_seed(0)
X = torch.randn(200, 8)


class Two(nn.Module):
    """Three logits, and an image of numbers around 1000, far larger than the logits."""

    def __init__(self, form: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.a, self.b, self.form = nn.Linear(8, 3), nn.Linear(8, 4), form

    def forward(self, x: torch.Tensor) -> Any:
        hidden = x * x
        return self.form(self.a(hidden), 1000 + 100 * self.b(hidden).reshape(-1, 2, 2))


@dataclass
class Answer:
    logits: torch.Tensor
    image: torch.Tensor
    loss: torch.Tensor | None = None


Pair = namedtuple("Pair", "logits image")

BY_NAME: dict[str, Callable[[Any, Any], Any]] = {
    "dictionary": lambda a, b: {"logits": a, "image": b, "label": a.argmax(-1), "count": 2},
    "dataclass": Answer,
    "named tuple": Pair,
    "object": lambda a, b: types.SimpleNamespace(logits=a, image=b),
}
IN_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "tuple": lambda a, b: (a, b), "list": lambda a, b: [a, b], "nested": lambda a, b: (a, (b,), None)
}  # fmt: skip


def truth(x: torch.Tensor, model: Two) -> tuple[Any, Any]:
    first, second = Two(lambda a, b: (a, b)).eval(), model.state_dict()
    first.load_state_dict(second)
    with torch.no_grad():
        a, b = first(x)
    return a.numpy(), b.numpy()


def check(plan: hetorch.Plan, parts: Any, expected: tuple[Any, ...]) -> None:
    """Each output is within the predicted error, which is relative to its own range."""
    for head, part, right in zip(plan.interface.heads, parts, expected, strict=True):
        bound = plan.report.predicted_error * plan.report.output_range * head.scale
        if len(right) == len(X):  # the scale is the power of two above the range on the calibration inputs
            assert 0.999 * np.ptp(right) <= head.scale <= 2.001 * np.ptp(right)
        assert part.shape == right.shape
        assert np.abs(part - right).max() <= bound + 1e-6 * np.abs(right).max()


@pytest.mark.parametrize("form", BY_NAME)
def test_outputs_come_back_by_name(form: str) -> None:
    model = Two(BY_NAME[form]).eval()
    plan = hetorch.compile(model, X)
    results = simulate(plan, X)
    assert list(results) == ["logits", "image"]
    check(plan, results.values(), truth(X, model))
    assert hetorch.PublicPlan.from_bytes(plan.public().to_bytes()) == plan.public()


@pytest.mark.parametrize("form", IN_ORDER)
def test_a_tuple_of_outputs_is_a_tuple(form: str) -> None:
    model = Two(IN_ORDER[form]).eval()
    plan = hetorch.compile(model, X)
    results = simulate(plan, X)
    assert isinstance(results, tuple)
    check(plan, results, truth(X, model))


def test_encrypted_by_name_and_saved(tmp_path: Any) -> None:
    model = Two(BY_NAME["dictionary"]).eval()
    plan = hetorch.compile(model, X)
    assert any("label" in note and "the client computes" in note for note in plan.report.notes)
    plan.save(tmp_path / "two")
    again = hetorch.Plan.load(tmp_path / "two")
    assert again.interface == plan.interface and again.fingerprint == plan.fingerprint
    check(plan, run_encrypted(again, X[:2]).values(), truth(X[:2], model))


class Refused(nn.Module):
    """Two outputs, one of which cannot be computed on encrypted data, and a third of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.a(x)
        return {
            "sorted": x.sort(-1).values,
            "scores": scores,
            "share": scores.softmax(-1),
            "zero": scores * 2,
        }


def test_outputs_that_are_not_asked_for_are_not_computed() -> None:
    model = Refused().eval()
    with pytest.raises(UnsupportedModelError, match="sort"):
        hetorch.compile(model, X)
    plan = hetorch.compile(model, X, outputs="zero,scores")
    results = simulate(plan, X)
    assert list(results) == ["zero", "scores"]
    with torch.no_grad():
        check(plan, results.values(), (2 * model.a(X).numpy(), model.a(X).numpy()))
    assert hetorch.analyze(model, X, outputs=["scores"]).supported
    assert not hetorch.analyze(model, X).supported
    alone = simulate(hetorch.compile(model, X, outputs=["scores"]), X[0])
    assert list(alone) == ["scores"] and alone["scores"].shape == (3,)


def test_a_softmax_at_the_end_of_one_output_is_computed_by_the_client() -> None:
    model = Refused().eval()
    plan = hetorch.compile(model, X, outputs=["share", "scores"])
    results = simulate(plan, X)
    with torch.no_grad():
        scores = model.a(X)
    share, head = scores.softmax(-1).numpy(), plan.interface.heads[1]
    bound = plan.report.predicted_error * plan.report.output_range * head.scale
    assert np.abs(results["scores"] - scores.numpy()).max() <= bound
    assert np.abs(results["share"] - share).max() <= bound  # a softmax changes by less than its largest score
    assert any("softmax at the end" in note for note in plan.report.notes)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["logit"], "names logit, and Two returns logits, image"),
        ("label", "label holds whole numbers, which the client computes"),
        ("", "outputs must be names of outputs"),
        (["logits", "logits"], "each once"),
        (3, "outputs must be names"),
    ],
)
def test_outputs_that_do_not_exist(outputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        hetorch.compile(Two(BY_NAME["dictionary"]).eval(), X, outputs=outputs)


def test_outputs_of_a_model_that_returns_one() -> None:
    with pytest.raises(InputError, match="returns one tensor without a name"):
        hetorch.compile(nn.Linear(8, 3), X, outputs=["logits"])


class Heads(nn.Module):
    """Classes, a single number, and an image, behind one activation."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = self.last(torch.relu(self.hidden(x)))
        return y[:, :3] * 0.001, y[:, 3:4], y[:, 4:].reshape(-1, 2, 2)


def test_agreement_is_that_of_the_outputs_that_are_rows_of_classes() -> None:
    model = Heads().eval()
    plan = hetorch.compile(model, X, activation_degree=2)
    with torch.no_grad():
        classes = model(X)[0].numpy()
    # Without noise the agreement in the report is that of the first output, whose numbers are the smallest.
    own = simulate(plan, X, noise=False)[0]
    share = np.mean(own.argmax(1) == classes.argmax(1))
    assert plan.report.agreement == pytest.approx(share, abs=0.006)
    assert share < 1


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Embedding(10, 4), nn.Linear(4, 2)])

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.parts[1](self.parts[0](ids).mean(1))}


def test_token_ids_are_looked_up_by_the_client_with_the_call_that_is_named() -> None:
    model, ids = Tokens().eval(), torch.randint(0, 10, (64, 3))
    with torch.no_grad():
        expected = model(ids)["logits"].numpy()
    with pytest.raises(UnsupportedModelError, match=r"embedding in parts\.0") as caught:
        hetorch.compile(model, ids)
    with pytest.raises(UnsupportedModelError, match=r"embedding in parts\.0"):
        hetorch.compile(model, ids.float())
    calls = re.search(
        r"rows: (.*); then (hetorch\.compile\(.*?\)), and client\.predict\((.*)\)", str(caught.value)
    )
    assert calls is not None
    first, compiling, query = calls.groups()
    names: dict[str, Any] = {"model": model, "ids": ids, "torch": torch, "hetorch": hetorch}
    exec(f"{first}\nplan = {compiling}\nrows = {query}", names)
    plan = names["plan"]
    results = simulate(plan, names["rows"])["logits"]
    assert np.abs(results - expected).max() <= plan.report.predicted_error * plan.report.output_range + 1e-5


class Hugging(Tokens):
    def get_input_embeddings(self) -> nn.Module:
        return self.parts[0]


def test_models_that_take_embeddings_are_told_so() -> None:
    with pytest.raises(
        UnsupportedModelError, match=r"model\.get_input_embeddings\(\).*model\(inputs_embeds=x\)"
    ):
        hetorch.compile(Hugging().eval(), torch.randint(0, 10, (64, 3)))


def test_what_is_no_output() -> None:
    for form in (lambda a, b: "text", lambda a, b: {"a": 1}, lambda a, b: (), lambda a, b: {"a": a.sum()}):
        with pytest.raises(UnsupportedModelError, match="must return a tensor"):
            hetorch.compile(Two(form).eval(), X)


@pytest.mark.parametrize(
    ("names", "beginning"),
    [
        (("label",), "the model's output label holds"),
        (("label", "rank"), "the model's outputs label, rank hold "),
    ],
)
def test_the_note_on_whole_numbers(names: tuple[str, ...], beginning: str) -> None:
    assert Outputs(((0,),), ("logits",), left_out=names).note.startswith(beginning)
