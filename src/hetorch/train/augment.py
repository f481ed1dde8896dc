"""Inputs beside the training data, made from them, so that polynomials learn to stay near the teacher there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hetorch.compiler.frontend.graph.user_code import described, first_line
from hetorch.errors import InputError
from hetorch.train.training_data import Batch, Batches

Augment = Callable[..., Tensor | tuple[Tensor, ...]]
"""A function of the model's inputs (batch, ...), that returns them changed: a tensor, or a tuple for several."""

CONTRAST = (0.6, 1.4)
"""Bounds of the factor by which a sample is stretched. Farther apart, brighter and paler data stay in the ranges, and
all data have less precision."""
BRIGHTNESS = 0.2
"""Largest shift of a sample, as a share of the extent of the data; raised, as for CONTRAST."""
SHARE = 0.7
"""Share of the samples that are changed. Raised, fewer of the training data are seen as they are."""
COLUMN_EXTENT = 2.5
"""Extent of a table's column in standard deviations, so that a shift is half a deviation at most. The largest value of
a column may be far from all others, so that its extremes do not tell."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """The extent of an input over the training data, and the centre about which samples are stretched: the mean of
    each column of a table, and None for the mean of the sample itself."""

    width: Tensor
    centre: Tensor | None = None


@dataclass(slots=True)
class _Statistics:
    """The extremes of an input over all data, and the sums of its columns and of their squares if it is a table."""

    low: float = math.inf
    high: float = -math.inf
    count: int = 0
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """Add a batch."""
        self.count += len(x)
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        if x.dim() <= 2:
            self.total = x.sum(0) if self.total is None else self.total + x.sum(0)
            self.squares = x.square().sum(0) if self.squares is None else self.squares + x.square().sum(0)

    def extent(self) -> _Extent:
        """Return the extent of what was added."""
        if self.total is None or self.squares is None:
            return _Extent(torch.tensor(self.high - self.low))
        mean = self.total / self.count
        return _Extent(COLUMN_EXTENT * (self.squares / self.count - mean.square()).clamp(min=0).sqrt(), mean)


@dataclass(frozen=True, slots=True)
class Shift:
    """Stretch and shift most samples of a batch at random: contrast and brightness of images.

    Meant for real-valued inputs. A sample of several axes, such as an image or a signal, is stretched about its own
    mean and shifted as a whole; each column of a table (batch, columns) is shifted on its own. Whole numbers, such as
    tokens, stay. Random numbers are those of torch's generator on the CPU, which torch.manual_seed seeds.
    """

    extents: tuple[_Extent | None, ...]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return inputs (batch, ...) of the same shapes."""
        return tuple(
            x if extent is None else _shifted(x, extent)
            for x, extent in zip(inputs, self.extents, strict=True)
        )


def shift_of(data: Batches) -> Shift:
    """Return the Shift whose extents are those of `data`, which are read once."""
    statistics: list[_Statistics | None] = []
    for batch in data:
        statistics = statistics or [_Statistics() if x.is_floating_point() else None for x in batch.inputs]
        for part, x in zip(statistics, batch.inputs, strict=True):
            if part is not None:
                part.add(x.detach().double())
    return Shift(tuple(None if part is None else part.extent() for part in statistics))


def augmented(augment: Augment, batch: Batch) -> Batch:
    """Return a batch with changed inputs and the same labels.

    Raises:
        InputError: `augment` does not take the inputs, or returns others.
    """
    try:
        result = augment(*batch.inputs)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shapes = " and ".join(str(tuple(part.shape)) for part in batch.inputs)
        raise InputError(f"augment does not take the inputs {shapes}: {first_line(error)}") from error
    inputs = result if isinstance(result, tuple) else (result,)
    if [getattr(part, "shape", None) for part in inputs] != [part.shape for part in batch.inputs]:
        raise InputError(
            f"augment must return tensors of the shapes of its arguments, got {', '.join(map(described, inputs))}"
        )
    return replace(batch, inputs=inputs)


def _shifted(x: Tensor, extent: _Extent) -> Tensor:
    each = (len(x), *[1] * (x.dim() - 1))
    low, high = CONTRAST
    stretch = low + (high - low) * torch.rand(each)
    offset = BRIGHTNESS * (2 * torch.rand(each if extent.centre is None else x.shape) - 1)
    chosen = torch.rand(each) < SHARE
    stretch, offset, chosen = stretch.to(x), offset.to(x), chosen.to(x.device)
    centre = x.mean(tuple(range(1, x.dim())), keepdim=True) if extent.centre is None else extent.centre.to(x)
    return torch.where(chosen, centre + stretch * (x - centre) + offset * extent.width.to(x), x)
