# mypy: disable-error-code="no-any-return"
"""Operations that torch decomposes, functions without a handler, and writes into parts of tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

import hetorch
from hetorch.compiler.frontend.capture import capture
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Activation, Affine

Function = Callable[[torch.Tensor], torch.Tensor]


class Apply(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.state: torch.Tensor
        self.register_buffer("state", torch.zeros(4, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def check(function: Function, shape: tuple[int, ...] = (4,)) -> None:
    model = Apply(function).double().eval()
    x = torch.randn(5, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(x.clone()).numpy()
    program = capture(model, x[:2].clone()).program
    np.testing.assert_allclose(run_tensor_program(program, x.numpy()), expected, rtol=1e-9, atol=1e-9)


WEIGHT = torch.randn(3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
TAKEN_APART: dict[str, Function] = {
    "hstack": lambda x: torch.hstack([x, 2 * x]),
    "dstack": lambda x: torch.dstack([x, x + 1]),
    "addcmul": lambda x: torch.addcmul(x, x, x + 1, value=0.5),
    "addcdiv": lambda x: torch.addcdiv(x, x, x.square() + 1, value=0.5),
    "lerp": lambda x: torch.lerp(x, x.square(), 0.3),
    "tensordot": lambda x: torch.tensordot(x, torch.ones(4, 3, dtype=x.dtype), dims=1),
    "kron": lambda x: torch.kron(x, torch.ones(1, 2, dtype=x.dtype)),
    "cosine_similarity": lambda x: F.cosine_similarity(x[:, :2], x[:, 2:] + 1),
    "pairwise_distance": lambda x: F.pairwise_distance(x[:, :2], x[:, 2:]),
    "take_along_dim": lambda x: torch.take_along_dim(x, torch.tensor([[2, 0]]), 1),
    "cross": lambda x: torch.cross(x[:, :3], torch.ones(3, dtype=x.dtype).expand_as(x[:, :3]), dim=1),
    "zeros_like": lambda x: x + torch.ones_like(x) + torch.zeros_like(x) + torch.full_like(x, 2.0),
    "new_zeros": lambda x: torch.cat([x, x.new_zeros(x.shape[0], 2)], 1),
    "type_as": lambda x: torch.arange(4).type_as(x) + torch.arange(4).to(x) * x,
    "fixed mask": lambda x: x[:, torch.tensor([True, False, True, True])] * 2,
    "bilinear": lambda x: F.bilinear(x[:, :2], x[:, 2:], WEIGHT, torch.arange(3, dtype=x.dtype)),
    "half bilinear": lambda x: F.bilinear(torch.ones_like(x[:, :2]), x[:, 2:], WEIGHT),
    "var": lambda x: x.var(1),
    "std": lambda x: x.std(1, correction=0, keepdim=True) * x,
    "logsumexp": lambda x: x.logsumexp(1),
    "prod": lambda x: x[:, :3].prod(1, keepdim=True) + x.prod(1, keepdim=True),
    "pow17": lambda x: (x / 2) ** 17,
    "base": lambda x: 2**x,
    "threshold": lambda x: F.threshold(x, 0.3, 0.3),
    "instance_norm": lambda x: F.instance_norm(
        x[:, :, None], torch.ones(4, dtype=x.dtype), torch.full((4,), 2.0, dtype=x.dtype), use_input_stats=False
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TAKEN_APART))
def test_operations(name: str) -> None:
    check(TAKEN_APART[name])


def test_baddbmm() -> None:
    check(lambda x: torch.baddbmm(x, x, x.transpose(1, 2), beta=0.5, alpha=2), (3, 3))
    fixed = torch.ones(1, 3, 3, dtype=torch.float64)
    check(lambda x: torch.baddbmm(x, fixed.expand(len(x), 3, 3), fixed.expand(len(x), 3, 3)), (3, 3))


FUNCTIONS: dict[str, Function] = {
    "tan": lambda x: torch.tan(x / 4), "asin": lambda x: torch.asin(torch.tanh(x)), "erfc": torch.erfc,
    "lgamma": lambda x: torch.lgamma(x.abs() + 1), "atanh": lambda x: torch.atanh(torch.tanh(x)),
    "log10": lambda x: torch.log10(x.abs() + 0.1), "logit": lambda x: torch.logit(torch.sigmoid(x), eps=1e-6),
    "nan_to_num": torch.nan_to_num, "sinc": torch.sinc,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_of_one_number_need_no_handler(name: str) -> None:
    check(FUNCTIONS[name])
    captured = capture(Apply(FUNCTIONS[name]), torch.randn(40, 4))
    assert any(isinstance(op, Activation) and op.function == name for op in captured.program.operations)


def _slices(x: torch.Tensor) -> torch.Tensor:
    h = x * 2
    h[:, 1:3] = x[:, :2]
    h[:, 3] = 0.5
    h[:, [0, 1]] += 1
    return h


def _into_constants(x: torch.Tensor) -> torch.Tensor:
    h = torch.zeros(x.shape[0], 6, dtype=x.dtype)
    h[:, 1:5] = x
    h[:, 0] = 2
    return h * h


def _view(x: torch.Tensor) -> torch.Tensor:
    h = x + 1
    h[:, 0].mul_(2)
    return h * 3


def _view_before(x: torch.Tensor) -> torch.Tensor:
    h = x + 1
    view = h[:, :2]
    h.mul_(2)
    return view * 3


def _diagonal(x: torch.Tensor) -> torch.Tensor:
    h = x.unsqueeze(2) * x.unsqueeze(1)
    h.diagonal(dim1=1, dim2=2).zero_()
    return h


def _scattered(x: torch.Tensor) -> torch.Tensor:
    places = torch.tensor([[1, 3, 4, 0]]).expand(x.shape[0], 4)
    return torch.ones(x.shape[0], 6, dtype=x.dtype).scatter(1, places, x)


def _masked(x: torch.Tensor) -> torch.Tensor:
    h = x * 2
    h[:, torch.tensor([True, False, False, True])] = 1
    return h


@pytest.mark.parametrize(
    "function",
    [_slices, _into_constants, _view, _view_before, _diagonal, _scattered, _masked],
    ids=lambda f: f.__name__,
)
def test_writing_into_parts(function: Function) -> None:
    check(function)


def test_a_buffer_that_is_written_is_not_the_result() -> None:
    class Counting(Apply):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.state[0] = 1.0
            h = x * 2
            h[:, 0] = 0
            return h + self.state

    x = torch.randn(5, 4, dtype=torch.float64)
    captured = capture(Counting(torch.relu), x)
    expected = x.numpy() * 2 * [0, 1, 1, 1] + [1, 0, 0, 0]
    np.testing.assert_allclose(run_tensor_program(captured.program, x.numpy()), expected)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: torch.cond(x[0, 0] > 0, lambda y: y * 2, lambda y: y * 3, (x,)), "cond"),
        (lambda x: x * x[x > 0].sum(), "gt"),
        (lambda x: torch.cdist(x[:, None], torch.ones(1, 1, 4)), "its part"),
        (lambda x: x + torch.randn_like(x) * 0, "random"),
        (lambda x: torch.trunc(x), "leave the numbers as they are"),
        (lambda x: x.var(0) + x, "mixes the samples"),
        (lambda x: F.threshold(x, 0.3, 20.0), "a step"),
        (lambda x: x / 2 ** (x * x) ** 65, "64"),
        (lambda x: (-2.0) ** x + x, "positive base"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told(function: Function, reason: str) -> None:
    torch.manual_seed(0)
    analysis = hetorch.analyze(Apply(function).float(), torch.rand(40, 4) + 0.1)
    assert not analysis.supported and any(
        reason in f"{row.operation} {row.detail} {row.nearest}" for row in analysis["unsupported"]
    )
    with pytest.raises(UnsupportedModelError):
        capture(Apply(function).float(), torch.rand(40, 4) + 0.1)


def test_a_softmax_before_an_argmax_at_the_end_stays_with_the_client() -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x).softmax(1).argmax(1)

    captured = capture(Classifier(), torch.randn(40, 4))
    assert not any(isinstance(op, Activation) for op in captured.program.operations)
    assert captured.outputs.shape == (40, 3)
    assert [row.operation for row in captured.rows if row.status == "client"] == ["softmax", "argmax"]


EDGES: dict[str, tuple[Function, float, float]] = {
    "log10": (torch.log10, 0.01, 1.0), "asin": (torch.asin, -1.0, 1.0), "acosh": (torch.acosh, 1.0, 2.0),
    "logit": (torch.logit, 0.02, 0.98),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EDGES))
def test_margins_stay_where_a_function_is_defined(name: str) -> None:
    function, low, high = EDGES[name]
    x = torch.linspace(low, high, 200).reshape(50, 4)
    for model in (Apply(function), hetorch.elementwise(Apply(function))):
        plan = hetorch.compile(model, x, security="none", ring_degree=2048, activation_tolerance=0.2)
        assert plan.report.approximation_error < 0.2


def test_what_is_no_function_of_one_number_is_refused() -> None:
    for function in (lambda x: x.softmax(1), lambda x: x * x.mean(-1, keepdim=True)[:1]):
        marked = hetorch.elementwise(Apply(function))
        with pytest.raises(UnsupportedModelError, match="is marked elementwise, but"):
            hetorch.compile(nn.Sequential(nn.Linear(4, 4), marked), torch.randn(40, 4))
    with pytest.raises(InputError, match="two lists of numbers"):
        hetorch.Table("a", "b")


def test_weights_that_a_pruning_hook_computes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3))
    prune.random_unstructured(model[0], "weight", 0.5)  # type: ignore[no-untyped-call]
    prune.ln_structured(model[1], "weight", 0.5, 2, 1)  # type: ignore[no-untyped-call]
    x = torch.randn(20, 6)
    captured = capture(model, x)
    np.testing.assert_allclose(captured.outputs, model(x).detach().numpy(), atol=1e-6)
    weights = [op.matrix.nnz for op in captured.program.operations if isinstance(op, Affine)]
    assert weights == [18, 9]
    assert prune.is_pruned(model) and model[0].weight.requires_grad


IN_PLACE: dict[str, Callable[[], nn.Module]] = {
    "marked": lambda: hetorch.elementwise(nn.SiLU(inplace=True)),
    "marked Mish": lambda: hetorch.elementwise(nn.Mish(inplace=True)),
    "sinc_": lambda: Apply(lambda x: x.clone().sinc_()),
}


@pytest.mark.parametrize("name", sorted(IN_PLACE))
def test_functions_that_write_into_their_input_leave_ours_alone(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), IN_PLACE[name](), nn.Linear(4, 2)).eval()
    x = torch.randn(100, 4) * 2
    plan = hetorch.compile(model, x, security="none", ring_degree=2048, activation_degree=31)
    inner = model[0](x).detach()
    (note,) = (note for note in plan.report.notes if " by degree " in note)
    low, high = (float(end) for end in note.split(" on ")[1].split(" by ")[0].split(".."))
    assert low < float(inner.min()) and high > float(inner.max())
    assert plan.report.approximation_error < 0.05


def test_a_constant_has_the_type_of_the_model() -> None:
    class Cell(nn.Module):
        """A recurrent step whose state is a constant zero."""

        def __init__(self) -> None:
            super().__init__()
            self.x, self.h = nn.Linear(4, 4), nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.x(x) + self.h(x.new_zeros(x.shape[0], 3))

    for model in (Cell(), Cell().double()):
        x = torch.randn(20, 4, dtype=next(model.parameters()).dtype)
        captured = capture(model, x)
        np.testing.assert_allclose(captured.outputs, model(x).detach().numpy(), atol=1e-6)


def test_forms_that_are_not_understood_are_refused_in_words() -> None:
    squeezed = hetorch.elementwise(Apply(lambda x: torch.tanh(x).squeeze()))
    with pytest.raises(UnsupportedModelError, match="is marked elementwise, but"):
        capture(nn.Sequential(nn.Linear(4, 4), squeezed), torch.randn(40, 4))
    index = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(UnsupportedModelError, match="adds up what it writes"):
        capture(Apply(lambda x: x.scatter(1, index[:, :2], x[:, :2], reduce="add")), torch.randn(40, 4))


def test_a_base_that_widens_its_exponent() -> None:
    check(lambda x: torch.pow(torch.full((1, 1, 1), 2.0, dtype=x.dtype), x).reshape(-1, 4))


def test_margins_do_not_step_over_a_pole() -> None:
    model = hetorch.elementwise(Apply(lambda x: 1 / (x + 0)))
    x = torch.linspace(0.2, 3.0, 400).reshape(100, 4)
    plan = hetorch.compile(
        model, x, security="none", ring_degree=2048, activation_tolerance=0.1, activation_agreement=0
    )
    (note,) = (note for note in plan.report.notes if " by degree " in note)
    assert 0 < float(note.split(" on ")[1].split("..")[0]) < 0.2
