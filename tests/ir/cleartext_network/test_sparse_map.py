from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from hetorch.ir.cleartext_network.sparse_map import SparseMap, Triplets


def map_of(matrix: sparse.coo_array) -> SparseMap:
    rows, columns = (index.astype(np.int64) for index in matrix.coords)
    return SparseMap.of(Triplets(rows, columns, matrix.data, matrix.shape))


def matrix_of(module: nn.Module, shape: tuple[int, ...]) -> sparse.coo_array:
    """The matrix of a linear module without bias, one column for each input."""
    size = int(np.prod(shape))
    with torch.no_grad():
        columns = module.double()(torch.eye(size, dtype=torch.float64).reshape(-1, *shape))
    return sparse.coo_array(columns.reshape(size, -1).numpy().T)


def check(matrix: sparse.coo_array, samples: int = 70) -> SparseMap:
    result = map_of(matrix)
    x = np.random.default_rng(0).normal(size=(matrix.shape[1], samples))
    expected = (matrix.tocsr() @ x)[result.rows]
    np.testing.assert_allclose(result.multiply(x), expected, atol=1e-11)
    assert np.array_equal(np.sort(result.rows), np.arange(matrix.shape[0]))
    return result


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_rows_of_a_pixel_are_one_block(groups: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(6, 12, 3, padding=1, groups=groups, bias=False)
    result = check(matrix_of(convolution, (6, 7, 8)))
    # Inside, at the edges and in the corners: windows of 9, 6 and 4 pixels of the channels of a group.
    sizes = {block.values.shape[1:] for block in result.blocks}
    assert sizes == {(12 // groups, pixels * 6 // groups) for pixels in (9, 6, 4)}


def test_pooling_that_is_fused_into_a_convolution_is_added_up_first() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 40, 3, padding=1, bias=False))
    result = check(matrix_of(network, (2, 8, 8)))
    assert result.merged is not None and len(result.merged.rows) == 2 * 4 * 4
    assert max(block.values.shape[2] for block in result.blocks) == 9 * 2


def test_a_dense_layer_is_one_block() -> None:
    (block,) = check(sparse.coo_array(np.random.default_rng(1).normal(size=(9, 30)))).blocks
    assert block.values.shape == (1, 9, 30)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.2, 0.7])
def test_any_matrix(density: float) -> None:
    check(sparse.random_array((61, 47), density=density, rng=np.random.default_rng(2), format="coo"))


def test_equal_columns_are_told_from_others() -> None:
    """Columns of the same places or the same sums, but other values, stay apart."""
    numbers = np.random.default_rng(3)
    column = numbers.normal(size=(40, 1))
    dense: NDArray[np.float64] = np.hstack([column, column, column[::-1], -column, column[np.r_[1, 0, 2:40]]])
    result = check(sparse.coo_array(np.hstack([dense] * 8)))
    assert result.merged is not None and len(result.merged.rows) == 4


def test_entries_of_one_place_add_up() -> None:
    zero, one = np.zeros(3, dtype=np.int64), np.array([1, 1, 0])
    summed = Triplets(zero, one, np.array([2.0, 3.0, 1.0]), (1, 2)).summed()
    assert summed.columns.tolist() == [0, 1] and summed.values.tolist() == [1.0, 5.0]
