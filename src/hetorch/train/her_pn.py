"""HerPN: a Hermite expansion of ReLU of degree 2 whose terms are batch-normalised (Park et al., AESPA, 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.marks import ChannelPolynomial
from hetorch.errors import InputError
from hetorch.train.recorded_range import RecordedRange

LINE, SQUARE = 1 / 2, 1 / (2 * math.sqrt(math.pi))
"""Coefficients of ReLU for h_1 = z and h_2 = (z^2 - 1) / sqrt(2). That of h_0 is lost in the normalisation."""
TERMS = ("line", "square")
"""Names of the terms in the buffers of their statistics."""


class HerPN(RecordedRange):
    """Batch normalisation and ReLU in one, as a parabola for each channel: weight (c_1 N(x) + c_2 N(x^2)) + bias.

    N normalises a term over the batch in train() and by its running statistics in eval(); c_1 and c_2 are ReLU's. It
    takes the place of a batch normalisation and the activation after it.

    Args:
        channels: number of channels.
        channel_axis: the axis that counts them, in a batch.
        eps: added to the variances.
        momentum: weight of the last batch in the running statistics.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, channels: int, channel_axis: int = 1, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__(channels, channel_axis, momentum)
        if not eps > 0:
            raise InputError(f"eps must be positive, got {eps}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        for term in TERMS:
            self.register_buffer(f"{term}_mean", torch.zeros(channels))
            self.register_buffer(f"{term}_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised expansion of each element; in train() the range is recorded first."""
        self.check_channels(x)
        if self.training and not torch.compiler.is_compiling():
            with torch.no_grad():
                self.record(x)
        moved = x.movedim(self.channel_axis, 1)
        line = self._normalised(moved, "line", LINE)
        square = self._normalised(moved.square(), "square", SQUARE)
        return (line + square).movedim(1, self.channel_axis) + self.along_channels(self.bias, x)

    def hetorch_polynomial(self) -> ChannelPolynomial:
        """Return the parabolas for the compiler."""
        rows = {}
        for term, factor in zip(TERMS, (LINE, SQUARE), strict=True):
            mean, variance = (getattr(self, f"{term}_{kind}").double() for kind in ("mean", "var"))
            slope = factor * self.weight.detach().double() / torch.sqrt(variance + self.eps)
            rows[term] = slope, slope * mean
        constant = self.bias.detach().double() - rows["line"][1] - rows["square"][1]
        coefficients = torch.stack([constant, rows["line"][0], rows["square"][0]], dim=1)
        ones = torch.ones_like(constant).cpu().numpy()
        return ChannelPolynomial(0 * ones, ones, coefficients.cpu().numpy(), self.channel_axis)

    def extra_repr(self) -> str:
        return f"{self.channels}, channel_axis={self.channel_axis}, eps={self.eps}"

    def _normalised(self, values: Tensor, term: str, factor: float) -> Tensor:
        return functional.batch_norm(
            values,
            getattr(self, f"{term}_mean"),
            getattr(self, f"{term}_var"),
            factor * self.weight,
            None,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
