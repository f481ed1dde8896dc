"""An activation that learns to be a polynomial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.marks import ChannelPolynomial
from hetorch.errors import InputError
from hetorch.train.hermite import expand, powers_of_hermite
from hetorch.train.recorded_range import RecordedRange

Function = Callable[[Tensor], Tensor]
Stage = Literal["exact", "polynomial"]

TARGETS: Mapping[str, Function] = MappingProxyType(
    {"relu": functional.relu, "silu": functional.silu, "gelu": functional.gelu}
)
"""The functions that have names."""
DEGREES = (2, 4, 8)
"""The degrees that the compiler evaluates in one, two and at most four levels."""
MARGIN = 0.1
"""Share by which the moving range is widened for the polynomial. Raised, fewer values leave the bound, and the
polynomial is farther from its target."""
LEAST_WIDTH = 1e-3
"""Least half width of a channel, as a share of the widest one's: a channel that is constant has none of its own."""


class PolyAct(RecordedRange):
    """An activation in two stages: its target with a record of ranges, then one polynomial for each channel.

    Args:
        degree: 2, 4 or 8, which take one, two and at most four levels.
        target: "relu", "silu", "gelu" or any element-wise function of a tensor.
        channels: number of channels; None has one range and one polynomial for the whole tensor.
        channel_axis: the axis that counts the channels, in a batch.
        bound: the range of a channel is mapped to z in -bound..bound.
        momentum: weight of the last batch in the moving range, from which z is computed in the stage "exact".

    The polynomial is sum_k coefficients[:, k] h_k(z) with z = (x - centre) / half_width * bound and the orthonormal
    Hermite polynomials h_k (hetorch.train.hermite). `to_polynomial` fixes centre and half_width, from the moving range
    with a margin, and expands the target; after it the coefficients train. The stage is part of the state_dict.
    """

    centre: Tensor
    half_width: Tensor
    powers: Tensor

    def __init__(
        self,
        degree: int = 4,
        target: str | Function = "relu",
        channels: int | None = None,
        channel_axis: int = 1,
        bound: float = 3.0,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, channel_axis, momentum)
        if degree not in DEGREES:
            raise InputError(f"degree must be 2, 4 or 8, got {degree}")
        if isinstance(target, str) and target not in TARGETS:
            raise InputError(f"target must be one of {', '.join(TARGETS)}, or a function, got {target!r}")
        if not bound > 0:
            raise InputError(f"bound must be positive, got {bound}")
        self.degree, self.target, self.bound = degree, target, float(bound)
        self.stage: Stage = "exact"
        self.coefficients = nn.Parameter(torch.zeros(channels or 1, degree + 1))
        self.register_buffer("powers", powers_of_hermite(degree, self.bound).float(), persistent=False)
        self.register_buffer("centre", torch.zeros(channels or 1))
        self.register_buffer("half_width", torch.full((channels or 1,), float(bound)))

    def to_polynomial(self) -> None:
        """Become the polynomial that is nearest to the target over the range recorded so far.

        Raises:
            InputError: no batch was seen in train(), or the target does not map elements to elements.
        """
        if self.stage == "polynomial":
            return
        if not self.has_range:
            raise InputError(
                "PolyAct has seen no batch: run the model on some in train() before to_polynomial()"
            )
        self.centre, self.half_width = self._moving_window()
        coefficients = expand(self._target_of_z, self.degree, self.bound)
        with torch.no_grad():
            self.coefficients.copy_(coefficients)
        self.stage = "polynomial"

    def forward(self, x: Tensor) -> Tensor:
        """Return the target or the polynomial of each element; in train() the range is recorded first."""
        self.check_channels(x)
        if self.training and not torch.compiler.is_compiling():
            with torch.no_grad():
                self.record(x)
        if not torch.compiler.is_compiling():
            self._look(x)
        if self.stage == "exact":
            return self._function(x)
        t = (x - self.along_channels(self.centre, x)) / self.along_channels(self.half_width, x)
        powers = self._powers()
        y = self.along_channels(powers[:, -1], x)
        for column in reversed(range(self.degree)):
            y = y * t + self.along_channels(powers[:, column], x)
        return y

    def range_penalty(self) -> Tensor:
        """Return the mean square of the excess of |z| beyond the bound in the last forward; 0 where all are inside."""
        return self._last("_last_penalty")

    def outside(self) -> float:
        """Return the share of the values of the last forward outside the range recorded in train()."""
        return float(self._last("_last_outside"))

    def hetorch_polynomial(self) -> ChannelPolynomial | None:
        """Return the polynomials for the compiler, or None in the stage "exact"."""
        if self.stage == "exact":
            return None
        return ChannelPolynomial(
            centre=self.centre.detach().cpu().double().numpy(),
            half=self.half_width.detach().cpu().double().numpy(),
            coefficients=self._powers().detach().cpu().double().numpy(),
            axis=None if self.channels is None else self.channel_axis,
        )

    def extra_repr(self) -> str:
        target = self.target if isinstance(self.target, str) else getattr(self.target, "__name__", "function")
        return f"degree={self.degree}, target={target}, channels={self.channels}, stage={self.stage}"

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.stage == "polynomial")

    def set_extra_state(self, state: Tensor) -> None:
        self.stage = "polynomial" if bool(state) else "exact"

    def _function(self, x: Tensor) -> Tensor:
        return (TARGETS[self.target] if isinstance(self.target, str) else self.target)(x)

    def _target_of_z(self, z: Tensor) -> Tensor:
        x = self.centre.double().cpu() + z * self.half_width.double().cpu() / self.bound
        with torch.no_grad():
            y = self._function(x)
        if y.shape != x.shape:
            raise InputError(
                f"the target of PolyAct maps {tuple(x.shape)} to {tuple(y.shape)}, not to the same shape"
            )
        return y.double()

    def _powers(self) -> Tensor:
        """Return the coefficients of the powers of t = z / bound, (channels, degree + 1)."""
        return self.coefficients @ self.powers

    def _moving_window(self) -> tuple[Tensor, Tensor]:
        """Return the centre and the half width of the moving range with its margin."""
        half = (self.moving_high - self.moving_low) / 2 * (1 + MARGIN)
        least = torch.clamp(LEAST_WIDTH * half.max(), min=torch.finfo(half.dtype).tiny ** 0.5)
        return (self.moving_high + self.moving_low) / 2, torch.maximum(half, least)

    def _look(self, x: Tensor) -> None:
        """Keep the excess of the values, and the share outside the recorded range, for the methods that tell them."""
        if self.stage == "exact" and not self.has_range:
            return
        centre, half = self._moving_window() if self.stage == "exact" else (self.centre, self.half_width)
        distance = (x - self.along_channels(centre, x)).abs() / self.along_channels(half, x)
        self._last_penalty = (self.bound * functional.relu(distance - 1)).square().mean()
        low, high = self.along_channels(self.running_low, x), self.along_channels(self.running_high, x)
        with torch.no_grad():
            self._last_outside = ((x < low) | (x > high)).double().mean()

    def _last(self, name: str) -> Tensor:
        value = self.__dict__.get(name)
        return torch.zeros((), device=self.centre.device) if value is None else value
