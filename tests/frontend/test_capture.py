from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hetorch.errors import InputError, UnsupportedModelError
from hetorch.frontend.capture import capture
from hetorch.ir.interpreter import run_tensor_program


class Lambda(nn.Module):
    """A module of one function, with a parameter so that a constant tensor is at hand."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.weight)


def check(module: nn.Module, *shape: int, batch: int = 5) -> None:
    """The captured program computes what the module computes, on other inputs than those it was captured with."""
    torch.manual_seed(1)
    module.eval()
    program = capture(module, torch.randn(3, *shape)).program
    x = torch.randn(batch, *shape)
    with torch.no_grad():
        expected = module(x).numpy()
    np.testing.assert_allclose(run_tensor_program(program, x.numpy()), expected, rtol=1e-4, atol=1e-5)


FUNCTIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "view": lambda x, w: x.view(x.size(0), -1),
    "reshape": lambda x, w: x.reshape(-1, 6, 2),
    "flatten": lambda x, w: torch.flatten(x, 1),
    "permute": lambda x, w: x.permute(0, 3, 1, 2),
    "transpose": lambda x, w: x.transpose(1, 2) * 2,
    "slice": lambda x, w: x[:, 1:, ::2],
    "select": lambda x, w: x[:, 1],
    "squeeze": lambda x, w: x[:, :1].squeeze(1).unsqueeze(2),
    "expand": lambda x, w: x[:, :1].expand(-1, 3, -1, -1),
    "flip": lambda x, w: torch.flip(x, [2]),
    "pad": lambda x, w: F.pad(x, (1, 2, 0, 1)),
    "pad_reflect": lambda x, w: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "upsample": lambda x, w: F.interpolate(x, scale_factor=2, mode="nearest"),
    "pixel_shuffle": lambda x, w: F.pixel_unshuffle(x, 2),
    "cat": lambda x, w: torch.cat([x, 2 * x[:, :1], x.square()], dim=1),
    "add_constant": lambda x, w: x + w - 1,
    "reverse_subtract": lambda x, w: 1 - x,
    "constant_minus": lambda x, w: w - x,
    "subtract": lambda x, w: x - 0.5 * x.flip(1),
    "add_alpha": lambda x, w: torch.add(x, x.flip(2), alpha=-3),
    "scale": lambda x, w: w * x / 3,
    "negate": lambda x, w: -x,
    "broadcast": lambda x, w: x + x.mean(dim=(2, 3), keepdim=True),
    "broadcast_product": lambda x, w: x * x[:, :1],
    "mean": lambda x, w: x.mean((1, 2)),
    "mean_last": lambda x, w: x.mean(-1),
    "sum": lambda x, w: x.sum(1, keepdim=True),
    "power": lambda x, w: x**3 + x.pow(2) + torch.square(x),
    "product": lambda x, w: x * x.flip(1),
    "matmul": lambda x, w: x @ w[0],
    "linear": lambda x, w: F.linear(x, w[1]),
    "relu_inplace": lambda x, w: torch.relu_(x * 1.0),
    "clamp": lambda x, w: torch.clamp(x, min=-0.5),
    "dropout": lambda x, w: F.dropout(x, 0.5, training=False) + 1,
    "avg_pool_ceil": lambda x, w: F.avg_pool2d(x, 2, stride=1, padding=1, ceil_mode=True),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_operation(name: str) -> None:
    check(Lambda(FUNCTIONS[name]), 3, 2, 2)


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(7, 5), nn.SiLU(), nn.Linear(5, 2)), (7,)),
    "rows": (lambda: nn.Linear(4, 3), (2, 5, 4)),
    "conv": (
        lambda: nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
        (2, 7, 8),
    ),
    "conv_same": (lambda: nn.Conv2d(1, 2, 4, padding="same"), (1, 6, 5)),
    "conv_circular": (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), (1, 6, 5)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1), (2, 9)),
    "pool1d": (lambda: nn.AvgPool1d(3, 2, 1), (2, 9)),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (2, 5, 7)),
    "adaptive1d": (lambda: nn.AdaptiveAvgPool1d(4), (2, 9)),
    "norm1d": (lambda: nn.BatchNorm1d(4), (4,)),
    "prelu": (lambda: nn.PReLU(), (4,)),
    "softplus": (
        lambda: nn.Sequential(nn.Softplus(2.0), nn.ELU(0.5), nn.LeakyReLU(0.3), nn.Hardtanh(-2, 1)),
        (4,),
    ),
    "gelus": (lambda: nn.Sequential(nn.GELU(), nn.GELU(approximate="tanh"), nn.Mish(), nn.SELU()), (4,)),
}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module(name: str) -> None:
    torch.manual_seed(0)
    make, shape = MODULES[name]
    check(make(), *shape)


def test_batch_norm_uses_running_statistics() -> None:
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.train()(torch.randn(50, 3, 4, 4) * 3 + 1)
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    check(norm, 3, 4, 4)


def test_final_softmax_is_left_to_the_client() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
    captured = capture(model, torch.randn(6, 4))
    assert "softmax" in captured.notes[0] and "client" in captured.notes[0]
    x = torch.randn(5, 4)
    np.testing.assert_allclose(
        run_tensor_program(captured.program, x.numpy()), model[0](x).detach().numpy(), atol=1e-5
    )


def test_the_model_is_not_changed() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    captured = capture(model, torch.randn(20, 4))
    assert model.training and all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    np.testing.assert_allclose(captured.outputs, run_tensor_program(captured.program, captured.inputs))


UNSUPPORTED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "max_pool": (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)),
        (1, 8, 8),
        r"max_pool2d in 1 .*AvgPool2d",
    ),
    "layer_norm": (lambda: nn.Sequential(nn.LayerNorm(4)), (4,), "layer_norm in 0 .*BatchNorm1d"),
    "inner_softmax": (
        lambda: nn.Sequential(nn.Softmax(1), nn.Linear(4, 2)),
        (4,),
        "linear in 1 .*after softmax.*Sigmoid",
    ),
    "divide": (lambda: Lambda(lambda x, w: 1 / x), (3, 2, 2), "reciprocal|div"),
    "fraction": (lambda: Lambda(lambda x, w: x**0.5), (3, 2, 2), "exponent 0.5.*1 to 16"),
    "batch_mean": (lambda: Lambda(lambda x, w: x - x.mean(0)), (3, 2, 2), "samples"),
    "batch_statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False), (4,), "running statistics"),
    "attention": (lambda: Lambda(lambda x, w: x @ x), (3, 2, 2), "both factors"),
    "two_outputs": (lambda: Lambda(lambda x, w: (x, x)), (3, 2, 2), "one tensor"),  # type: ignore[arg-type, return-value]
    "constant": (lambda: Lambda(lambda x, w: w[:1].expand(x.shape[0], 2, 2)), (3, 2, 2), "does not depend"),
    "branch": (lambda: Lambda(lambda x, w: x if x.sum() > 0 else -x), (3, 2, 2), "cannot be traced"),
    "recurrent": (lambda: Lambda(lambda x, w: x.max(1).values), (3, 2, 2), "max"),
}


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_cannot_be_compiled_is_named(name: str) -> None:
    make, shape, message = UNSUPPORTED[name]
    with pytest.raises(UnsupportedModelError, match=message):
        capture(make(), torch.rand(4, *shape) + 0.1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.zeros(0, 4), "at least one sample"),
        (torch.zeros(4), "at least one sample"),
        (torch.full((2, 4), float("nan")), "NaN"),
        (torch.zeros(2, 5), r"\(2, 5\)"),
        ([[1.0, 2.0]], "list"),
        (np.array([["a"]]), "real numbers"),
        (torch.zeros(2, 4, dtype=torch.complex64), "real numbers"),
        (None, "NoneType"),
    ],
)
def test_wrong_inputs_are_refused(data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        capture(nn.Linear(4, 2), data)


def test_other_types_are_cast() -> None:
    model = nn.Linear(4, 2)
    whole = capture(model, np.arange(8).reshape(2, 4))
    double = capture(model, torch.arange(8, dtype=torch.float64).reshape(2, 4))
    np.testing.assert_array_equal(whole.outputs, double.outputs)
    half = capture(nn.Linear(4, 2).half(), torch.ones(2, 4))
    assert half.outputs.shape == (2, 2)


def test_not_a_module() -> None:
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        capture(lambda x: x, torch.zeros(2, 4))


def test_a_model_of_zeros_is_refused() -> None:
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    with pytest.raises(InputError, match="only zeros"):
        capture(model, torch.randn(3, 4))
