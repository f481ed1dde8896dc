"""A pooling in place of MaxPool that is an affine map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.errors import InputError

AVERAGES: Mapping[int, Callable[..., Any]] = MappingProxyType(
    {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
)
"""The average pooling of each number of axes."""


class ScaledPool(nn.Module):
    """Average pooling with a trained factor and offset for each channel, which make up for maxima that averages miss.

    It begins as the average and is one affine map, which joins those beside it. For plain averages use nn.AvgPool2d.

    Args:
        channels: number of channels, on axis 1.
        kernel_size: size of the windows.
        stride: distance between windows; the kernel size if None.
        padding: zeros that are added on each side and count in the average.
        axes: number of axes that are pooled: 1, 2 or 3.
    """

    def __init__(
        self, channels: int, kernel_size: int, stride: int | None = None, padding: int = 0, axes: int = 2
    ) -> None:
        super().__init__()
        if channels < 1:
            raise InputError(f"channels must be at least 1, got {channels}")
        if axes not in AVERAGES:
            raise InputError(f"axes must be 1, 2 or 3, got {axes}")
        self.channels, self.axes = channels, axes
        self.kernel_size, self.stride, self.padding = kernel_size, stride or kernel_size, padding
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled averages of (batch, channels, ...)."""
        if x.dim() != self.axes + 2 or x.shape[1] != self.channels:
            raise InputError(
                f"ScaledPool takes (batch, {self.channels}) and {self.axes} more axes, got {tuple(x.shape)}; "
                "set channels= or axes="
            )
        average: Tensor = AVERAGES[self.axes](x, self.kernel_size, self.stride, self.padding)
        shape = (1, -1, *(1,) * self.axes)
        return average * self.weight.reshape(shape) + self.bias.reshape(shape)

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        )
