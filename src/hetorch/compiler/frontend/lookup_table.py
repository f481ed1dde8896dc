"""A function of one number, given by points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from hetorch.compiler.frontend.marks import elementwise
from hetorch.errors import InputError


@elementwise
class Table(torch.nn.Module):
    """A module that applies the function through the points (x[i], y[i]) to every element.

    The function is linear between points and constant beyond the first and the last. The compiler replaces it by a
    polynomial that is fitted to it.

    Raises:
        InputError: `x` does not increase, or the two do not hold the same number (at least two) of finite numbers.
    """

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, x: ArrayLike | Sequence[float], y: ArrayLike | Sequence[float]) -> None:
        super().__init__()
        try:
            points, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"a table needs two lists of numbers: {error}") from error
        if points.ndim != 1 or points.shape != values.shape or len(points) < 2:
            raise InputError(
                f"a table needs two lists of the same length (at least 2), got {points.shape}, {values.shape}"
            )
        if not (np.all(np.isfinite(points)) and np.all(np.isfinite(values)) and np.all(np.diff(points) > 0)):
            raise InputError("the points of a table must be finite, and x must increase")
        self.register_buffer("x", torch.from_numpy(points.copy()))
        self.register_buffer("y", torch.from_numpy(values.copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the values at `x`, in its dtype."""
        wide = x.to(self.x.dtype).clamp(self.x[0], self.x[-1]).contiguous()
        right = torch.searchsorted(self.x, wide).clamp(1, len(self.x) - 1)
        left = right - 1
        share = (wide - self.x[left]) / (self.x[right] - self.x[left])
        return (self.y[left] + share * (self.y[right] - self.y[left])).to(x.dtype)
