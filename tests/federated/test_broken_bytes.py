"""One changed bit anywhere on the wire: an error, or the right mean; never a wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.errors import RoundVoidError, WireError
from hetorch.wire.frame import Kind
from tests.federated.rounds import mean_error_bound, round_of, weighted_mean

pytestmark = pytest.mark.fuzz

STEPS = [
    Kind.ROUND_KEY,
    Kind.ROUND_SHARE,
    Kind.ROUND_COMMITMENT,
    Kind.ROUND_UPDATE,
    Kind.ROUND_AGREEMENT,
    Kind.ROUND_OPENING,
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", STEPS)
def test_a_party_refuses_it(step: Kind, seed: int) -> None:
    rng = np.random.default_rng(seed)
    around = round_of()

    def down(at: Kind, party: int, data: bytes) -> bytes:
        return flipped(rng, data) if at is step and party == 1 else data

    around.down = down
    try:
        results = around.run()
    except RoundVoidError:  # all four must contribute
        results = {}
    assert set(around.errors) == {1}
    assert isinstance(around.errors[1], RoundVoidError)
    assert around.errors[1].exposed is (step >= Kind.ROUND_UPDATE)
    assert set(results) == ({0, 2, 3} if step >= Kind.ROUND_UPDATE else set())
    expected, bound = (
        weighted_mean(around.updates, around.samples)["w"],
        mean_error_bound(around.roster, around.samples),
    )
    for result in results.values():
        assert np.abs(result.arrays["w"] - expected).max() <= bound


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", STEPS)
def test_the_aggregator_refuses_it(step: Kind, seed: int) -> None:
    rng = np.random.default_rng(seed)
    around = round_of()
    around.up = lambda at, party, data: flipped(rng, data) if at is step and party == 2 else data
    with pytest.raises(WireError):
        around.run()


def flipped(rng: np.random.Generator, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)
