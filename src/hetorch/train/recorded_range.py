"""The base of the activations: it records the range of each channel while it trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hetorch.compiler.frontend.marks import ChannelRange
from hetorch.errors import InputError


class RecordedRange(nn.Module):
    """A module that records the range of its input in training, for each channel or for the whole tensor.

    Args:
        channels: number of channels; None records one range for the whole tensor.
        channel_axis: the axis that counts the channels, in a batch.
        momentum: weight of the last batch in the moving range.

    The buffers `running_low` and `running_high`, (channels,), hold the least and the largest value of all batches in
    train(), and are infinite before the first. `moving_low` and `moving_high` are moving averages of the extremes of
    batches. `hetorch.compile` takes the running range into the plan.
    """

    running_low: Tensor
    running_high: Tensor
    moving_low: Tensor
    moving_high: Tensor

    def __init__(self, channels: int | None, channel_axis: int, momentum: float) -> None:
        super().__init__()
        if channels is not None and channels < 1:
            raise InputError(f"channels must be at least 1, or None for one range, got {channels}")
        if not 0 < momentum <= 1:
            raise InputError(f"momentum must be above 0 and at most 1, got {momentum}")
        self.channels, self.channel_axis, self.momentum = channels, channel_axis, momentum
        for name, value in (("low", float("inf")), ("high", -float("inf"))):
            self.register_buffer(f"running_{name}", torch.full((channels or 1,), value))
            self.register_buffer(f"moving_{name}", torch.full((channels or 1,), value))

    @property
    def has_range(self) -> bool:
        """True once a batch was seen in train()."""
        return bool(torch.isfinite(self.running_low).all())

    def reset_range(self) -> None:
        """Forget the range. It may be that of weights that were left since; one pass in train() records it anew."""
        for name in ("running", "moving"):
            getattr(self, f"{name}_low").fill_(float("inf"))
            getattr(self, f"{name}_high").fill_(-float("inf"))

    def hetorch_range(self) -> ChannelRange | None:
        """Return the recorded range for the compiler, or None before the first batch."""
        if not self.has_range:
            return None
        low, high = (edge.detach().cpu().double().numpy() for edge in (self.running_low, self.running_high))
        return ChannelRange(low, high, None if self.channels is None else self.channel_axis)

    def record(self, x: Tensor) -> None:
        """Add a batch to the ranges."""
        low, high = self._extremes(x.detach())
        first = not self.has_range
        self.running_low.copy_(torch.minimum(self.running_low, low))
        self.running_high.copy_(torch.maximum(self.running_high, high))
        for moving, edge in ((self.moving_low, low), (self.moving_high, high)):
            moving.copy_(edge if first else torch.lerp(moving, edge.to(moving.dtype), self.momentum))

    def along_channels(self, values: Tensor, x: Tensor) -> Tensor:
        """Return `values`, (channels,), in the shape in which they broadcast with `x`."""
        if self.channels is None:
            return values
        shape = [1] * x.dim()
        shape[self.channel_axis] = self.channels
        return values.reshape(shape)

    def check_channels(self, x: Tensor) -> None:
        """Raise InputError unless `x` has the channels of this module."""
        if self.channels is None:
            return
        axis, name = self.channel_axis, type(self).__name__
        if not -x.dim() <= axis < x.dim():
            raise InputError(f"{name}: the input {tuple(x.shape)} has no axis {axis}; set channel_axis=")
        if x.shape[axis] != self.channels:
            raise InputError(
                f"{name} has {self.channels} channels, but the input {tuple(x.shape)} has {x.shape[axis]} on axis "
                f"{axis}; set channels= or channel_axis="
            )

    def _extremes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.channels is None:
            return x.amin().reshape(1), x.amax().reshape(1)
        axes = [axis for axis in range(x.dim()) if axis != self.channel_axis % x.dim()]
        return (x.amin(axes), x.amax(axes)) if axes else (x, x)

    def __getstate__(self) -> dict[str, Any]:
        # What the last forward left belongs to its graph, which cannot be copied.
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_last_")}
