from __future__ import annotations

import numpy as np

from hetorch.compiler.activations.unseen_range import (
    FEWEST_INPUTS,
    SHIFT,
    reach,
    unseen_outputs,
    unseen_range,
)


def test_exponential_tails_are_continued() -> None:
    """The share of Laplace numbers in 8 channels beyond the range is the one that was asked for, within the error of a
    mean of 16 excesses, a quarter of log(8 / share): a factor of about five."""
    random = np.random.default_rng(0)
    seen, unseen = random.laplace(size=(256, 8)), random.laplace(size=(200_000, 8))
    reached = [
        float(np.mean(np.any(np.abs(unseen) > reach(np.abs(seen), share * 256, 0.0), axis=1)))
        for share in (1e-2, 1e-3)
    ]
    assert 2e-3 < reached[0] < 5e-2 and 2e-4 < reached[1] < 5e-3


def test_ranges_hold_what_was_seen_and_widen_with_the_share() -> None:
    random = np.random.default_rng(1)
    for count in (1, 2, 5, 16, 200):
        data = random.normal(size=(count, 12)) + 3.0
        channel = np.repeat(np.arange(4), 3)
        low, high = unseen_range(data, channel, 1e-3)
        lower, higher = unseen_range(data, channel, 1e-6)
        assert np.all(lower <= low) and np.all(low <= data.min(axis=0))
        assert np.all(higher >= high) and np.all(high >= data.max(axis=0))


def test_a_channel_that_never_changes_keeps_its_value() -> None:
    data = np.concatenate([np.full((50, 2), 2.0), np.random.default_rng(2).normal(size=(50, 2))], axis=1)
    low, high = unseen_range(data, np.array([0, 0, 1, 1]))
    assert np.all(low[:2] == 2.0) and np.all(high[:2] == 2.0)
    assert np.all(high[2:] > (1 + SHIFT) * data[:, 2:].max() * 0.9)


def test_outputs_of_unseen_inputs_are_a_channel_of_all_outputs_and_the_error() -> None:
    outputs = np.random.default_rng(3).laplace(size=(256, 4))
    outputs[:, 3] += 50
    low, high = unseen_range(outputs, np.zeros(4, dtype=np.int64))
    assert unseen_outputs(outputs, 0.5) == (low[0] - 0.5, high[0] + 0.5)
    assert unseen_outputs(outputs.reshape(256, 2, 2), 0.5) == (low[0] - 0.5, high[0] + 0.5)
    assert low[0] < outputs.min() and high[0] > outputs.max()
    assert unseen_outputs(outputs[:FEWEST_INPUTS], 0.0) is not None
    assert unseen_outputs(outputs[: FEWEST_INPUTS - 1], 0.0) is None
