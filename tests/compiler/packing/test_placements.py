from __future__ import annotations

import numpy as np

from hetorch.compiler.packing.placements import (
    Grid,
    channels_last,
    compact,
    cut,
    image_shape,
    on_grid,
    skewed,
)


def test_a_grid_too_small_is_no_candidate() -> None:
    assert on_grid((1, 8, 8), Grid(8, (1, 1), 32)) is None
    assert on_grid((1, 8, 8), Grid(4, (1, 1), 64)) is None


def test_channels_lie_side_by_side() -> None:
    placement = channels_last((3, 2, 2))
    assert placement.period == 16
    assert placement.positions.reshape(3, 4)[:, 1].tolist() == [4, 5, 6]


def test_replicas_are_turned_within_their_period() -> None:
    placement = skewed(compact(4), 1, 16)
    assert placement.period == 16 and placement.positions.tolist() == [
        [0, 1, 2, 3],
        [5, 6, 7, 4],
        [10, 11, 8, 9],
        [15, 12, 13, 14],
    ]


def test_empty_ciphertexts_are_left_out() -> None:
    image = on_grid((1, 2, 2), Grid(8, (4, 4), 64))
    assert image is not None and image.positions.tolist() == [[0, 4, 32, 36]]
    pieces = cut(image, 16)
    assert pieces.parts == 2 and pieces.positions.tolist() == [[0, 4, 16, 20]]
    assert cut(compact(8), 8).parts == 1


def test_names_tell_placements_of_a_tensor_apart() -> None:
    placements = [compact(6), compact(6, 2), channels_last((6, 1, 1)), cut(compact(6), 4)]
    assert len({placement.name for placement in placements}) == len(placements)
    assert np.array_equal(compact(6).positions, compact(6).positions)


def test_axes_in_front_are_channels() -> None:
    assert image_shape((7,)) == (1, 1, 7)
    assert image_shape((2, 3, 4, 5)) == (6, 4, 5)
