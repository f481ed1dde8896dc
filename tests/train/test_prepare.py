"""Preparing models as people write them; the oracle is torch with an average pool in the place of the max pool."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune

import hetorch
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.train import PolyAct, convert, penalty, prepare, replacements


def acts_of(model: nn.Module) -> dict[str, PolyAct]:
    return {path: part for path, part in model.named_modules() if isinstance(part, PolyAct)}


class Block(nn.Module):
    """A residual block as torchvision writes it: one ReLU in place, used twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        result: Tensor = self.relu(out)
        return result


class ResNet(nn.Module):
    """Functions, methods, dropout by self.training, and a pool, in the forward of the network itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(4), Block(4))
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(functional.relu(self.stem(x)))
        x = self.layer1(x).sigmoid()
        x = functional.adaptive_max_pool2d(x, 1).flatten(1)
        x = functional.dropout(x, 0.5, self.training)
        return functional.softmax(self.fc(torch.relu_(x)), 1)


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_network_keeps_its_results_and_gets_an_activation_for_each_call(training: bool) -> None:
    torch.manual_seed(0)
    model = ResNet().train(training)
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(4, 1, 14, 14)
    kept = prepare(model, x, pool="keep")
    assert kept.training is training and model.training is training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert len(acts_of(kept)) == 1 + 4 + 1 + 1
    assert {act.channels for act in acts_of(kept).values()} == {4}
    assert set(before) <= set(kept.state_dict())  # the parameters keep their names
    torch.testing.assert_close(kept.eval()(x), model.eval()(x))
    assert not torch.equal(kept.train()(x), kept(x))  # the dropout is on
    assert not any(part.training for part in kept.eval().modules())


def test_max_pools_become_averages_with_the_same_windows() -> None:
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(2, 3, 3),
        nn.ReLU(),
        nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True),
        nn.AdaptiveMaxPool2d(2),
    ]
    averages = [*layers[:2], nn.AvgPool2d((3, 2), 2, 1, True, False), nn.AdaptiveAvgPool2d(2)]
    x = torch.randn(5, 2, 11, 10)
    prepared = prepare(nn.Sequential(*layers), x)
    torch.testing.assert_close(prepared(x), nn.Sequential(*averages)(x))
    one = nn.Sequential(nn.Conv1d(2, 3, 3), nn.MaxPool1d(2))
    x = torch.randn(5, 2, 9)
    torch.testing.assert_close(prepare(one, x)(x), nn.Sequential(one[0], nn.AvgPool1d(2))(x))


def test_a_pool_as_a_function_becomes_an_average() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.max_pool2d(x, 3, stride=2, padding=1) + torch.max_pool2d(x, 3, 2, 1)

    x = torch.randn(2, 1, 8, 8)
    expected = 2 * functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(prepare(Net(), x)(x), expected)


@pytest.mark.parametrize(
    "activation",
    [
        *(
            nn.ReLU(inplace=True),
            nn.ReLU6(),
            nn.LeakyReLU(0.2),
            nn.PReLU(),
            nn.ELU(),
            nn.GELU(),
            nn.GELU("tanh"),
        ),
        *(nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(), nn.Sigmoid(), nn.Tanh()),
        *(nn.Softplus(), nn.Softsign()),
    ],
    ids=repr,
)
def test_every_usual_activation_is_replaced_and_computes_the_same(activation: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), activation, nn.Linear(5, 2))
    x = torch.randn(64, 6)
    prepared = prepare(model, x)
    assert isinstance(prepared[1], PolyAct) and prepared[1].channels == 5  # type: ignore[index]
    torch.testing.assert_close(prepared(x), model(x))
    prepared.train()(x)
    converted = convert(copy.deepcopy(prepared))
    hidden = model[0](x).detach()
    polynomial = converted[1](hidden).detach()  # type: ignore[index]
    # A degree of 4 over six deviations is nearer to a monotone function than the best constant is.
    exact = activation(hidden.clone()).detach()
    assert float((polynomial - exact).square().mean()) < float(exact.var())


@pytest.mark.parametrize(
    "call",
    [
        functional.relu,
        torch.relu,
        lambda x: x.relu(),
        torch.tanh,
        lambda x: x.sigmoid(),
        functional.silu,
        lambda x: functional.leaky_relu(x, 0.3),
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda x: x.clamp(min=0),
        lambda x: functional.hardtanh(x, -0.5, 0.5),
        lambda x: functional.relu(x, inplace=True),
        lambda x: (x.relu_(), x)[1],
    ],
)
def test_activations_called_as_functions_are_replaced(call: object) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = call(self.fc(x)) * 2  # type: ignore[operator]
            return result

    torch.manual_seed(0)
    model, x = Net(), torch.randn(7, 6)
    prepared = prepare(model, x)
    assert [act.channels for act in acts_of(prepared).values()] == [5]
    torch.testing.assert_close(prepared(x), model(x))


def test_a_shared_block_gets_activations_for_each_of_its_runs() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block(3)
            self.act = functional.gelu

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.act(self.block(self.block(x)) - 1)
            return result

    torch.manual_seed(0)
    model, x = Net(), torch.randn(2, 3, 6, 6)
    prepared = prepare(model, x)
    assert len(acts_of(prepared)) == 5
    torch.testing.assert_close(prepared.eval()(x), model.eval()(x))


def test_channels_are_on_the_last_axis_behind_linear_layers() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(3, 5, 8)
    prepared = prepare(encoder, x)
    (act,) = acts_of(prepared).values()
    assert (act.channels, act.channel_axis) == (16, 2)
    torch.testing.assert_close(prepared(x), encoder(x))
    (act,) = acts_of(prepare(nn.Sequential(nn.Conv1d(5, 4, 1), nn.ReLU()), x)).values()
    assert (act.channels, act.channel_axis) == (4, 1)


def test_an_untraceable_forward_keeps_its_class_if_its_activations_are_modules() -> None:
    class Net(nn.Module):
        def __init__(self, function: bool) -> None:
            super().__init__()
            self.fc, self.act, self.function = nn.Linear(6, 5), nn.Hardswish(), function

        def forward(self, x: Tensor) -> Tensor:
            if float(x.abs().max()) > 1e9:
                return x
            x = self.act(self.fc(x))
            return functional.leaky_relu(x, 0.1) if self.function else x

    x = torch.randn(4, 6)
    assert isinstance(prepare(Net(False), x), Net)
    with pytest.raises(
        UnsupportedModelError, match=r"Net calls leaky_relu.*test_prepare\.py:\d+.*as a module"
    ):
        prepare(Net(True), x)


def test_a_forward_that_differs_in_training_is_refused_where_it_calls_functions() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.relu(x) if self.training else functional.relu(x) + 1

    with pytest.raises(UnsupportedModelError, match="other things in train"):
        prepare(Net(), torch.randn(2, 3))


def test_an_input_that_is_read_after_an_activation_in_place_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            x = x - 1
            result: Tensor = self.act(x) + x
            return result

    with pytest.raises(UnsupportedModelError, match="in place"):
        prepare(Net(), torch.randn(8, 3))


def test_links_at_the_output_and_layers_that_do_not_run_stay() -> None:
    model = nn.Sequential(
        OrderedDict(fc=nn.Linear(3, 2), act=nn.Tanh(), last=nn.Linear(2, 1), link=nn.Sigmoid())
    )
    model.add_module("flat", nn.Flatten(0))
    prepared = prepare(model, torch.randn(4, 3))
    assert list(acts_of(prepared)) == ["act"]
    assert isinstance(prepared.link, nn.Sigmoid)
    table = str(replacements(prepared))
    assert table.splitlines()[1].split()[:2] == ["act", "Tanh()"] and len(table.splitlines()) == 2


def test_the_target_may_be_another_function_and_the_data_may_have_several_forms() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    x = torch.randn(16, 3)
    prepared = prepare(model, x.numpy(), degree=2, target="silu")
    data = torch.utils.data.TensorDataset(x, torch.zeros(16))
    prepare(model, torch.utils.data.DataLoader(data, 4))
    (act,) = acts_of(prepared).values()
    assert (act.degree, act.coefficients.dtype) == (2, torch.float64)
    expected = nn.Sequential(model[0], nn.SiLU(), model[2])
    torch.testing.assert_close(prepared(x.double()), expected(x.double()))


def test_pruned_models_are_prepared() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    prune.l1_unstructured(model[0], "weight", 0.5)  # type: ignore[no-untyped-call]
    x = torch.randn(4, 6)
    torch.testing.assert_close(prepare(model, x)(x), model(x))


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (nn.Linear(3, 3), (4, 3), "Linear has no activation"),
        (
            nn.Sequential(nn.Linear(3, 3), nn.ReLU()),
            (4, 5),
            r"does not accept the example inputs of shape \(4, 5\)",
        ),
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU()), (3,), "example_inputs must be"),
        (nn.Sequential(nn.MaxPool2d(2, dilation=2)), (2, 1, 8, 8), "0 is a max pool with dilation 2"),
        (nn.Sequential(nn.Linear(3, 3), PolyAct(4)), (4, 3), "prepared already"),
    ],
)
def test_models_and_inputs_that_cannot_be_prepared_are_told(
    model: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare(model, torch.randn(shape))


def test_wrong_arguments_are_told() -> None:
    model, x = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.randn(2, 3)
    with pytest.raises(InputError, match="degree must be"):
        prepare(model, x, degree=3)
    with pytest.raises(InputError, match="pool must be"):
        prepare(model, x, pool="max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no PolyAct"):
        penalty(model)
    with pytest.raises(InputError, match="activation 1 has recorded no range"):
        convert(prepare(model, x))


def test_the_penalty_is_the_sum_and_conversion_keeps_the_parameters() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 3)
    model = prepare(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.Tanh()), x).train()
    parameters = list(model.parameters())
    model(x)
    assert penalty(model).item() == 0.0
    model(10 * x)
    acts = acts_of(model).values()
    torch.testing.assert_close(penalty(model), sum(act.range_penalty() for act in acts))
    assert penalty(model).item() > 0
    assert convert(model) is model and {act.stage for act in acts} == {"polynomial"}
    assert all(one is other for one, other in zip(parameters, model.parameters(), strict=True))


def test_a_rewritten_network_compiles_to_what_it_computes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = functional.max_pool2d(functional.relu(self.conv(x)), 2)
            result: Tensor = self.fc(x.flatten(1))
            return result

    torch.manual_seed(0)
    x = torch.randn(64, 1, 6, 6)
    model = prepare(Net(), x, degree=2).train()
    model(x)
    model = convert(model).eval()
    plan = hetorch.compile(model, x, progress=False)
    with torch.no_grad():
        expected = model(x).numpy()
    error = np.abs(hetorch.simulate(plan, x, progress=False) - expected).max()
    assert error <= plan.report.promised_error * plan.report.output_range


def test_each_activation_may_have_a_degree_of_its_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)
    )
    x = torch.randn(8, 3)
    prepared = prepare(model, x, degree={"1": 2, "3": None})
    degrees = {path: part.degree for path, part in prepared.named_modules() if isinstance(part, PolyAct)}
    assert degrees == {"1": 2, "5": 4}
    assert isinstance(prepared.get_submodule("3"), nn.SiLU)
    assert torch.equal(prepared(x), model(x))


@pytest.mark.parametrize(
    ("degree", "message"),
    [
        ({"2": 4}, "no activation '2' that can become a polynomial; those that can: 1"),
        ({"1": 3}, "that of '1' must be 2, 4, 8, or None to keep it, got 3"),
        ({"1": None}, "keeps all activations"),
        ("4", "mapping"),
        (4.0, "mapping"),
    ],
)
def test_wrong_degrees_are_told(degree: Any, message: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with pytest.raises(InputError, match=message):
        prepare(model, torch.randn(2, 3), degree=degree)
