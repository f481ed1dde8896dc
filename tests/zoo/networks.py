# mypy: disable-error-code="no-any-return"
"""Small versions of architectures that people train; each connects its parts in another way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))


def deep_mlp() -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(16, 3))


def logistic_regression() -> nn.Module:
    return nn.Sequential(nn.Linear(30, 1), nn.Sigmoid())


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16 * 5 * 5, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def lola() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 5, 2, stride=2),
        Square(),
        nn.Flatten(),
        nn.Linear(980, 100),
        Square(),
        nn.Linear(100, 10),
    )


def cryptonets() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=2, padding=1), Square(), nn.AvgPool2d(3, 1, 1), nn.Conv2d(5, 8, 5, stride=2),
        nn.AvgPool2d(3, 1, 1), nn.Flatten(), nn.Linear(200, 100), Square(), nn.Linear(100, 10),
    )  # fmt: skip


def alexnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(8 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


def vgg() -> nn.Module:
    layers: list[nn.Module] = []
    before = 3
    for width in (4, 8):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.SiLU(), nn.AvgPool2d(2)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU6(), nn.Conv2d(6, 6, 3, groups=6, padding=1), nn.BatchNorm2d(6),
        nn.Conv2d(6, 8, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.one, self.two = nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.short, self.last = nn.Conv2d(4, 8, 1, 2), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = self.norm2(self.two(F.relu(self.norm1(self.one(x)))))
        return self.last(F.relu(y + self.short(x)).mean((2, 3)))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(2 + 3 * i, 3, 3, padding=1) for i in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(2 + 3 * i) for i in range(3))
        self.last = nn.Linear(11, 4)

    def forward(self, x: Tensor) -> Tensor:
        for norm, part in zip(self.norms, self.parts, strict=True):
            x = torch.cat([x, part(F.silu(norm(x)))], 1)
        return self.last(F.adaptive_avg_pool2d(x, 1).flatten(1))


def ecg() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 4, 7, stride=2, padding=3), nn.BatchNorm1d(4), nn.ELU(), nn.AvgPool1d(2),
        nn.Conv1d(4, 8, 5, padding=2), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool1d(4), nn.Flatten(),
        nn.Linear(32, 5), nn.LogSoftmax(1),
    )  # fmt: skip


class Tcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv1d(3 if i == 0 else 4, 4, 3, dilation=2**i) for i in range(3))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for i, part in enumerate(self.parts):
            y = F.gelu(part(F.pad(x, (2 * 2**i, 0))))
            x = y if i == 0 else x + y
        return self.last(x[:, :, -1])


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Softplus(), nn.Conv2d(4, 2, 3, stride=2, padding=1), nn.Softplus(),
        nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1), nn.Softplus(),
        nn.ConvTranspose2d(4, 1, 2, stride=2), nn.Sigmoid(),
    )  # fmt: skip


def linear_autoencoder() -> nn.Module:
    return nn.Sequential(nn.Linear(40, 4), nn.Linear(4, 40))


class Tabular(nn.Module):
    """A model of tabular data without its embeddings, which the client looks up: 3 x 4 numbers, and 5 other columns."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.one, self.two = nn.BatchNorm1d(5), nn.Linear(17, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(F.selu(self.one(torch.cat([x[:, :12], self.norm(x[:, 12:])], 1))))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 6, 4, stride=4)
        self.tokens = nn.Sequential(nn.Linear(9, 12), nn.GELU(), nn.Linear(12, 9))
        self.channels = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6))
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2)
        y = y + self.tokens(y)
        y = y.transpose(1, 2)
        y = y + self.channels(y)
        return self.last(y.mean(1))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((x + self.attention(x, x, x, need_weights=False)[0]).mean(1))


class PolynomialAttention(nn.Module):
    """Attention whose scores are squared in place of a softmax, so that nothing is approximated."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        scores = (self.q(x) @ self.k(x).transpose(1, 2) / 6) ** 2
        return torch.einsum("bij,bjc->bc", scores, self.v(x))


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.inner = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.silu(self.down(x))
        b = F.silu(self.inner(F.avg_pool2d(a, 2)))
        return self.last(torch.cat([a, self.up(b)], 1))


class Fire(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = (
            nn.Conv2d(4, 2, 1),
            nn.Conv2d(2, 4, 1),
            nn.Conv2d(2, 4, 3, padding=1),
        )
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.squeeze(x))
        return self.last(torch.cat([F.relu(self.one(y)), F.relu(self.three(y))], 1)).mean((2, 3))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three, self.five = (nn.Conv2d(3, 2, k, padding=k // 2) for k in (1, 3, 5))
        self.pooled, self.last = nn.Conv2d(3, 2, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.one(x), self.three(x), self.five(x), self.pooled(F.avg_pool2d(x, 3, 1, 1))]
        return self.last(F.mish(torch.cat(parts, 1)).mean((2, 3)))


class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters, self.gates = nn.Conv1d(2, 4, 2, dilation=2), nn.Conv1d(2, 4, 2, dilation=2)
        self.skip = nn.Conv1d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(torch.tanh(self.filters(x)) * torch.sigmoid(self.gates(x)))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower, self.last = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 6)), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        difference = self.tower(x[:, 0]) - self.tower(x[:, 1])
        return self.last(difference.square())


class DeepSets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.each, self.whole = (
            nn.Sequential(nn.Linear(3, 8), nn.SiLU()),
            nn.Sequential(nn.Linear(8, 4), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.whole(self.each(x).sum(1) / 5)


class PolynomialRegression(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([x, x**2, x**3], 1))


class PolynomialKernel(nn.Module):
    """A support vector machine with the kernel (x . s / 4 + 1)^3."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors, self.last = nn.Parameter(torch.randn(10, 4)), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((x @ self.vectors.T / 4 + 1).pow(3))


class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.change, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return self.last(gate * torch.tanh(self.change(x)) + (1 - gate) * x)


class Glu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 12), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.glu(self.first(x)))


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.small, self.large = nn.Conv2d(2, 4, 3), nn.Linear(4, 2), nn.Linear(2, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        scale = F.hardsigmoid(self.large(F.silu(self.small(y.mean((2, 3))))))
        return (y * scale[:, :, None, None]).mean((2, 3))


def max_pooled() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))


def video() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1), nn.BatchNorm3d(3), nn.SiLU(), nn.AvgPool3d(2), nn.Conv3d(3, 4, 2), nn.SiLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


class GruUnrolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.GRUCell(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 4)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return self.last(h)


class LayerNormed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(8, 12), nn.LayerNorm(12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x)))


class TransformerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # With fewer features a variance is often near 0, where no polynomial approximates 1 / sqrt(x).
        self.block = nn.TransformerEncoderLayer(16, 2, 16, activation="gelu", batch_first=True)
        self.last = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.block(x).mean(1))


class SuperResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.two(F.celu(self.one(x))), 2) + F.interpolate(x, scale_factor=2)


class Bilinear(nn.Module):
    """A factorisation machine, which sums pairwise products of features."""

    def __init__(self) -> None:
        super().__init__()
        self.factors, self.line = nn.Parameter(torch.randn(10, 3) / 3), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        pairs = (x @ self.factors) ** 2 - x**2 @ self.factors**2
        return self.line(x) + 0.5 * pairs.sum(1, keepdim=True)
