"""The diagonals of ordinary networks: few for each convolution, two for each round of a max pool."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.packing.choose_layouts import choose_layouts
from hetorch.compiler.packing.lower import LoweredMap, lower
from hetorch.compiler.packing.placements import image_shape, is_image, power_of_two
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.compiler.search.variants import program_variants
from hetorch.ir.tensor_program import Affine


def conv(ins: int, outs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(ins, outs, kernel, stride, kernel // 2, groups=groups)
    return [layer, nn.BatchNorm2d(outs), nn.ReLU()]


def two_pools(pool: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(
        *(*conv(1, 16), pool(2), *conv(16, 32), pool(2)),
        *(nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, 2)),
    )


def lenet() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def four_convolutions() -> nn.Module:
    return nn.Sequential(
        *(*conv(3, 16), *conv(16, 32), nn.AvgPool2d(2), *conv(32, 64), nn.AvgPool2d(2)),
        *(*conv(64, 64), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(1024, 10)),
    )


def ecg() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(1, 8, 7, padding=3), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(8, 16, 5, padding=2), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Flatten(), nn.Linear(16 * 46, 32), nn.ReLU(), nn.Linear(32, 3)),
    )


def separable() -> nn.Module:
    return nn.Sequential(
        *conv(1, 16, stride=2),
        *(*conv(16, 16, groups=16), *conv(16, 32, 1), *conv(32, 32, stride=2, groups=32), *conv(32, 64, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """An affine map of a compiled network: `taps` pixels of `channels` input channels, with `slots` a ciphertext."""

    op: Affine
    lowered: LoweredMap
    taps: int
    channels: int
    slots: int

    @property
    def bound(self) -> int:
        """The diagonals that the numbers of the map would fill."""
        return -(-self.op.matrix.nnz // self.slots)


def rows(model: nn.Module, shape: tuple[int, ...], slots: int) -> list[Row]:
    """The maps from image to image, as the compiler lowers them with polynomials of degree 4."""
    torch.manual_seed(0)
    x = torch.randn(16, *shape)
    model.train()(x)
    captured = capture(model.eval(), x)
    options = CompileOptions(activation_degree=4, activation_agreement=0.0)
    program = approximate_activations(
        fuse_affine(captured.program), captured.inputs, captured.outputs, options
    ).program
    variant = program_variants(program, captured.inputs)[0]
    program = variant.program
    placements = choose_layouts(
        program, variant.levels, slots, CostModel(ring_degree=2 * slots, digit_size=4, special_count=4)
    ).placements
    found = []
    for index, op in enumerate(program.operations):
        before = program.shape(op.reads[0])
        if isinstance(op, Affine) and is_image(before) and is_image(op.shape):
            pixels = math.prod(image_shape(before)[1:])
            counts = np.diff(op.matrix.indptr)
            row = int(np.argmax(counts))
            read = op.matrix.indices[op.matrix.indptr[row] : op.matrix.indptr[row + 1]] // pixels
            lowered = lower(op.matrix, placements[op.input], placements[index + 1], slots)
            found.append(
                Row(
                    op,
                    lowered,
                    int(np.unique(read, return_counts=True)[1].max()),
                    len(np.unique(read)),
                    slots,
                )
            )
    return found


@pytest.mark.parametrize(
    ("make", "shape", "slots", "factor", "rounds"),
    [
        pytest.param(lambda: two_pools(nn.MaxPool2d), (1, 28, 28), 1 << 15, 1.0, 4, id="max pools"),
        pytest.param(lambda: two_pools(nn.AvgPool2d), (1, 28, 28), 1 << 14, 1.2, 0, id="average pools"),
        pytest.param(lenet, (1, 28, 28), 1 << 15, 1.0, 4, id="lenet"),
        pytest.param(ecg, (1, 187), 1 << 14, 1.0, 2, id="ecg"),
        pytest.param(separable, (1, 28, 28), 1 << 15, 2.0, 0, id="separable"),
        pytest.param(
            four_convolutions, (3, 32, 32), 1 << 14, 1.4, 0, id="four convolutions", marks=pytest.mark.slow
        ),
    ],
)
def test_convolutions_take_few_diagonals(
    make: Callable[[], nn.Module], shape: tuple[int, ...], slots: int, factor: float, rounds: int
) -> None:
    """A convolution takes its taps times its input channels (the next power of two) for each ciphertext of its result.

    Where channels share the gaps between pixels, the differences of a tap and a gap are more than the taps: `factor`
    allows for them. Without gaps there would be fewer, and the map before would take thousands to move the pixels
    together. A map that reads one channel may move it into a gap: 4 diagonals a tap. A round of a max pool takes 2.
    """
    found = rows(make(), shape, slots)
    for row in found:
        channels = power_of_two(row.channels) * factor if row.channels > 1 else 4
        allowed = row.taps * channels * row.lowered.transform.output_count
        assert row.bound <= row.lowered.diagonals <= allowed, row.op.name
    pairs = [row.lowered.diagonals for row in found if row.taps == 2]
    assert pairs == [2] * rounds
