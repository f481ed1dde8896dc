from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from hetorch.compiler.frontend.operations.matrices import average_pool, convolution
from hetorch.compiler.packing.placement_candidates import (
    input_candidates,
    result_candidates,
    skewed_candidates,
    spatial_stride,
)
from hetorch.compiler.packing.placements import compact


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_stride_is_read_off_the_matrix(stride: int) -> None:
    kernel = np.ones((2, 3, 3, 3))
    out = (15 - 3) // stride + 1
    matrix = convolution(kernel, (15, 15), (stride, stride), (0, 0), (1, 1), 1, (out, out))
    assert spatial_stride(matrix, (3, 15, 15), (2, out, out)) == (stride, stride)
    kernel[0] = 0.0  # a pruned channel
    pruned = convolution(kernel, (15, 15), (stride, stride), (0, 0), (1, 1), 1, (out, out))
    pruned.eliminate_zeros()
    assert spatial_stride(pruned, (3, 15, 15), (2, out, out)) == (stride, stride)
    pool = average_pool(
        2,
        (12, 12),
        (stride, stride),
        (stride, stride),
        (0, 0),
        (12 // stride,) * 2,
        count_padding=True,
        divisor=None,
    )
    assert spatial_stride(pool, (2, 12, 12), (2, 12 // stride, 12 // stride)) == (stride, stride)
    assert spatial_stride(sparse.csr_array(np.ones((10, 48))), (3, 4, 4), (10,)) == (1, 1)


def test_candidates_put_every_element_in_its_own_slot() -> None:
    for source in input_candidates((3, 9, 8), {(1, 1), (2, 2), (1, 2)}, 2048):
        for stride in ((2, 2), (1, 2)):
            for result in [source, *result_candidates((5, 4, 4), source, stride, 2048)]:
                positions = result.positions[0]
                assert len(set(positions.tolist())) == len(positions)
                assert positions.min() >= 0 and positions.max() < result.period <= 2048


def test_one_slot_a_ciphertext_leaves_one_placement() -> None:
    source = input_candidates((2, 4, 4), {(1, 1)}, 1)
    assert [placement.parts for placement in source] == [32]
    assert [placement.parts for placement in result_candidates((5,), source[0], (1, 1), 1)] == [5]


def test_only_inputs_that_repeat_are_skewed() -> None:
    assert skewed_candidates([compact(64)], [8], 64) == []
    turned = skewed_candidates([compact(16)], [8], 64)
    assert [placement.label for placement in turned] == [f"compact/16 skewed {step}" for step in (2, 4, 8)]
