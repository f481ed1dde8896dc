"""Models that are too large for the memory of the machine are refused with numbers, before anything is allocated."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

import hetorch
from hetorch import machine_memory
from hetorch.compiler.frontend.operations import matrices
from hetorch.errors import UnsupportedModelError
from hetorch.ir import matrix_memory


def limit(monkeypatch: pytest.MonkeyPatch, available: int | None) -> None:
    monkeypatch.setattr(matrix_memory, "available_memory", lambda: available)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Linear(1000, 1000), (1000,)),
        (nn.Conv2d(8, 8, 5, padding=2), (8, 24, 24)),
        (nn.ConvTranspose2d(8, 8, 5, padding=2), (8, 24, 24)),
    ],
)
def test_a_layer_that_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, shape: tuple[int, ...]
) -> None:
    limit(monkeypatch, 50_000_000)
    said = r"\d+ weights take about [\d.]+ MB of memory to compile, 50 MB are available; use smaller"
    with pytest.raises(UnsupportedModelError, match=said):
        hetorch.compile(model.eval(), torch.rand(4, *shape))


def test_layers_that_fit_one_by_one_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [layer for _ in range(8) for layer in (nn.Linear(300, 300), nn.Tanh())]
    limit(monkeypatch, matrix_memory.matrix_memory([90_000]))
    with pytest.raises(UnsupportedModelError, match=r"Sequential: 720000 weights take about"):
        hetorch.compile(nn.Sequential(*layers).eval(), torch.rand(4, 300), activation_degree=3)


def test_layers_are_counted_before_a_matrix_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = (
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 2, 2),
        nn.Flatten(),
        nn.Linear(512, 5),
    )
    model, x = nn.Sequential(*layers).eval(), torch.rand(4, 2, 8, 8)
    # Taps, channels of both sides and pixels: of the result, but of the input of a transposed convolution.
    count = 9 * 2 * 4 * 64 + 4 * 4 * 2 * 64 + 512 * 5
    limit(monkeypatch, 0)
    monkeypatch.setattr(matrices, "convolution", None)
    said = rf"Sequential: {count} weights take .* \(a convolution has its weights once for each pixel .*: 0 has 4608\)"
    with pytest.raises(UnsupportedModelError, match=said):
        hetorch.compile(model, x)
    assert not hetorch.analyze(model, x).supported


def test_where_nothing_is_known_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, None)
    assert matrix_memory.too_large([1 << 50]) is None


def test_the_memory_of_this_machine_is_known_or_not() -> None:
    found = machine_memory.available_memory()
    assert found is None or 0 < found < 1 << 50


def test_the_estimate_is_that_of_a_compilation() -> None:
    model, x = nn.Linear(1500, 1500).eval(), torch.rand(4, 1500)
    tracemalloc.start()
    try:
        hetorch.compile(model, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = matrix_memory.matrix_memory([1500 * 1500])
    assert estimate / 2 < peak <= estimate


def test_dense_matrices_are_what_scipy_makes() -> None:
    weight = np.random.default_rng(0).normal(size=(7, 5))
    for given in (weight, np.where(weight > 0, weight, 0.0), weight[:0], weight.T, np.abs(weight).round()):
        made, expected = matrices.dense(given), sparse.csr_array(given)
        assert made.shape == expected.shape and made.nnz == expected.nnz
        np.testing.assert_array_equal(made.indices, expected.indices)
        np.testing.assert_array_equal(made.indptr, expected.indptr)
        np.testing.assert_array_equal(made.data, expected.data)
