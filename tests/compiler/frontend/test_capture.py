from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hetorch.compiler.frontend.capture import capture
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.interpreter import run_tensor_program


class Lambda(nn.Module):
    """A module that applies a function to its input and a parameter."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.weight)


class Recurrent(nn.Module):
    """A cell that runs over the steps of axis 1, from a hidden state of zeros."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(x.shape[0], 4)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return h


class First(nn.Module):
    """A module that returns the first result of another, summed over the steps."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x)[0].sum(1)
        return result


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.attention(x, x, x)[0]
        return result


def check(module: nn.Module, *shape: int, batch: int = 5) -> None:
    """Compare the captured program with the module on inputs other than the calibration inputs."""
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
    "split": lambda x, w: torch.cat(torch.tensor_split(x, (1,), dim=1)[::-1], 1) * x.chunk(3, 1)[0],
    "unbind": lambda x, w: torch.stack(x.unbind(1), -1),
    "cat_constant": lambda x, w: torch.cat([x, w[None].expand(x.shape[0], -1, -1, -1)], 2),
    "index": lambda x, w: x[:, [2, 0]] + x.index_select(1, torch.tensor([1, 1])),
    "gather": lambda x, w: x.gather(1, torch.tensor([[[2, 0], [1, 1]]]).expand(x.shape[0], 1, 2, 2)),
    "pad_value": lambda x, w: F.pad(x, (1, 0), value=2.5),
    "tril": lambda x, w: torch.tril(x) + x.diagonal(dim1=2, dim2=3)[..., None],
    "where": lambda x, w: torch.where(w > 0, x, w) + x.masked_fill(w < 0, 3.0),
    "repeat": lambda x, w: x.repeat(1, 2, 1, 3) - x.repeat_interleave(2, 1).tile(1, 1, 1, 3),
    "upsample_linear": lambda x, w: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "cumsum": lambda x, w: x.cumsum(2),
    "unfold": lambda x, w: F.unfold(x, 2, padding=1),
    "matmul_batch": lambda x, w: x @ x.transpose(2, 3) + w @ x,
    "matmul_vector": lambda x, w: x @ w[0, 0] + w[0, 0] @ x,
    "einsum": lambda x, w: torch.einsum("bcij,cjk->bik", x, w),
    "einsum_two": lambda x, w: torch.einsum("bcij,bcjk->bik", x, x + 1),
    "einsum_dots": lambda x, w: torch.einsum("...ij,...kj->...ik", x, x),
    "einsum_three": lambda x, w: torch.einsum("bcij,cij,bkij->bck", x, w, x),
    "bmm": lambda x, w: torch.bmm(x[:, 0], x[:, 1]) + torch.baddbmm(w[:1, 0], x[:, 0], x[:, 2], beta=2),
    "max": lambda x, w: x.amax(1) + x.max(2).values.sum(1, keepdim=True) + torch.maximum(x, w).mean(1),
    "min": lambda x, w: x.amin((1, 3)) + torch.minimum(x, x.flip(1)).sum(1)[..., 0],
    "layer_norm": lambda x, w: F.layer_norm(x, (2, 2), w[0], w[1]) + F.rms_norm(x, (2,)),
    "group_norm": lambda x, w: F.group_norm(x, 3, w[:, 0, 0], w[:, 1, 1]) + F.instance_norm(x),
    "softmax": lambda x, w: x.softmax(1) * F.log_softmax(x, 2) + F.softmin(x, 3),
    "normalise": lambda x, w: F.normalize(x, dim=1) + x.norm(dim=1, keepdim=True),
    "quotient": lambda x, w: x / (x.square() + 1) + 1 / (2 + x.square()),
    "roots": lambda x, w: (x.square() + 1).sqrt() * (x.abs() + 1).rsqrt() + (1 + x**2) ** 1.5,
    "attention": lambda x, w: F.scaled_dot_product_attention(x, 2 * x, x + 1),
    "attention_causal": lambda x, w: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "glu": lambda x, w: F.glu(x, 2) * F.threshold(x[:, :, :1], 0, 0),
    "lp_pool": lambda x, w: F.lp_pool2d(x + 3, 2.0, 2),
    "functions": lambda x, w: x.exp() + x.sin() * x.cos() - F.softsign(x) + F.logsigmoid(x) + F.hardswish(x),
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
    "prelu_channels": (lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.PReLU(3, init=0.3)), (2, 6)),
    "max_pool": (lambda: nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), (2, 6, 7)),
    "max_pool3d": (lambda: nn.MaxPool3d(2, dilation=2), (1, 5, 4, 6)),
    "adaptive_max": (lambda: nn.AdaptiveMaxPool2d((2, 3)), (2, 5, 7)),
    "lp_pool": (lambda: nn.Sequential(nn.Softplus(), nn.LPPool1d(2, 3)), (2, 9)),
    "gru_cell": (lambda: Recurrent(nn.GRUCell(3, 4)), (5, 3)),
    "gru": (lambda: First(nn.GRU(3, 4, num_layers=2, batch_first=True)), (5, 3)),
    "lstm": (lambda: First(nn.LSTM(3, 2, bidirectional=True, batch_first=True)), (4, 3)),
    "rnn": (lambda: First(nn.RNN(3, 4, batch_first=True)), (4, 3)),
    "attention": (lambda: SelfAttention(), (3, 4)),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu"), (3, 4)),
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
    "rounding": (
        lambda: nn.Sequential(nn.Linear(4, 4), Lambda(lambda x, w: x.round())),
        (4,),
        "round in 1 .*leave",
    ),
    "embedding": (lambda: Lambda(lambda x, w: F.embedding(x[:, 0, 0].long(), w[0])), (3, 2, 2), "client"),
    "random": (lambda: Lambda(lambda x, w: F.dropout(x, 0.5, training=True)), (3, 2, 2), "random"),
    "order": (lambda: Lambda(lambda x, w: torch.linalg.vector_norm(x, 3, dim=1)), (3, 2, 2), "order 3"),
    "several_lines": (
        lambda: Lambda(lambda x, w: x.floor() + x.argmin(1, keepdim=True)),
        (3, 2, 2),
        r"test_capture.py:\d+: .*and 1 more",
    ),
    "batch_mean": (lambda: Lambda(lambda x, w: x - x.mean(0)), (3, 2, 2), "samples"),
    "embedding_first": (lambda: nn.Embedding(9, 2), (3,), "client"),
    "batch_statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False), (4,), "running statistics"),
    "inner_argmax": (lambda: Lambda(lambda x, w: x.argmax(1) * 2.0), (3, 2, 2), "left to the client"),
    "no_output": (lambda: Lambda(lambda x, w: "text"), (3, 2, 2), "must return a tensor"),  # type: ignore[arg-type, return-value]
    "constant": (lambda: Lambda(lambda x, w: w[:1].expand(x.shape[0], 2, 2)), (3, 2, 2), "does not depend"),
    "branch": (lambda: Lambda(lambda x, w: x if x.sum() > 0 else -x), (3, 2, 2), "cannot be traced"),
    "places": (lambda: Lambda(lambda x, w: x.sort(1).values), (3, 2, 2), "sort"),
}


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_cannot_be_compiled_is_named(name: str) -> None:
    make, shape, message = UNSUPPORTED[name]
    with pytest.raises(UnsupportedModelError, match=message):
        data = torch.rand(4, *shape) + 0.1
        capture(make(), (data * 6).long() if name == "embedding_first" else data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.zeros(0, 4), "at least one sample"),
        (torch.zeros(4), "at least one sample"),
        (torch.full((2, 4), float("nan")), "NaN"),
        (torch.zeros(2, 5), r"\(2, 5\)"),
        ([["a"]], "list"),
        (np.array([["a"]]), "real numbers"),
        (torch.zeros(2, 4, dtype=torch.complex64), "real numbers"),
        (torch.ones(2, 4).to_sparse(), "dense tensor"),
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


def test_weights_that_are_no_numbers_are_named() -> None:
    linear, norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
    model = nn.Sequential(linear, norm).eval()
    norm.load_state_dict({**norm.state_dict(), "running_mean": torch.tensor([0, float("nan"), 0])})
    with pytest.raises(InputError, match=r"^1\.running_mean holds NaN"):
        capture(model, torch.zeros(2, 4))
    with torch.no_grad():
        linear.weight[2, 1] = float("inf")
    with pytest.raises(InputError, match=r"^0\.weight holds infinity"):
        capture(model, torch.zeros(2, 4))


def test_weights_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match="weight has no shape yet; call the model once"):
        capture(nn.LazyLinear(3), torch.zeros(2, 4))
    with pytest.raises(InputError, match="weight has no numbers"):
        capture(nn.Linear(4, 2, device="meta"), torch.zeros(2, 4))


def test_a_missing_batch_axis_is_told() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    with pytest.raises(InputError, match=r"batch axis missing\? It takes one sample as \(1, 1, 8, 8\)"):
        capture(model, torch.zeros(1, 8, 8))
    with pytest.raises(InputError, match="does not accept") as caught:
        capture(model, torch.zeros(4, 1, 9, 9))
    assert "batch axis" not in str(caught.value)
    with pytest.raises(InputError, match=r"axis of channels missing\? It takes \(5, 1, 8, 8\)"):
        capture(model, torch.zeros(5, 8, 8))


def test_what_holds_a_model_is_told_apart_from_it() -> None:
    from types import SimpleNamespace

    with pytest.raises(InputError, match=r"got SimpleNamespace: give its attribute \.model"):
        capture(SimpleNamespace(model=nn.Linear(4, 2)), torch.zeros(2, 4))


def test_mode_and_few_samples_are_noted() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(), nn.Linear(3, 2))
    noted = " ".join(capture(model, torch.rand(31, 4)).notes)
    assert "training mode" in noted and "31 calibration sample(s) are few" in noted
    assert capture(model.eval(), torch.rand(32, 4)).notes == ()
    assert "all calibration samples are the same" in " ".join(capture(model, torch.zeros(32, 4)).notes)


def test_torchscript_is_told_from_a_module() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(nn.Linear(4, 2), torch.zeros(1, 4))  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match=r"TorchScript.*give the nn\.Module"):
        capture(traced, torch.zeros(2, 4))


def test_not_a_module() -> None:
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        capture(lambda x: x, torch.zeros(2, 4))


def test_a_model_of_zeros_is_refused() -> None:
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    with pytest.raises(InputError, match="only zeros"):
        capture(model, torch.randn(3, 4))
