from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from hetorch.compiler.frontend.operations import matrices

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    seed=st.integers(0, 2**31),
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=pairs,
)
def test_convolution_is_what_torch_computes(
    seed: int,
    groups: int,
    per_group: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    reach = [size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) for a in (0, 1)]
    assume(min(reach) >= 1)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, groups * per_group[0], *size, generator=generator, dtype=torch.float64)
    shape = (groups * per_group[1], per_group[0], *kernel)
    weight = torch.randn(*shape, generator=generator, dtype=torch.float64)
    expected = F.conv2d(x, weight, None, stride, padding, dilation, groups)[0]
    matrix = matrices.convolution(
        weight.numpy(), size, stride, padding, dilation, groups, tuple(expected.shape[1:])
    )
    np.testing.assert_allclose(
        (matrix @ x.numpy().reshape(-1)).reshape(expected.shape), expected.numpy(), atol=1e-12
    )


@given(
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=pairs,
    padding=st.integers(0, 2),
    ceil=st.booleans(),
    count_padding=st.booleans(),
    divisor=st.none() | st.integers(1, 5),
)
def test_average_pool_is_what_torch_computes(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: int,
    ceil: bool,
    count_padding: bool,
    divisor: int | None,
) -> None:
    assume(padding <= min(kernel) // 2 and all(size[a] + 2 * padding >= kernel[a] for a in (0, 1)))
    x = torch.arange(2 * size[0] * size[1], dtype=torch.float64).reshape(1, 2, *size).sin()
    expected = F.avg_pool2d(x, kernel, stride, padding, ceil, count_padding, divisor)[0]
    matrix = matrices.average_pool(
        2,
        size,
        kernel,
        stride,
        (padding, padding),
        tuple(expected.shape[1:]),
        count_padding=count_padding,
        divisor=divisor,
    )
    np.testing.assert_allclose(
        (matrix @ x.numpy().reshape(-1)).reshape(expected.shape), expected.numpy(), atol=1e-12
    )


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    output=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_adaptive_pool_is_what_torch_computes(size: tuple[int, int], output: tuple[int, int]) -> None:
    x = torch.arange(3 * size[0] * size[1], dtype=torch.float64).reshape(1, 3, *size).cos()
    expected = F.adaptive_avg_pool2d(x, output)[0]
    matrix = matrices.adaptive_average_pool(3, size, output)
    np.testing.assert_allclose(
        (matrix @ x.numpy().reshape(-1)).reshape(expected.shape), expected.numpy(), atol=1e-12
    )


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data(), st.booleans())
def test_reduction_is_what_numpy_computes(shape: list[int], data: st.DataObject, mean: bool) -> None:
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    x = np.sin(np.arange(np.prod(shape), dtype=np.float64)).reshape(shape)
    matrix = matrices.reduction(tuple(shape), sorted(axes), mean=mean)
    expected = (np.mean if mean else np.sum)(x, axis=tuple(sorted(axes)))
    np.testing.assert_allclose(matrix @ x.reshape(-1), np.ravel(expected), atol=1e-12)


def test_selection_moves_scales_and_leaves_zeros() -> None:
    matrix = matrices.selection(np.array([2, -1, 0]), 3, np.array([2.0, 5.0, -1.0]))
    np.testing.assert_array_equal(matrix @ np.array([1.0, 2.0, 3.0]), [6.0, 0.0, -1.0])
