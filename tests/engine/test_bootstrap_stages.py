"""Bootstrapping stage by stage on small rings, against exact decryption and the definitions of the stages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetorch.engine.bootstrap_noise import message_noise
from hetorch.engine.bootstrapping import COSINE_16
from hetorch.errors import LevelError
from hetorch.params.bootstrap_set import MESSAGE_RATIO
from tests.engine import noise
from tests.engine.bootstrap_case import (
    Case,
    bit_reversed_values,
    irwin_hall,
    small_set,
    with_sizes_of_small_ring,
)

STAGES = {
    "full": small_set(1 << 10, (3, 3, 3), (3, 2, 2, 2)),
    "half": small_set(1 << 11, (3, 3, 3), (3, 3, 3)),
    "quarter": small_set(1 << 12, (4, 5), (5, 4), babies=(8, 2)),
    "remainders": small_set(1 << 10, (5, 4), (4, 3, 1, 1), babies=(2, 8)),
    "two": small_set(1 << 10, (5, 4), (4, 5), babies=(16, 4)),
    "small_ring_4": with_sizes_of_small_ring(4, 1 << 10),
    "small_ring_8": with_sizes_of_small_ring(8, 1 << 10),
}


@pytest.fixture(scope="module", params=sorted(STAGES))
def case(request: pytest.FixtureRequest) -> Case:
    return Case.make(STAGES[request.param])


def test_slots_become_coefficients(case: Case) -> None:
    boot = case.bootstrap_set
    values = case.values(1)
    low = case.prepared.core.to_coefficients(case.evaluator, case.encrypt(values))
    q0 = boot.parameters.modulus_chain[0]
    assert (low.level, low.scale) == (0, q0 / MESSAGE_RATIO)
    found = np.array(case.coefficients(low), dtype=np.float64) / low.scale
    expected = np.zeros(2 * boot.slots)
    expected[: boot.slots] = bit_reversed_values(values, boot.slots)
    everywhere = np.zeros_like(found)
    everywhere[:: boot.spacing] = expected
    # Rounding at level 0 leaves sqrt(N / 18) in a coefficient, of 2^31 to 2^37. Each factor's diagonals are rounded at
    # a scale of 2^27 to 2^30: a slot of 2^5 terms is off by four times the inverse, and the worst of all by 16 times.
    primes = math.prod(boot.parameters.modulus_chain[1 : boot.input_level + 1])
    diagonals = (low.scale * primes / case.scale) ** (1 / boot.input_level)
    assert np.abs(found - everywhere).max() < 64 / diagonals


def test_coefficients_become_slots(case: Case) -> None:
    # y = m + I of the raised polynomial, exact integers over q_0, against the slots that CoeffsToSlots makes of them.
    boot, core = case.bootstrap_set, case.prepared.core
    low = core.to_coefficients(case.evaluator, case.encrypt(case.values(2)))
    high = core.raise_modulus(case.evaluator, low)
    slots = core.to_slots(case.evaluator, high)
    assert (slots.level, slots.scale) == (core.reduction_level, core.reduction_scale)
    exact = np.array(
        [c / boot.parameters.modulus_chain[0] for c in case.coefficients(high, sparse=True)[:: boot.spacing]]
    )
    y = np.tile(bit_reversed_values(exact, boot.slots), boot.spacing)
    found = case.key.decrypt_complex(slots) * COSINE_16.range
    # Three times the prediction: rounded diagonals are not in it, and the slots of y are products of Gaussians.
    deviation = message_noise(case.prepared) / MESSAGE_RATIO
    assert np.std(found.real - y) < 3 * deviation
    assert np.abs(found.real - y).max() < noise.LIMIT * 3 * deviation
    assert np.abs(found.imag).max() < noise.LIMIT * 3 * deviation
    # From slots to coefficients and back: m is still the message.
    assert np.abs((found.real - np.round(found.real)) * MESSAGE_RATIO - case.values(2)).max() < 2.0**-14


def test_raise_adds_multiples_of_q0(case: Case) -> None:
    boot, core = case.bootstrap_set, case.prepared.core
    chain = boot.parameters.modulus_chain
    multiples = []
    for seed in range(2 if case.bootstrap_set.parameters.ring_degree < 4096 else 1):
        low = core.to_coefficients(case.evaluator, case.encrypt(case.values(seed)))
        high = core.raise_modulus(case.evaluator, low)
        assert (high.level, high.scale) == (boot.parameters.max_level, float(chain[0]))
        before, after = case.coefficients(low), case.coefficients(high, sparse=True)
        quotient = [
            (b - a) / chain[0] for a, b in zip(before[:: boot.spacing], after[:: boot.spacing], strict=True)
        ]
        assert max(abs(x - round(x)) for x in quotient) < 1e-6
        multiples += [round(x) for x in quotient]
        # Off the subring everything was dropped.
        assert not any(a for i, a in enumerate(after) if i % boot.spacing)
    assert max(map(abs, multiples)) < 16
    # chi-square over the values with at least 10 expected; 5 standard deviations of it.
    weights = {k: irwin_hall(k, 33) * len(multiples) for k in range(-16, 17)}
    assert sum(weights.values()) == pytest.approx(len(multiples), rel=1e-3)
    common = [k for k, weight in weights.items() if weight >= 10]
    chi = sum((multiples.count(k) - weights[k]) ** 2 / weights[k] for k in common)
    assert chi < len(common) + 5 * math.sqrt(2 * len(common))


def test_reduction_near_every_integer(case: Case) -> None:
    core, boot = case.prepared.core, case.bootstrap_set
    rng = np.random.default_rng(3)
    count = boot.parameters.slot_count
    integers = np.resize(np.arange(-16, 17), count)
    parts = rng.uniform(-1, 1, count)
    parts[:99] = np.repeat([-1.0, 0.0, 1.0], 33)
    y = integers + parts / MESSAGE_RATIO
    x = case.key.encrypt(y / COSINE_16.range, scale=core.reduction_scale, level=core.reduction_level)
    result = core.reduce(case.evaluator, x)
    assert (result.level, result.scale) == (boot.output_level, case.scale)
    found = case.key.decrypt(result)
    sine = np.sin(2 * np.pi * parts / MESSAGE_RATIO) * MESSAGE_RATIO / (2 * np.pi)
    # The noise of T_2, where it weighs most: u = -1/4, a gain of range^2 / 4 |u|; then the error of the series.
    gain = MESSAGE_RATIO * COSINE_16.range**2
    deviation = 2 * noise.division(boot.parameters) / core.reduction_scale * gain
    rare = np.abs(integers) > 8
    assert np.abs(found - sine)[~rare].max() < noise.LIMIT * deviation
    assert np.abs(found - sine)[rare].max() < noise.LIMIT * deviation + MESSAGE_RATIO * 2.0**-24
    # Against the message: the distortion of the sine, (2 pi m / 256)^2 / 6 = 2^-13.3 for |m| = 1.
    assert np.abs(found - parts).max() < 2.0**-13.2 + noise.LIMIT * deviation + MESSAGE_RATIO * 2.0**-24


def test_stages_refuse_other_levels_and_scales(case: Case) -> None:
    core, boot = case.prepared.core, case.bootstrap_set
    fresh = case.encrypt(case.values(4))
    low = core.to_coefficients(case.evaluator, fresh)
    high = core.raise_modulus(case.evaluator, low)
    slots = core.to_slots(case.evaluator, high)
    for stage, good in (
        (core.apply, fresh),
        (core.to_coefficients, fresh),
        (core.raise_modulus, low),
        (core.to_slots, high),
        (core.reduce, slots),
    ):
        other_scale = case.key.encrypt(case.values(4), scale=1.1 * good.scale, level=good.level)
        with pytest.raises(LevelError):
            stage(case.evaluator, other_scale)
        wrong_level = case.key.encrypt(
            case.values(4), scale=good.scale, level=good.level + 1 if good is not high else good.level
        )
        with pytest.raises(LevelError):
            stage(case.evaluator, wrong_level)
    three = case.evaluator.multiply_raw(fresh, fresh)
    with pytest.raises(LevelError):
        core.apply(case.evaluator, three)
    assert boot.input_level == fresh.level
