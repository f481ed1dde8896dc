"""The modules of hetorch.train in torch: stages, ranges, states and errors."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate
from torch import Tensor, nn

import hetorch.train as ht
from hetorch.errors import InputError
from hetorch.train.hermite import expand, hermite_values, powers_of_hermite

SHAPES = {"linear": (16, 5), "1-d": (8, 5, 7), "2-d": (4, 5, 6, 6), "3-d": (3, 5, 2, 3, 4)}


def trained(act: ht.PolyAct, x: Tensor) -> ht.PolyAct:
    act.train()(x)
    act.to_polynomial()
    return act


@pytest.mark.parametrize("degree", [2, 4, 8])
def test_hermite_polynomials_are_orthonormal(degree: int) -> None:
    def product(j: int, k: int) -> float:
        def integrand(z: float) -> float:
            values = hermite_values(torch.tensor(z, dtype=torch.float64), degree)
            return float(values[j] * values[k]) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return float(integrate.quad(integrand, -15, 15)[0])

    for j, k in ((degree, degree), (degree, degree - 2), (1, 1), (0, 2)):
        assert product(j, k) == pytest.approx(float(j == k), abs=1e-7)


def test_powers_of_hermite_are_the_same_polynomials() -> None:
    t = torch.linspace(-1, 1, 11, dtype=torch.float64)
    powers = t[:, None] ** torch.arange(9)
    torch.testing.assert_close(powers @ powers_of_hermite(8, 3.0).T, hermite_values(3 * t, 8))


def test_the_expansion_of_relu_is_the_known_one() -> None:
    # sqrt(2 pi) E[relu(z) h_k(z)]: 1, sqrt(pi / 2), 1 / sqrt(2), 0, -1 / sqrt(24).
    known = torch.tensor([1, math.sqrt(math.pi / 2), math.sqrt(0.5), 0, -1 / math.sqrt(24)])
    row = expand(torch.relu, 4, 9.0)[0]
    torch.testing.assert_close(row, known.double() / math.sqrt(2 * math.pi), atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("degree", [2, 4, 8])
def test_the_polynomial_is_near_its_target(shape: tuple[int, ...], degree: int) -> None:
    torch.manual_seed(0)
    spread = torch.linspace(0.1, 10, 5).reshape(5, *[1] * (len(shape) - 2))
    x = torch.randn(shape) * spread
    act = ht.PolyAct(degree, channels=5)
    assert torch.equal(act(x), torch.relu(x))
    trained(act, x)
    # The least-squares error of ReLU on -b..b is below b / (2 degree).
    assert bool(((act(x) - torch.relu(x)).abs() / spread).max() < 4 / degree)
    assert bool((x.amin(dim=[0, *range(2, x.dim())]) == act.running_low).all())


def test_one_range_for_the_whole_tensor_and_another_axis() -> None:
    x = torch.randn(6, 3, 4)
    assert trained(ht.PolyAct(4), x).running_low.tolist() == [float(x.min())]
    last = trained(ht.PolyAct(4, channels=4, channel_axis=-1), x)
    torch.testing.assert_close(last.running_high, x.amax(dim=(0, 1)))
    first = trained(ht.PolyAct(4, channels=4), x.movedim(-1, 1))
    torch.testing.assert_close(last(x), first(x.movedim(-1, 1)).movedim(1, -1))


@pytest.mark.parametrize("target", ["silu", "gelu", torch.tanh, lambda x: torch.sin(x)])
def test_any_target(target: str | Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(4096)
    act = ht.PolyAct(8, target)
    truth = act(x)
    torch.testing.assert_close(trained(act, x)(x), truth, atol=0.25, rtol=0)


def test_ranges_grow_in_training_only_and_can_be_forgotten() -> None:
    act = ht.PolyAct(4).train()
    act(torch.tensor([-1.0, 2.0]))
    act(torch.tensor([-3.0, 1.0]))
    act.eval()(torch.tensor([-9.0, 9.0]))
    assert (act.running_low.item(), act.running_high.item()) == (-3.0, 2.0)
    assert act.outside() == 1.0
    act.reset_range()
    assert not act.has_range and act.hetorch_range() is None


def test_the_penalty_is_the_excess_beyond_the_bound() -> None:
    act = trained(ht.PolyAct(2, bound=3.0), torch.tensor([-1.0, 1.0]))
    x = torch.tensor([0.5, 2.2], requires_grad=True)
    act(x)
    # 2.2 is twice the half width 1.1, so z = 6.
    assert act.range_penalty().item() == pytest.approx((6 - 3) ** 2 / 2, rel=1e-5)
    (slope,) = torch.autograd.grad(act.range_penalty(), x)
    assert slope[0] == 0 and slope[1] > 0
    act(torch.zeros(3))
    assert act.range_penalty().item() == 0


@pytest.mark.parametrize("stage", ["exact", "polynomial"])
def test_states_survive(stage: str) -> None:
    x = torch.randn(32, 4)
    act = ht.PolyAct(4, "silu", channels=4).train()
    act(x)
    if stage == "polynomial":
        act.to_polynomial()
    act(x)
    file = io.BytesIO()
    torch.save(act.state_dict(), file)
    file.seek(0)
    again = ht.PolyAct(4, "silu", channels=4)
    again.load_state_dict(torch.load(file, weights_only=True))  # noqa: TID251 - the state that a user saves
    for other in (again, copy.deepcopy(act)):
        assert other.stage == stage
        torch.testing.assert_close(other.eval()(x), act.eval()(x))
        torch.testing.assert_close(other.running_low, act.running_low)


def test_the_coefficients_train() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 3)
    act = trained(ht.PolyAct(4, channels=3), x)
    optimiser = torch.optim.SGD(act.parameters(), lr=0.1)
    losses = []
    for _ in range(50):
        loss = (act(x) - torch.sin(x)).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_a_channel_that_is_constant_stays_finite() -> None:
    x = torch.randn(8, 2)
    x[:, 0] = 0
    assert bool(torch.isfinite(trained(ht.PolyAct(8, channels=2), x)(x)).all())
    assert bool(torch.isfinite(trained(ht.PolyAct(8), torch.zeros(4))(torch.zeros(4))).all())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_her_pn_normalises_its_terms(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape) * 3 + 1
    act = ht.HerPN(5).train()
    axes = [0, *range(2, x.dim())]

    def normalised(term: Tensor) -> Tensor:
        variance, mean = torch.var_mean(term, dim=axes, correction=0, keepdim=True)
        return (term - mean) / torch.sqrt(variance + act.eps)

    expected = normalised(x) / 2 + normalised(x**2) / math.sqrt(4 * math.pi)
    torch.testing.assert_close(act(x), expected)
    act.double().eval()
    x = x.double()
    polynomial = act.hetorch_polynomial()
    c = torch.from_numpy(polynomial.coefficients).reshape(5, 3, *[1] * (x.dim() - 2))
    torch.testing.assert_close(act(x), c[:, 0] + c[:, 1] * x + c[:, 2] * x**2)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_pool_begins_as_the_average_and_is_affine(axes: int) -> None:
    x = torch.randn(2, 3, *(4,) * axes)
    pool = ht.ScaledPool(3, 2, axes=axes)
    average = getattr(nn, f"AvgPool{axes}d")(2)
    torch.testing.assert_close(pool(x), average(x))
    with torch.no_grad():
        pool.weight.mul_(2)
        pool.bias.add_(1)
    torch.testing.assert_close(pool(x), 2 * average(x) + 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ht.PolyAct(3), "degree must be 2, 4 or 8, got 3"),
        (lambda: ht.PolyAct(4, "sign"), "target must be one of relu, silu, gelu"),
        (lambda: ht.PolyAct(4, channels=0), "channels must be at least 1"),
        (lambda: ht.PolyAct(4, bound=0), "bound must be positive"),
        (lambda: ht.PolyAct(4, momentum=2), "momentum"),
        (lambda: ht.PolyAct(4).to_polynomial(), "has seen no batch"),
        (lambda: ht.PolyAct(4, channels=3)(torch.zeros(2, 4)), r"3 channels, but the input \(2, 4\) has 4 on axis 1"),
        (lambda: ht.PolyAct(4, channels=3)(torch.zeros(3)), r"\(3,\) has no axis 1"),
        (lambda: trained(ht.PolyAct(4, lambda x: x.sum()), torch.randn(5)), "not to the same shape"),
        (lambda: ht.HerPN(3)(torch.zeros(2, 4)), "HerPN has 3 channels"),
        (lambda: ht.HerPN(3, eps=0), "eps must be positive"),
        (lambda: ht.ScaledPool(3, 2)(torch.zeros(2, 4, 4, 4)), "ScaledPool takes"),
        (lambda: ht.ScaledPool(3, 2, axes=4), "axes must be 1, 2 or 3"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
