"""Matrices encrypted column by column, for products with plain kernels and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hetorch.tenseal.ckks.diagonals import power_of_two_from
from hetorch.tenseal.names.ckks_vector import CKKSVector
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.scheme.arguments import whole_number
from hetorch.tenseal.scheme.errors import refusal


def _matrix(context: object, tensor: Any) -> NDArray[np.float64]:
    if not isinstance(context, Context):
        raise refusal(TypeError, "context must be of type tenseal.Context")
    plain = tensor if isinstance(tensor, PlainTensor) else PlainTensor(tensor)
    if len(plain.shape) != 2:
        raise refusal(ValueError, "tensor must be a matrix", f"got shape {plain.shape}")
    if plain.empty():
        raise refusal(ValueError, "tensor with empty columns")
    return np.asarray(plain.array, dtype=np.float64)


def _by_columns(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns one after the other, padded with columns of zeros to a power of two."""
    padded = np.zeros((matrix.shape[0], power_of_two_from(matrix.shape[1])))
    padded[:, : matrix.shape[1]] = matrix
    return padded.ravel(order="F")


def im2col_encoding(
    context: Context, tensor: Any, kernel_n_rows: int, kernel_n_cols: int, stride: int
) -> tuple[CKKSVector, int]:
    """Encrypt an image (rows, columns) for conv2d_im2col with kernels of this shape.

    The windows are rows of a matrix, encrypted by columns. As in TenSEAL, windows have `kernel_n_cols` rows and
    `kernel_n_rows` columns, and a kernel's values meet a window's in row-major order: for kernels that are not square,
    give the two numbers the other way round.

    Returns:
        The encrypted image and the number of windows.

    Raises:
        ValueError: the kernel does not fit the image, or the stride is not at least 1.
    """
    image = _matrix(context, tensor)
    rows, columns, step = (
        whole_number(size, "im2col_encoding", 64) for size in (kernel_n_cols, kernel_n_rows, stride)
    )
    if step == 0:
        raise refusal(ValueError, "stride must be at least 1, got 0")
    if not 1 <= rows <= image.shape[0] or not 1 <= columns <= image.shape[1]:
        raise refusal(
            ValueError,
            f"a kernel of {rows} x {columns} does not fit an image of shape {list(image.shape)}",
        )
    windows = sliding_window_view(image, (rows, columns))[::step, ::step].reshape(-1, rows * columns)
    return CKKSVector(context, _by_columns(windows)), len(windows)


def enc_matmul_encoding(context: Context, tensor: Any) -> CKKSVector:
    """Encrypt a matrix by columns, for enc_matmul_plain; ValueError unless it has two dimensions."""
    return CKKSVector(context, _by_columns(_matrix(context, tensor)))
