"""The ring, the sampler, the shares and the integers of an update, against whole numbers of Python and numpy."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sympy import Rational, exp, isprime

from hetorch.engine import _native, _secret
from hetorch.errors import InputError, ParameterError, WireError
from hetorch.federated import Identity, Party, Roster
from hetorch.federated.party import sampling, update
from hetorch.federated.party.sharing import deal, interpolate, sum_of
from hetorch.federated.residues import Residues, add, centred, new_sum, pack, pack_sum, unpack
from hetorch.federated.ring import (
    BLOCK_BYTES,
    ERROR_BOUND,
    GAUSSIAN_BYTES,
    MOST_PARTIES,
    PRIME,
    PRIME_BITS,
    RING_DEGREE,
    SIGMA,
    UNIFORM_BYTES,
    error_shift,
    largest_integer,
)
from hetorch.params.security import Security, max_log2_qp
from tests.federated import oracle
from tests.federated.rounds import roster_of

residue = st.integers(0, PRIME - 1) | st.sampled_from([0, 1, PRIME - 1, PRIME // 2, PRIME // 2 + 1])


def test_the_parameters_are_those_of_their_row() -> None:
    assert isprime(PRIME) and PRIME % (2 * RING_DEGREE) == 1 and PRIME >> PRIME_BITS == 0
    assert math.log2(PRIME) <= max_log2_qp(RING_DEGREE, Security.CLASSICAL_128)
    assert SIGMA / math.sqrt(2) >= 3.19


@pytest.mark.parametrize("count", [3, 4, 10, 97, 100, MOST_PARTIES])
def test_sums_have_room(count: int) -> None:
    factor, largest = 1 << error_shift(count), largest_integer(count)
    assert 2 * count * ERROR_BOUND < factor * 2 / 3 + 1
    assert count * (factor * largest + ERROR_BOUND) < PRIME / 2
    assert count * (factor * (largest + 1) + ERROR_BOUND) > PRIME / 2


@given(residue, residue, st.integers(0, 2**63 - 1))
def test_residues_of_the_oracle_are_those_of_whole_numbers(a: int, b: int, wide: int) -> None:
    x, y = np.array([a]), np.array([b])
    assert oracle.multiply(x, y)[0] == a * b % PRIME
    assert oracle.multiply(x, b)[0] == a * b % PRIME
    assert oracle.add(x, y)[0] == (a + b) % PRIME
    assert oracle.subtract(x, y)[0] == (a - b) % PRIME
    assert oracle.reduce(np.array([wide]))[0] == wide % PRIME
    c = int(centred(x)[0])
    assert (c - a) % PRIME == 0 and abs(c) <= PRIME // 2


def test_transforms_of_the_oracle_multiply_polynomials() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, PRIME, (2, 2, RING_DEGREE))
    product = oracle.inverse(oracle.multiply(oracle.forward(a), oracle.forward(b)))
    for row in range(2):
        # Whole-number products, one coefficient a time, with X^N = -1.
        left, right = [int(v) for v in a[row]], [int(v) for v in b[row]]
        for k in (0, 1, 777, RING_DEGREE - 1):
            total = sum(left[j] * right[k - j] for j in range(k + 1))
            total -= sum(left[j] * right[RING_DEGREE + k - j] for j in range(k + 1, RING_DEGREE))
            assert product[row, k] == total % PRIME
    assert np.array_equal(oracle.inverse(oracle.forward(a)), a)


def test_the_table_of_the_sampler_is_that_of_the_discrete_gaussian() -> None:
    variance = Rational(453, 100) ** 2
    weights = [(2 if k else 1) * exp(-(k**2) / (2 * variance)).evalf(60) for k in range(120)]
    whole = sum(weights)
    for k, entry in enumerate(oracle.cumulative()):
        exact = sum(weights[: k + 1]) / whole * 2**63  # to 60 digits
        assert 0 <= exact - entry <= 1


def test_samples_invert_the_table() -> None:
    """At each entry of the table, and just below it."""
    table = oracle.cumulative()
    magnitudes = [0, *(entry - below for entry in table for below in (1, 0)), 2**63 - 1]
    words = [sign << 63 | magnitude for magnitude in magnitudes for sign in (0, 1)]
    random = np.array(words + [0] * (RING_DEGREE - len(words)), dtype="<u8").tobytes()
    sizes = [0, *(k + (not below) for k in range(len(table)) for below in (1, 0)), ERROR_BOUND]
    expected = [sign * size for size in sizes for sign in (1, -1)]
    assert _secret.gaussian_blocks(random)[0, : len(words)].tolist() == expected
    random = np.random.default_rng(2).bytes(2 * GAUSSIAN_BYTES)
    assert np.array_equal(_secret.gaussian_blocks(random), oracle.gaussian(random))


def test_packed_residues_are_45_bits_each() -> None:
    values = np.random.default_rng(2).integers(0, PRIME, (2, RING_DEGREE))
    data = pack(values)
    assert data == oracle.pack(values)
    assert np.array_equal(unpack(data), values)


def test_a_residue_that_is_too_large_is_refused() -> None:
    values = np.zeros((1, RING_DEGREE), dtype=np.int64)
    values[0, 77] = PRIME
    with pytest.raises(WireError, match="not below"):
        unpack(pack(values))
    with pytest.raises(WireError, match="multiple"):
        unpack(pack(values)[:-1])


def test_sums_are_those_of_residues_and_an_error_changes_none() -> None:
    rng = np.random.default_rng(3)
    updates = rng.integers(0, PRIME, (5, 20, RING_DEGREE))
    total = new_sum(20)
    for blocks in updates:
        add(total, pack(blocks))
    before = total.copy()
    wrong = updates[0].copy()
    wrong[17, 5] = PRIME
    for data in (pack(wrong), pack(wrong[:3]), pack(updates[0])[:-1]):
        with pytest.raises(WireError):
            add(total, data)
    assert np.array_equal(total, before)
    packed = bytearray(20 * BLOCK_BYTES)
    pack_sum(memoryview(packed), total)
    assert np.array_equal(unpack(packed), updates.sum(axis=0) % PRIME)


def test_uniform_numbers_above_the_prime_are_replaced_by_spares() -> None:
    rng = np.random.default_rng(4)
    random = bytearray(rng.bytes(2 * UNIFORM_BYTES))
    assert np.array_equal(_secret.uniform_blocks(random), oracle.uniform(bytes(random)))
    drawn = oracle.numbers(bytes(random[:UNIFORM_BYTES]))
    drawn[3], drawn[1000], drawn[RING_DEGREE] = PRIME, 2**PRIME_BITS - 1, PRIME + 1
    random[:UNIFORM_BYTES] = oracle.pack(np.array(drawn))
    made = _secret.uniform_blocks(random)
    assert np.array_equal(made, oracle.uniform(bytes(random)))
    assert made[0, 3] == drawn[RING_DEGREE + 1] and made[0, 1000] == drawn[RING_DEGREE + 2]
    with pytest.raises(ParameterError, match="no uniform block"):
        _secret.uniform_blocks(b"\xff" * UNIFORM_BYTES)


@pytest.mark.parametrize("path", _native.kernel_paths())
@pytest.mark.parametrize("threads", ["1", "2"])
def test_blocks_are_those_of_the_oracle_on_every_path(path: str, threads: str) -> None:
    """Each path in a process of its own, which compares bits."""
    environment = {**os.environ, "HETORCH_ISA": path, "HETORCH_NUM_THREADS": threads}
    command = [sys.executable, "-m", "tests.federated.compare_blocks"]
    subprocess.run(command, check=True, timeout=120, env=environment, cwd=Path(__file__).parents[2])


def test_samples_have_their_deviation() -> None:
    values = sampling.gaussian(bytes(range(32)), 200, domain=b"test")
    # The deviation of an estimate from m samples is about SIGMA / sqrt(2 m), and that of the mean SIGMA / sqrt(m).
    assert abs(values.std() - SIGMA) < 5 * SIGMA / math.sqrt(2 * values.size)
    assert abs(values.mean()) < 5 * SIGMA / math.sqrt(values.size)


@pytest.mark.parametrize("parties", [(0, 1, 2), (0, 3, 4), (2, 3, 4)])
def test_any_threshold_shares_give_the_secret_and_the_sum(parties: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    secrets = rng.integers(0, PRIME, (2, RING_DEGREE))
    shares = [deal(s, 3, 5, bytes([i]) * 32) for i, s in enumerate(secrets)]
    assert np.array_equal(interpolate({p: shares[0][p] for p in parties}), secrets[0])
    both = {p: sum_of(np.stack([shares[0][p], shares[1][p]]), [0, 1]) for p in parties}
    assert np.array_equal(interpolate(both), (secrets[0] + secrets[1]) % PRIME)
    assert not np.array_equal(interpolate({p: shares[0][p] for p in parties[:2]}), secrets[0])


def encode(roster: Roster, values: Any, sample_count: int) -> Residues:
    """Return all integers of an update, made three blocks at a time."""
    return np.concatenate([chunk.copy() for chunk in update.encode(roster, values, sample_count, 3)])


IDENTITIES = [Identity.generate() for _ in range(4)]


def test_values_beyond_their_bound_are_cut_and_norms_scaled() -> None:
    example = {"a": np.zeros(3), "b": np.zeros((1, 1))}
    roster = roster_of(IDENTITIES, example, 3, bound={"a": 1.0, "b": 4.0}, most_samples=10)
    flat = encode(roster, {"a": [2.0, -5.0, 0.5], "b": [[-3.0]]}, 5).reshape(-1)
    half = roster.largest_integer / 2
    assert flat[:2].tolist() == [1, 5]
    assert np.abs(flat[2:6] - np.array([1, -1, 0.5, -0.75]) * half).max() <= 0.5
    assert not flat[6:].any()
    limited = roster_of(IDENTITIES, example, 3, bound=4.0, most_samples=10, most_norm=0.5)
    flat = encode(limited, {"a": [3.0, 0.0, 0.0], "b": [[4.0]]}, 10).reshape(-1)
    expected = np.array([3.0, 0, 0, 4.0]) / 5 * 0.5 / limited.step(limited.arrays[0])
    assert np.abs(flat[2:6] - expected).max() <= 0.5 + 1e-6


def test_noise_has_its_deviation_and_fits() -> None:
    example = {"a": np.zeros(20000)}
    roster = roster_of(IDENTITIES, example, 3, noise=0.25)
    flat = encode(roster, {"a": np.full(20000, 1.0)}, 1000).reshape(-1)[2:20002] * roster.step(
        roster.arrays[0]
    )
    assert abs(flat.std() - 0.25) < 5 * 0.25 / math.sqrt(2 * 20000)
    assert abs(flat.mean() - 1) < 5 * 0.25 / math.sqrt(20000)


@pytest.mark.parametrize(
    ("values", "samples", "pattern"),
    [
        ({"a": [0.0]}, 0, "number of samples"),
        ({"a": [0.0]}, 1001, "number of samples"),
        ({"b": [0.0]}, 5, "differ in these arrays: a, b"),
        ({"a": [0.0, 1.0]}, 5, r"shape \(2,\)"),
        ({"a": [math.nan]}, 5, "not finite"),
        ({"a": [0.0]}, 2.5, "whole number"),
        ({"a": [0.0]}, "5", "whole number"),
        ({"a": ["0"]}, 5, "real numbers"),
        ({"a": [1j]}, 5, "real numbers"),
        ({"a": [None]}, 5, "real numbers"),
        ({"a": [[1.0], [1.0, 2.0]]}, 5, "cannot be read"),
        (torch.nn.Linear(1, 1), 5, "state_dict"),
    ],
)
def test_updates_that_do_not_fit_are_refused(
    values: dict[str, list[float]], samples: int, pattern: str
) -> None:
    with pytest.raises(InputError, match=pattern):
        encode(roster_of(IDENTITIES, {"a": np.zeros(1)}, 3), values, samples)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"threshold": 2}, "threshold"),
        ({"threshold": 3.0}, "an int"),
        ({"most_samples": True}, "an int"),
        ({"bound": {"b": 1.0}}, "no bound: a"),
        ({"threshold": 4}, "threshold"),
        ({"fewest_contributors": 3}, "fewest_contributors"),
        ({"fewest_contributors": 5}, "fewest_contributors"),
        ({"bound": 0.0}, "bound"),
        ({"bound": math.inf}, "bound"),
        ({"bound": 1e-320}, "bound"),  # its step would be zero
        ({"bound": 1e101}, "bound"),
        ({"noise": -1.0}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"most_norm": 0.0}, "most_norm"),
        ({"most_samples": 0}, "most_samples"),
    ],
)
def test_rosters_that_protect_nothing_are_refused(change: dict[str, Any], pattern: str) -> None:
    options: dict[str, Any] = {"threshold": 3, **change}
    with pytest.raises(InputError, match=pattern):
        roster_of(IDENTITIES, {"a": np.zeros(1)}, **options)


@pytest.mark.parametrize(
    ("dtype", "value", "cut"),
    [(np.float64, 2.1, True), (np.float16, -3.0, True), (np.float64, 2.0, False), (np.float32, 0.1, False)],
)
def test_values_beyond_a_bound_are_told(
    dtype: type, value: float, cut: bool, caplog: pytest.LogCaptureFixture
) -> None:
    update = {"small": np.zeros(2), "counter": np.array([0, value], dtype)}
    encode(roster_of(IDENTITIES, update, 3, bound=0.1 if value == 0.1 else 2.0), update, 5)
    assert ("cut to it, in 'counter'" in caplog.text) == cut
    assert "small" not in caplog.text


def test_identities_are_told_apart_from_their_public_keys() -> None:
    identities = [Identity.generate() for _ in range(3)]
    arrays = roster_of(identities, {"a": np.zeros(1)}, 2).arrays
    secret: Any = tuple(identities)
    with pytest.raises(InputError, match=r"identity\.public"):
        Roster("s", secret, 2, arrays, 10)
    publics = tuple(identity.public for identity in identities)
    with pytest.raises(InputError, match="twice"):
        Roster("s", (*publics, publics[0]), 3, arrays, 10)
    public: Any = publics[0]
    with pytest.raises(InputError, match="from_private_bytes"):
        Party(Roster("s", publics, 2, arrays, 10), public)


def test_two_parties_are_too_few() -> None:
    with pytest.raises(InputError, match="each would learn"):
        roster_of(IDENTITIES[:2], {"a": np.zeros(1)}, 2)
