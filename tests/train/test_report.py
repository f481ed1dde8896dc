"""The report on a model that was trained for encryption; accuracy and shares are compared with torch's own."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

import hetorch
from hetorch.errors import InputError
from hetorch.train import FineTuned, PolyAct, fine_tune, prepare, report
from hetorch.train.ranges import MARGIN


def data(count: int, seed: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    x = torch.randn(count, 4)
    return x, (x[:, 0] * x[:, 1] > 0).long()


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    x, y = data(512, 0)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(200):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()


@pytest.fixture(scope="module")
def tuned(model: nn.Sequential) -> FineTuned:
    return fine_tune(
        model, data(512, 0), epochs=4, degree=2, learning_rate=0.01, augment=None, progress=False
    )


def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((network(x).argmax(1) == y).double().mean())


def test_accuracies_ranges_and_shares_are_those_of_torch(model: nn.Sequential, tuned: FineTuned) -> None:
    x, y = data(300, 1)
    x[:9] *= 5  # some values that leave the ranges
    result = report(tuned, (x, y), compile_original=False, progress=False)
    assert result.samples == 300 and result.original is not None and result.polynomial is not None
    assert result.original.accuracy == pytest.approx(accuracy(model, x, y))
    assert result.polynomial.accuracy == pytest.approx(accuracy(tuned.model, x, y))
    weights = tuned.model.state_dict()
    exact = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    exact.load_state_dict({key: weights[key] for key in exact.state_dict()})
    assert result.exact.accuracy == pytest.approx(accuracy(exact, x, y))
    (row,) = result.activations
    seen = exact[0](data(512, 0)[0]).detach()  # the trained weights on all data of the training
    hidden = exact[0](x).detach()
    kept = tuned.model[1]  # type: ignore[index]
    outside = (hidden < kept.running_low) | (hidden > kept.running_high)
    assert row.outside == pytest.approx(outside.double().mean().item()) and result.outside > 0
    room = MARGIN * (seen.amax(0) - seen.amin(0))
    assert row.low == pytest.approx((seen.amin(0) - room).min().item(), abs=1e-4)
    assert row.high == pytest.approx((seen.amax(0) + room).max().item(), abs=1e-4)
    assert (row.before, row.degree, row.channels) == ("ReLU()", 2, 16)
    with torch.no_grad():
        wanted, got = model(x), tuned.model(x)
    rms = (got - wanted).double().square().mean().sqrt() / (wanted.max() - wanted.min())
    assert result.difference == pytest.approx(rms.item(), rel=1e-4)
    assert all(
        isinstance(part, PolyAct) is False or part.stage == "polynomial" for part in tuned.model.modules()
    )


def test_levels_time_and_keys_are_those_of_the_plans(model: nn.Sequential, tuned: FineTuned) -> None:
    x, y = data(300, 1)
    result = report(tuned, (x, y), progress=False)
    plan = hetorch.compile(tuned.model, x, progress=False)
    assert result.polynomial is not None and result.original is not None
    assert result.polynomial.levels == plan.parameters.max_level
    assert result.polynomial.seconds == plan.report.predicted_seconds
    assert result.polynomial.key_bytes == plan.public().evaluation_key_bytes
    assert result.original.levels is not None
    text = repr(result)
    assert "accuracy in clear" in text and "levels" in text and result._repr_html_().startswith("<pre style=")
    json.dumps(result.to_dict())


def test_what_is_not_known_is_left_out(model: nn.Sequential) -> None:
    x, y = data(64, 0)
    prepared = prepare(model, x)
    with pytest.raises(InputError, match="activation 1 has recorded no range"):
        report(prepared, (x, y), progress=False)
    prepared.train()(x)
    result = report(prepared, [(x, y)], progress=False)
    assert result.polynomial is None and result.original is None and result.difference is None
    assert "polynomials" not in repr(result) and prepared.training
    with pytest.raises(InputError, match="has no PolyAct"):
        report(model, (x, y), progress=False)


def test_a_network_that_does_not_compile_is_told(tuned: FineTuned) -> None:
    x, y = data(64, 0)
    result = report(tuned, (x, y), progress=False, key_limit=1, compile_original=False)
    assert result.polynomial is not None and result.polynomial.levels is None
    assert "the trained model does not compile" in repr(result)
