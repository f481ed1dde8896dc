from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.count_dense import count_dense, dense_pattern
from hetorch.compiler.packing.placements import compact


def test_a_band_would_take_all_diagonals() -> None:
    band = sparse.csr_array(np.eye(16) + np.eye(16, k=1))
    assert count_dense(band, ((16,), (16,)), compact(16), compact(16)) == 16


def test_between_images_every_channel_reads_every_channel() -> None:
    weight = np.ones((3, 1, 3, 3))
    grouped = convolution(weight, (6, 6), (1, 1), (1, 1), (1, 1), 3, (6, 6))
    full = convolution(np.ones((3, 3, 3, 3)), (6, 6), (1, 1), (1, 1), (1, 1), 1, (6, 6))
    pattern = dense_pattern(grouped, (3, 6, 6), (3, 6, 6))
    assert pattern is not None and pattern.nnz == full.nnz
    assert np.array_equal(pattern.toarray() != 0, full.toarray() != 0)


def test_what_is_too_large_is_not_counted() -> None:
    wide = sparse.csr_array(([1.0], ([0], [0])), shape=(5000, 5000))
    assert count_dense(wide, ((5000,), (5000,)), compact(5000), compact(5000)) == 0
