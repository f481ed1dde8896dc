"""Operations on random shapes: the captured program, run by the numpy interpreter, against torch in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from hetorch.compiler.frontend.capture import capture
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Activation

FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


class Apply(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("kind", torch.zeros(1, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def check(module: nn.Module, shape: tuple[int, ...], *, positive: bool = False) -> None:
    module = module.double().eval()
    torch.manual_seed(2)
    x = torch.randn(3, *shape, dtype=torch.float64)
    x = x.abs() + 0.5 if positive else x
    with torch.no_grad():
        expected = module(x).numpy()
    if not np.any(expected):
        return  # a model of zeros is refused, which test_capture checks
    # Calibrate on other inputs: the program must depend neither on their values nor on their number.
    captured = capture(module, x[:2] + 0.25)
    results = run_tensor_program(captured.program, x.numpy())
    own = captured.interface.named(results, captured.program.output_shape)
    np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-9)


@FEW
@given(st.integers(1, 3), st.data())
def test_convolution(axes: int, data: st.DataObject) -> None:
    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(axes))

    size, kernel, stride, padding, dilation = (
        each(1, 7 - axes),
        each(1, 3),
        each(1, 3),
        each(0, 2),
        each(1, 2),
    )
    groups, inside, outside = (data.draw(st.integers(1, high)) for high in (3, 2, 2))
    bias = data.draw(st.booleans())
    reach = [s + 2 * p - d * (k - 1) for s, p, d, k in zip(size, padding, dilation, kernel, strict=True)]
    assume(min(reach) >= 1)
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    check(
        kind(groups * inside, groups * outside, kernel, stride, padding, dilation, groups, bias),  # type: ignore[arg-type]
        (groups * inside, *size),
    )


@FEW
@given(st.integers(1, 3), st.data())
def test_transposed_convolution(axes: int, data: st.DataObject) -> None:
    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(axes))

    size, kernel, stride, padding, dilation = (
        each(1, 5 - axes),
        each(1, 3),
        each(1, 3),
        each(0, 2),
        each(1, 2),
    )
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    groups, inside, outside = (data.draw(st.integers(1, high)) for high in (2, 2, 2))
    reach = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(size, stride, padding, dilation, kernel, extra, strict=True)
    ]
    assume(min(reach) >= 1)
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[axes - 1]
    check(
        kind(groups * inside, groups * outside, kernel, stride, padding, extra, groups, True, dilation),  # type: ignore[arg-type]
        (groups * inside, *size),
    )


@FEW
@given(st.integers(1, 3), st.booleans(), st.booleans(), st.data())
def test_pools(axes: int, ceil: bool, largest: bool, data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(2, 6)) for _ in range(axes))
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(axes))
    stride = tuple(data.draw(st.integers(1, 3)) for _ in range(axes))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    # torch refuses kernels larger than the image before padding in three dimensions.
    assume(all(n >= k for n, k in zip(size, kernel, strict=True)))
    kind = ((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d))[largest][
        axes - 1
    ]
    check(kind(kernel, stride, padding, ceil_mode=ceil), (2, *size))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "activation", "rounds"),
    [
        (3, nn.ReLU(), 4),
        (2, nn.ReLU(), 3),
        (3, nn.LeakyReLU(), 5),
        (3, nn.Identity(), 4),
        (5, nn.ReLU(), 5),
        ((2, 3), nn.ReLU(), 3),
        ((4, 3), nn.ReLU(), 4),
    ],
)
def test_a_relu_joins_the_maximum_after_it(
    size: int | tuple[int, int], activation: nn.Module, rounds: int
) -> None:
    """A ReLU before a maximum saves a round where the tree has room for a zero. The first axis of each round is made of
    the channels of the image, so ranges are calibrated a channel, and the last two are pixels."""
    model = nn.Sequential(activation, nn.MaxPool2d(size, 2, padding=1)).eval()
    x = torch.randn(20, 3, 6, 7)
    captured = capture(model, x)
    outputs = run_tensor_program(captured.program, captured.inputs)
    np.testing.assert_allclose(outputs, model(x).numpy(), atol=1e-6)
    activations = [op for op in captured.program.operations if isinstance(op, Activation)]
    assert len(activations) == rounds
    assert all(op.shape[0] % 3 == 0 and len(op.shape) == 3 for op in activations)


@FEW
@given(st.integers(1, 3), st.booleans(), st.data())
def test_adaptive_pools(axes: int, largest: bool, data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(1, 7)) for _ in range(axes))
    output = tuple(data.draw(st.integers(1, 5)) for _ in range(axes))
    average = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
    maximum = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
    check((maximum if largest else average)[axes - 1](output), (2, *size))


@FEW
@given(st.integers(1, 3), st.integers(0, 3), st.data())
def test_normalisations(axes: int, which: int, data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(1, 4)) for _ in range(axes))
    channels = data.draw(st.sampled_from([2, 4]))
    assume(int(np.prod(size)) > 1)
    batch = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[axes - 1](channels)
    layer: nn.Module
    if which == 0:
        with torch.no_grad():
            batch.train()(torch.randn(9, channels, *size) * 2 + 1)
            batch.weight.uniform_(-1, 1)
            batch.bias.uniform_(-1, 1)
        layer = batch
    elif which == 1:
        layer = nn.LayerNorm(size)
        nn.init.uniform_(layer.weight)
        nn.init.uniform_(layer.bias)
    elif which == 2:
        layer = nn.GroupNorm(2, channels)
        nn.init.uniform_(layer.weight)
    else:
        layer = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[axes - 1](channels, affine=True)
    check(layer, (channels, *size))


@FEW
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data())
def test_reductions_and_joins(shape: list[int], data: st.DataObject) -> None:
    axes = sorted(data.draw(st.sets(st.integers(1, len(shape)), min_size=1)))
    keep = data.draw(st.booleans())
    axis = axes[0]
    check(Apply(lambda x: x.mean(axes, keepdim=keep)), tuple(shape))
    check(Apply(lambda x: torch.cat([x, -x.sum(axes, keepdim=True) * x], axis)), tuple(shape))
    check(Apply(lambda x: torch.stack([x * 2, x.flip(axis)], axis)), tuple(shape))
    check(
        Apply(lambda x: torch.cat([p * i for i, p in enumerate(torch.chunk(x, 2, axis), 1)], axis)),
        tuple(shape),
    )
    check(Apply(lambda x: x.amax(axes, keepdim=keep)), tuple(shape))


@FEW
@given(*(st.integers(1, 4) for _ in range(4)))
def test_products_of_encrypted_tensors(batch: int, n: int, k: int, m: int) -> None:
    def halves(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cut = batch * n * k
        return x[:, :cut].view(-1, batch, n, k), x[:, cut:].view(-1, batch, k, m)

    size = (batch * n * k + batch * k * m,)
    check(Apply(lambda x: halves(x)[0] @ halves(x)[1]), size)
    check(Apply(lambda x: torch.einsum("abij,abjk->aki", *halves(x))), size)
    check(Apply(lambda x: halves(x)[0] @ halves(x)[1][:, :1]), size)


@FEW
@given(st.integers(2, 4), st.integers(1, 3), st.booleans())
def test_attention(length: int, width: int, causal: bool) -> None:
    mask = torch.randn(length, length, dtype=torch.float64)
    mask[0, 1] = -torch.inf
    function = F.scaled_dot_product_attention
    check(Apply(lambda x: function(x, x * 2, x - 1, is_causal=causal)), (2, length, width))
    check(Apply(lambda x: function(x, x, x, attn_mask=mask, scale=0.3)), (length, width))


UNARY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "log": torch.log, "log1p": torch.log1p, "log2": torch.log2, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal, "power": lambda x: x**-1.5, "exp": torch.exp, "exp2": torch.exp2,
    "expm1": torch.expm1, "sin": torch.sin, "cos": torch.cos, "sinh": torch.sinh, "cosh": torch.cosh,
    "atan": torch.atan, "asinh": torch.asinh, "erf": torch.erf, "abs": torch.abs, "sign": torch.sign,
    "relu": F.relu, "leaky_relu": lambda x: F.leaky_relu(x, 0.2), "relu6": F.relu6, "hardtanh": F.hardtanh,
    "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "mish": F.mish,
    "elu": lambda x: F.elu(x, 0.7), "selu": F.selu, "celu": lambda x: F.celu(x, 1.3), "softsign": F.softsign,
    "softplus": lambda x: F.softplus(x, 1.5), "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid,
    "softshrink": lambda x: F.softshrink(x, 0.3), "hardshrink": lambda x: F.hardshrink(x, 0.3),
    "tanhshrink": F.tanhshrink, "prelu": lambda x: F.prelu(x, torch.full((1,), 0.3, dtype=x.dtype)),
    "clamp": lambda x: x.clamp(-0.5, 0.7), "rrelu": lambda x: F.rrelu(x, training=False),
}  # fmt: skip
POSITIVE = {"log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "power"}


@pytest.mark.parametrize("name", sorted(UNARY))
def test_functions(name: str) -> None:
    check(Apply(lambda x: UNARY[name](x * 1.5)), (3, 2), positive=name in POSITIVE)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.ReLU6(), "relu6"),
        (nn.Hardtanh(0, 6), "relu6"),
        (nn.Hardtanh(), "hardtanh"),
        (Apply(lambda x: x.clamp(min=0)), "relu"),
        (nn.Threshold(0, 0), "relu"),
        (nn.Threshold(0.5, 0.5), "hardtanh"),
    ],
)
def test_bounds_have_the_names_of_pytorch(module: nn.Module, name: str) -> None:
    """torch.export makes ReLU6 a hardtanh; reports and messages name what the user wrote."""
    captured = capture(nn.Sequential(nn.Linear(3, 3), module, nn.Linear(3, 2)), torch.randn(4, 3))
    assert [op.function for op in captured.program.operations if isinstance(op, Activation)] == [name]
