"""Models of several inputs run on one row that holds them all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import run_encrypted
from hetorch.errors import InputError


class TwoInputs(nn.Module):
    """A model of an image and a vector, which are added."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.vector, self.last = nn.Conv2d(1, 2, 3), nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, image: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last((self.image(image).flatten(1) + self.vector(vector)) ** 2)
        return result


def test_an_image_and_a_vector() -> None:
    torch.manual_seed(0)
    model = TwoInputs().eval()
    image, vector = torch.randn(32, 1, 4, 4), torch.randn(32, 3)
    plan = hetorch.compile(model, (image, vector))
    assert plan.name == "TwoInputs"
    assert any("0..15 of shape (1, 4, 4), 16..18 of shape (3,)" in note for note in plan.report.notes)
    row = torch.cat([image.flatten(1), vector], 1).numpy().astype(np.float64)[:2]
    truth = model(image[:2], vector[:2]).detach().numpy()
    results = run_encrypted(plan, row)
    assert np.abs(results - truth).max() <= plan.report.predicted_error * plan.report.output_range + 1e-5
    assert hetorch.analyze(model, [image.numpy(), vector]).supported


def test_lengths_are_refused_with_what_helps() -> None:
    lengths = torch.full((3,), 4)
    with pytest.raises(InputError, match=r"input 1 of the model is one whole number.*mask"):
        hetorch.compile(TwoInputs(), (torch.zeros(3, 1, 4, 4), lengths))


@pytest.mark.parametrize(
    "inputs", [(), (torch.zeros(3, 1, 4, 4), torch.zeros(4, 3)), (torch.zeros(4), torch.zeros(4)), ("a", "b")]
)
def test_what_does_not_fit_together(inputs: tuple[object, ...]) -> None:
    with pytest.raises(InputError, match=r"same batch|must be a tensor"):
        hetorch.compile(TwoInputs(), inputs)
