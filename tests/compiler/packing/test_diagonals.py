from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.packing.diagonals import coordinates, find_diagonals, find_indices
from hetorch.compiler.packing.placements import compact, cut


def test_coordinates_are_in_csr_order() -> None:
    matrix = sparse.csr_array(np.array([[0, 1.0, 2], [0, 0, 0], [3, 0, 0]]))
    rows, columns = coordinates(matrix)
    assert rows.tolist() == [0, 0, 2] and columns.tolist() == [1, 2, 0]
    found = find_diagonals(rows, columns, compact(3), compact(3))
    assert found is not None and found.indices.tolist() == [1, 2]


def test_dense_maps_are_counted_without_their_weights() -> None:
    rows, columns = coordinates(sparse.csr_array(np.ones((5, 12))))
    for source, result in ((compact(12), compact(5)), (compact(12, 2), compact(5, 4))):
        quick, slow = (
            find_indices(rows, columns, source, result),
            find_diagonals(rows, columns, source, result),
        )
        assert quick is not None and slow is not None
        assert quick[0].tolist() == slow.indices.tolist() and quick[1] == slow.modulus == min(
            source.period, result.period
        )


def test_blocks_between_ciphertexts_have_diagonals_of_their_own() -> None:
    matrix = sparse.csr_array(sparse.block_diag([np.ones((4, 4)), np.ones((4, 4))]))
    found = find_diagonals(*coordinates(matrix), cut(compact(8), 4), cut(compact(8), 4))
    assert found is not None
    # Blocks 0 (first to first) and 3 (second to second) of 2 x 2, four diagonals each.
    assert found.indices.tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
