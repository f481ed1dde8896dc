"""Every form of calibration inputs gives the same program inputs as one tensor of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import hetorch
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.frontend.sources.calibration_inputs import MOST_SAMPLES, read_calibration_inputs
from hetorch.errors import InputError

torch.manual_seed(0)
X = torch.randn(65, 4)
Y = torch.randint(0, 3, (65,))
A, B = torch.randn(65, 4), torch.randn(65, 2, 3)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(6, 3)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.first(a) + self.second(b.flatten(1))
        return total


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from zip(X, Y, strict=True)


ONE: dict[str, Callable[[], object]] = {
    "tensor": lambda: X,
    "tensor that requires grad": lambda: X.clone().requires_grad_(),
    "result of a layer": lambda: nn.Identity()(X.clone().requires_grad_() * 1),
    "array": lambda: X.numpy(),
    "sparse matrix": lambda: sparse.csr_array(X.numpy()),
    "rows of numbers": lambda: X.tolist(),
    "tuples of numbers": lambda: [tuple(row) for row in X.tolist()],
    "tuple of one": lambda: (X,),
    "list of one batch": lambda: [X],
    "list of samples": lambda: list(X),
    "list of arrays": lambda: list(X.numpy()),
    "list of samples that require grad": lambda: [x.clone().requires_grad_() for x in X],
    "list of pairs": lambda: list(zip(X, Y, strict=True)),
    "list of pairs of numbers": lambda: list(zip(X.tolist(), Y.tolist(), strict=True)),
    "DataFrame": lambda: pd.DataFrame(X.numpy()),
    "Dataset": lambda: TensorDataset(X),
    "Dataset of pairs": lambda: TensorDataset(X, Y),
    "IterableDataset": Stream,
    "DataLoader": lambda: DataLoader(TensorDataset(X), batch_size=7),
    "DataLoader of pairs": lambda: DataLoader(TensorDataset(X, Y), batch_size=16),
    "DataLoader of a stream": lambda: DataLoader(Stream(), batch_size=16),
}
TWO: dict[str, Callable[[], object]] = {
    "tuple": lambda: (A, B),
    "tuple of arrays": lambda: (A.numpy(), B.numpy()),
    "tuple of lists": lambda: (A.tolist(), B.tolist()),
    "tuple that requires grad": lambda: (A.clone().requires_grad_(), B),
    "list": lambda: [A, B],
    "list of samples": lambda: list(zip(A, B, strict=True)),
    "list of triples": lambda: list(zip(A, B, Y, strict=True)),
    "Dataset": lambda: TensorDataset(A, B, Y),
    "DataLoader": lambda: DataLoader(TensorDataset(A, B, Y), batch_size=10),
}


@pytest.mark.parametrize("form", ONE)
def test_forms_of_one_input(form: str) -> None:
    captured = capture(nn.Sequential(nn.Linear(4, 3)), ONE[form]())
    assert captured.program.input_shape == (4,)
    np.testing.assert_array_equal(captured.inputs, X.double().numpy())


@pytest.mark.parametrize("form", TWO)
def test_forms_of_two_inputs(form: str) -> None:
    captured = capture(Two(), TWO[form]())
    np.testing.assert_array_equal(captured.inputs, torch.cat([A, B.flatten(1)], 1).double().numpy())


def test_whole_numbers_stay_whole() -> None:
    model = nn.Sequential(nn.Embedding(5, 2), nn.Flatten())
    tokens = torch.randint(0, 5, (9, 3))
    for form in (
        tokens,
        list(tokens),
        tokens.tolist(),
        DataLoader(TensorDataset(tokens, tokens), batch_size=4),
    ):
        data, _ = read_calibration_inputs(form, model)
        assert "int64" in str(getattr(data, "dtype", np.asarray(data).dtype))


@pytest.mark.parametrize("batch_size", [None, 1, 100, 5000])
def test_a_large_data_set_gives_its_first_samples(batch_size: int | None) -> None:
    many = torch.randn(2000, 4)
    data = TensorDataset(many, many)
    captured = capture(
        nn.Linear(4, 2), data if batch_size is None else DataLoader(data, batch_size=batch_size)
    )
    np.testing.assert_array_equal(captured.inputs, many[:MOST_SAMPLES].double().numpy())
    assert any("first 512 samples" in note for note in captured.notes)


def test_a_frame_has_the_columns_that_a_pipeline_was_fitted_on() -> None:
    frame = pd.DataFrame(X.numpy(), columns=["age", "sum", "rate", "months"])
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, Y.numpy())
    mixed = frame[["rate", "months", "age", "sum"]]
    np.testing.assert_array_equal(capture(pipeline, mixed).inputs, capture(pipeline, X).inputs)
    with pytest.raises(InputError, match="lacks the columns rate, months"):
        capture(pipeline, frame[["age", "sum"]])
    with pytest.raises(InputError, match="does not know the column other"):
        capture(pipeline, mixed.assign(other=1.0))
    with pytest.raises(InputError, match="the column word has 'a' in row 0, which is no number"):
        capture(nn.Linear(4, 2), frame.assign(word="a"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "must be a tensor"),
        ("samples.npy", "must be a tensor"),
        (3.0, "must be a tensor"),
        ({"x": X}, "got a dict"),
        (object(), "must be a tensor"),
        (iter(X), "must be a tensor"),
        ([], "hold no sample"),
        (["a", "b"], "got a sample that is a str"),
        ([{"x": X[0]}], "got a sample that is a dict"),
        ([X[0], X[0, :3]], "must have one shape"),
        ([[1.0, 2.0], [1.0]], "must have one shape"),
        (TensorDataset(X[:0]), "hold no sample"),
        (tuple(X), "takes 1 input"),
        ((X, Y), "takes 1 input"),
        (DataLoader([{"x": x} for x in X]), "got a sample that is a dict"),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_forms_are_refused_with_those_that_are_taken(wrong: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        hetorch.analyze(nn.Sequential(nn.Linear(4, 3)), wrong)


def test_a_data_set_without_enough_inputs_is_refused() -> None:
    with pytest.raises(InputError, match="has 1 input, the model takes 2"):
        capture(Two(), TensorDataset(A))
