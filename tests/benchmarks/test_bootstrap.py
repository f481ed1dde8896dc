"""The comparison of bootstraps, on records whose answers are known on paper, and our side at a small ring."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import bootstrap
from benchmarks.bootstrap import Size, fitting
from benchmarks.bootstrap_comparison import MAX_ERROR, Side, agreement, check_worst, comparison
from benchmarks.peers import hetorch_bootstrap
from benchmarks.peers.worker import PeerFailedError
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.codec import dump_evaluation_keys
from hetorch.engine.secret import SecretKey
from hetorch.params.bootstrap_set import standard_bootstrap_set

INPUTS = np.array([0.5, -0.5, 0.25, 1.0])
OURS = Side(
    (10.0, 30.0, 20.0),
    INPUTS + np.array([-(2.0**-13), 0.0, 2.0**-14, 0.0]),
    {"keys": 1},
    INPUTS,
)
AFTER = replace(OURS, times=(50.0, 40.0), facts={"keys": 61, "key_bytes_on_the_wire": 650, "worst": 2.0**-14})
THEIRS = Side(
    (120.0, 60.0, 90.0),
    INPUTS + np.array([2.0**-12, -(2.0**-12), 0.0, 0.0]),
    {"title": "Peer", "version": "1.2", "levels_left": 9, "keys_and_matrices_bytes": 16_000},
)


def test_a_row_has_the_ratio_of_the_medians_and_its_range() -> None:
    row = comparison("bootstrap", 2, OURS, THEIRS, AFTER)
    assert (row.name, row.peer, row.peer_version, row.threads) == ("bootstrap", "Peer", "1.2", 2)
    # Ours: 10, 20, 30, 40, 50, before the peer's turn and after it. Theirs: 60, 90, 120.
    assert (row.theirs_ms, row.ours_ms, row.ratio, row.repetitions) == (90, 30, 3, 3)
    assert (row.ratio_min, row.ratio_max) == (60 / 50, 120 / 10)


def test_a_row_has_the_errors_and_bytes_of_both() -> None:
    row = comparison("bootstrap", 1, OURS, THEIRS, AFTER)
    theirs = row.details["theirs"]
    assert theirs == {
        "levels_left": 9,
        "keys_and_matrices_bytes": 16_000,
        "worst": 2.0**-12,
        "deviation": pytest.approx(2.0**-12.5),  # the root of (2^-24 + 2^-24) / 4
        "difference_from_ours": 2.0**-12 + 2.0**-13,
    }
    assert row.details["ours"] == AFTER.facts
    assert THEIRS.facts["title"] == "Peer"  # A side can be compared again.


def with_error(error: float) -> Any:
    return np.array([0.5, -0.5, 0.25, 1.0 + error])


@pytest.mark.parametrize(
    ("results", "ours"),
    [
        (with_error(MAX_ERROR), INPUTS),
        (with_error(-MAX_ERROR), INPUTS),
        (with_error(MAX_ERROR / 2), with_error(-MAX_ERROR / 2)),  # each is near the inputs, and not the other
        (with_error(math.nan), INPUTS),
        (INPUTS, with_error(math.nan)),
    ],
)
def test_wrong_results_are_no_comparison(results: Any, ours: Any) -> None:
    with pytest.raises(PeerFailedError, match="the results are wrong by"):
        agreement(results, replace(OURS, results=ours))
    agreement(with_error(MAX_ERROR / 4), replace(OURS, results=with_error(-MAX_ERROR / 4)))


def test_the_noisiest_set_may_be_wrong_by_twice_as_much() -> None:
    check_worst(0.9 * 2.0**-11, 0)
    check_worst(0.9 * 2.0**-10, 8)
    for worst, levels in ((2.0**-11, 0), (2.0**-11, 4), (2.0**-10, 8), (math.nan, 8)):
        with pytest.raises(PeerFailedError, match="the result is wrong by"):
            check_worst(worst, levels)


def test_errors_are_told_with_the_distortion_and_without() -> None:
    result, distorted = np.array([0.5, 0.0, -0.25]), np.array([0.375, 0.125, -0.25])
    errors = hetorch_bootstrap.errors_of(result, distorted, np.array([0.25, 0.0, -0.25]))
    # The errors are 1/8, -1/8 and 0.
    deviation = pytest.approx(math.sqrt(2 / 3) / 8)
    assert errors == {"worst": 0.125, "deviation": deviation, "worst_with_distortion": 0.25}


@pytest.mark.parametrize(
    ("free", "log2_n"),
    [(21e9, 16), (20.9e9, 15), (10.5e9, 15), (10.4e9, 14), (2.625e9, 13), (0.0, 13)],
)
def test_peers_are_compared_at_the_largest_ring_that_fits(free: float, log2_n: int) -> None:
    assert fitting(free) == Size(log2_n, log2_n - 1)


def test_our_side_at_a_small_ring() -> None:
    size = Size(11, 10)
    session = hetorch_bootstrap.setup(size.options)
    assert set(session.operations) == set(bootstrap.STAGES)
    boot = hetorch_bootstrap._bootstrap_set(11, 1 << 10, 0)
    standard = standard_bootstrap_set(1 << 15)
    # The primes are as many as those of the largest ring, and of the same sizes; the stages are all there.
    for ours, theirs in (
        (boot.parameters.modulus_chain, standard.parameters.modulus_chain),
        (boot.parameters.special_primes, standard.parameters.special_primes),
    ):
        assert [round(math.log2(prime)) for prime in ours] == [round(math.log2(prime)) for prime in theirs]
    assert sum(boot.to_coefficients) == sum(boot.to_slots) == 10
    assert session.facts["levels_left"] == standard.user_levels
    key, spec = SecretKey.generate(boot.parameters), bootstrap_keys(boot)
    pieces = dump_evaluation_keys(boot.parameters, spec, key.switching_keys(spec))
    assert session.facts["key_bytes_on_the_wire"] == sum(map(len, pieces))
    assert session.facts["keys"] == spec.count
    check_worst(session.calls["precision"](None)["worst"], 0)
    assert session.calls["inputs"](None) == pytest.approx(session.calls["outputs"](None), abs=MAX_ERROR)
