"""The changed inputs: of the training data's extent, and nothing else; numpy computes what is expected."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hetorch.train.augment import BRIGHTNESS, COLUMN_EXTENT, CONTRAST, SHARE, shift_of
from hetorch.train.training_data import read_batches


def test_each_picture_is_stretched_about_its_mean_and_shifted_as_a_whole() -> None:
    pictures = torch.rand(4000, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 10 - 5
    shift = shift_of(read_batches(pictures, nn.Flatten(), "loader", 512))
    torch.manual_seed(0)
    (changed,) = shift(pictures)
    old, new = pictures.double().numpy().reshape(4000, -1), changed.double().numpy().reshape(4000, -1)
    kept = (old == new).all(1)
    # Four deviations of a share of 4,000.
    assert abs(1 - kept.mean() - SHARE) < 4 * np.sqrt(SHARE * (1 - SHARE) / 4000)
    old, new = old[~kept], new[~kept]
    stretch = new.std(1) / old.std(1)
    step = new.mean(1) - old.mean(1)
    expected = (
        old.mean(1, keepdims=True) + stretch[:, None] * (old - old.mean(1, keepdims=True)) + step[:, None]
    )
    np.testing.assert_allclose(new, expected, atol=1e-4)
    width = float(pictures.max() - pictures.min())
    assert CONTRAST[0] - 1e-5 < stretch.min() < 0.61 and 1.39 < stretch.max() < CONTRAST[1] + 1e-5
    assert 0.99 * BRIGHTNESS * width < np.abs(step).max() <= BRIGHTNESS * width * (1 + 1e-5)


def test_each_column_of_a_table_moves_by_its_own_deviation() -> None:
    scales = np.array([1.0, 1000.0, 0.0])
    table = np.random.default_rng(0).normal(size=(2000, 3)) * scales + [0, 5000, 7]
    shift = shift_of(read_batches(table.astype(np.float32), nn.Linear(3, 1), "loader", 512))
    x = torch.tensor(
        np.tile(table.mean(0), (2000, 1)), dtype=torch.float32
    )  # at the centre nothing is stretched
    torch.manual_seed(0)
    (changed,) = shift(x)
    step = np.abs((changed.double() - x.double()).numpy()).max(0)
    np.testing.assert_allclose(step, BRIGHTNESS * COLUMN_EXTENT * table.std(0), rtol=0.01, atol=1e-3)


def test_whole_numbers_stay() -> None:
    tokens = torch.arange(12).reshape(4, 3)
    model = nn.Embedding(12, 2)
    shift = shift_of(read_batches([((tokens, torch.rand(4, 3, 2)),)], model, "loader", 2))
    seen, other = shift(tokens, torch.zeros(4, 3, 2))
    assert torch.equal(seen, tokens) and other.abs().max() > 0


def test_the_same_state_of_torch_gives_the_same_inputs() -> None:
    x = torch.rand(16, 3, 5)
    shift = shift_of(read_batches(x, nn.Flatten(), "loader", 8))
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(shift(x)[0])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
