"""Diagonals of convolutions by circular convolution, against those of the weights one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.convolution_structure import product_form, product_indices, terms_of
from hetorch.compiler.packing.diagonals import coordinates, find_indices
from hetorch.compiler.packing.placement_candidates import input_candidates, result_candidates
from hetorch.compiler.packing.placements import Placement


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(5, 9),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from([32, 128, 1024]),
)
def test_as_found_on_all_weights(
    channels: int, after: int, side: int, kernel: int, stride: int, grouped: bool, slots: int
) -> None:
    groups = channels if grouped else 1
    out = (side + 2 - kernel) // stride + 1
    weight = np.ones((after * groups, channels // groups, kernel, kernel))
    matrix = convolution(weight, (side, side), (stride, stride), (1, 1), (1, 1), groups, (out, out))
    before_shape, after_shape = (channels, side, side), (after * groups, out, out)
    entries = coordinates(matrix)
    product = product_form(*entries, after_shape, before_shape)
    assert product is not None
    compared = 0
    for source in input_candidates(before_shape, {(stride, stride)}, slots):
        for result in result_candidates(after_shape, source, (stride, stride), slots):
            before, then = terms_of(source, side * side), terms_of(result, out * out)
            if before is None or then is None:
                assert source.parts > 1 or result.parts > 1
                continue
            quick = product_indices(product, source, result, before, then)
            slow = find_indices(*entries, source, result)
            assert quick is not None and slow is not None and quick[1] == slow[1]
            assert quick[0].tolist() == slow[0].tolist()
            compared += 1
    assert compared or slots == 32


def test_a_map_with_one_weight_missing_is_no_product() -> None:
    matrix = convolution(np.ones((3, 2, 3, 3)), (6, 6), (1, 1), (0, 0), (1, 1), 1, (4, 4))
    rows, columns = coordinates(matrix)
    assert product_form(rows, columns, (3, 4, 4), (2, 6, 6)) is not None
    assert product_form(rows[1:], columns[1:], (3, 4, 4), (2, 6, 6)) is None
    dense = coordinates(sparse.csr_array(np.ones((10, 72))))
    assert product_form(*dense, (10,), (2, 6, 6)) is None


def test_a_placement_in_any_order_has_no_terms() -> None:
    positions = np.random.default_rng(0).permutation(32)[None, :].astype(np.int64)
    assert terms_of(Placement(positions, 32, "random"), 8) is None
