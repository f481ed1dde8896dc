"""Sequences that torch.nn.utils.rnn packs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from hetorch.compiler.frontend.capture import capture
from hetorch.errors import UnsupportedModelError
from hetorch.ir.interpreter import run_tensor_program

Lengths = Callable[[torch.Tensor], Any]


class Packed(nn.Module):
    """A recurrent layer on packed sequences, (batch, 4 steps, 3 features), and a line on its last step and state."""

    def __init__(
        self, layer: nn.RNNBase, lengths: Lengths, *, sort: bool = False, total: int | None = None
    ) -> None:
        super().__init__()
        self.layer, self.lengths, self.sort, self.total = layer, lengths, sort, total
        width = 2 * (1 + layer.bidirectional)
        self.inner, self.last = nn.Linear(width, 2), nn.Linear(2 + width, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.layer.batch_first
        given = x if first else x.transpose(0, 1)
        packed = pack_padded_sequence(given, self.lengths(x), batch_first=first, enforce_sorted=not self.sort)
        result, state = self.layer(packed)
        inner = PackedSequence(self.inner(result.data).tanh(), *result[1:])
        steps, _ = pad_packed_sequence(inner, batch_first=True, total_length=self.total)
        state = state[0] if isinstance(state, tuple) else state
        size = 1 + self.layer.bidirectional
        last: torch.Tensor = self.last(torch.cat([steps.sum(1), state[-size:].transpose(0, 1).flatten(1)], 1))
        return last


def full(x: torch.Tensor) -> torch.Tensor:
    return torch.full((x.shape[0],), x.shape[1])


CASES: dict[str, Callable[[], Packed]] = {
    "lstm": lambda: Packed(nn.LSTM(3, 2, batch_first=True), full),
    "gru of two layers, steps first": lambda: Packed(nn.GRU(3, 2, num_layers=2), full),
    "rnn in both directions": lambda: Packed(nn.RNN(3, 2, batch_first=True, bidirectional=True), full),
    "sorted by torch": lambda: Packed(nn.LSTM(3, 2, batch_first=True), full, sort=True),
    "a list of lengths": lambda: Packed(nn.GRU(3, 2, batch_first=True), lambda x: [x.shape[1]] * len(x)),
    "padded further": lambda: Packed(nn.GRU(3, 2, batch_first=True), full, total=6),
}


@pytest.mark.parametrize("name", CASES)
def test_full_length(name: str) -> None:
    torch.manual_seed(0)
    model, x = CASES[name]().eval(), torch.randn(40, 4, 3)
    captured = capture(model, x)
    assert "packed with their full length of 4 steps" in captured.notes[0]
    y = torch.randn(3, 4, 3)
    with torch.no_grad():
        expected = model(y).numpy()
    np.testing.assert_allclose(run_tensor_program(captured.program, y.numpy()), expected, atol=1e-5)


@pytest.mark.parametrize(
    "lengths",
    [
        lambda x: torch.arange(len(x), 0, -1).clamp(1, 4),
        lambda x: [3] * len(x),
        lambda x: (x[:, :, 0] > -1).sum(1).clamp(min=1),
    ],
)
def test_lengths_that_vary_are_refused_with_the_remedy(lengths: Lengths) -> None:
    torch.manual_seed(0)
    model, x = Packed(nn.LSTM(3, 2, batch_first=True), lengths, sort=True), torch.randn(40, 4, 3)
    with pytest.raises(UnsupportedModelError, match=r"lengths that vary .* Pad all .* mask"):
        capture(model, x)


class Masked(nn.Module):
    """The remedy: the last step of each sequence by a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.LSTM(3, 2, batch_first=True), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        steps, _ = self.layer(x)
        last: torch.Tensor = self.last((steps * mask.unsqueeze(2)).sum(1))
        return last


def test_the_remedy_compiles() -> None:
    torch.manual_seed(0)
    lengths = torch.randint(1, 5, (40,))
    x = torch.randn(40, 4, 3) * (torch.arange(4) < lengths[:, None]).unsqueeze(2)
    capture(
        Masked(), (x, nn.functional.one_hot(lengths - 1, 4).float())
    )  # It compares the outputs with the model's.
