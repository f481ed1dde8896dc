"""The ring, the sampler, the shares and the integers of an update, against whole numbers of Python and numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Rational, exp, isprime

from hetorch.errors import InputError, WireError
from hetorch.federated import Identity
from hetorch.federated.party import sampling
from hetorch.federated.party.sharing import deal, interpolate
from hetorch.federated.party.transform import forward, inverse
from hetorch.federated.party.update import encode
from hetorch.federated.residues import add, centred, multiply, pack, reduce, subtract, totals, uniform, unpack
from hetorch.federated.ring import (
    ERROR_BOUND,
    MOST_PARTIES,
    PRIME,
    PRIME_BITS,
    RING_DEGREE,
    SIGMA,
    error_factor,
    largest_integer,
)
from hetorch.params.security import Security, max_log2_qp
from tests.federated.rounds import roster_of

residue = st.integers(0, PRIME - 1) | st.sampled_from([0, 1, PRIME - 1, PRIME // 2, PRIME // 2 + 1])


def test_the_parameters_are_those_of_their_row() -> None:
    assert isprime(PRIME) and PRIME % (2 * RING_DEGREE) == 1 and PRIME >> PRIME_BITS == 0
    assert math.log2(PRIME) <= max_log2_qp(RING_DEGREE, Security.CLASSICAL_128)
    assert SIGMA / math.sqrt(2) >= 3.19


@pytest.mark.parametrize("count", [3, 4, 10, 97, 100, MOST_PARTIES])
def test_sums_have_room(count: int) -> None:
    factor, largest = error_factor(count), largest_integer(count)
    assert 2 * count * ERROR_BOUND < factor * 2 / 3 + 1
    assert count * (factor * largest + ERROR_BOUND) < PRIME / 2
    assert count * (factor * (largest + 1) + ERROR_BOUND) > PRIME / 2


@given(residue, residue, st.integers(0, 2**63 - 1))
def test_residues_are_those_of_whole_numbers(a: int, b: int, wide: int) -> None:
    x, y = np.array([a]), np.array([b])
    assert multiply(x, y)[0] == a * b % PRIME
    assert multiply(x, b)[0] == a * b % PRIME
    assert add(x, y)[0] == (a + b) % PRIME
    assert subtract(x, y)[0] == (a - b) % PRIME
    assert reduce(np.array([wide]))[0] == wide % PRIME
    assert totals(np.full((1, RING_DEGREE), a))[0] == a * RING_DEGREE % PRIME
    c = int(centred(x)[0])
    assert (c - a) % PRIME == 0 and abs(c) <= PRIME // 2


def test_uniform_residues_are_126_bits_modulo_the_prime() -> None:
    data = np.random.default_rng(0).bytes(160) + b"\xff" * 16 + bytes(16)
    words = np.frombuffer(data, "<u8").reshape(-1, 2)
    assert uniform(data).tolist() == [((int(h) >> 1) << 63 | int(w) >> 1) % PRIME for w, h in words]


def test_transforms_multiply_polynomials() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, PRIME, (2, 2, RING_DEGREE))
    product = inverse(multiply(forward(a), forward(b)))
    for row in range(2):
        # Whole-number products, one coefficient a time, with X^N = -1.
        left, right = [int(v) for v in a[row]], [int(v) for v in b[row]]
        for k in (0, 1, 777, RING_DEGREE - 1):
            total = sum(left[j] * right[k - j] for j in range(k + 1))
            total -= sum(left[j] * right[RING_DEGREE + k - j] for j in range(k + 1, RING_DEGREE))
            assert product[row, k] == total % PRIME
    assert np.array_equal(inverse(forward(a)), a)


def test_packed_residues_are_45_bits_each() -> None:
    values = np.random.default_rng(2).integers(0, PRIME, (2, RING_DEGREE))
    data = pack(values)
    whole = sum(int(value) << (PRIME_BITS * place) for place, value in enumerate(values.reshape(-1)))
    assert int.from_bytes(data, "little") == whole
    assert np.array_equal(unpack(data), values)


def test_a_residue_that_is_too_large_is_refused() -> None:
    values = np.zeros((1, RING_DEGREE), dtype=np.int64)
    values[0, 77] = PRIME
    with pytest.raises(WireError, match="not below"):
        unpack(pack(values))
    with pytest.raises(WireError, match="multiple"):
        unpack(pack(values)[:-1])


def test_the_table_of_the_sampler_is_that_of_the_discrete_gaussian() -> None:
    variance = Rational(453, 100) ** 2
    weights = [(2 if k else 1) * exp(-(k**2) / (2 * variance)).evalf(60) for k in range(120)]
    whole = sum(weights)
    table = sampling._cumulative()
    for k in range(ERROR_BOUND):
        exact = sum(weights[: k + 1]) / whole * 2**63  # to 60 digits
        assert abs(table[k] - exact) <= 1
    assert table[-1] >= 2**63 - 1


def test_samples_invert_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = sampling._cumulative()
    magnitudes = [0, table[0] - 1, table[0], table[5] - 1, table[5], 2**63 - 1]
    words = [m << 1 | sign for m in magnitudes for sign in (0, 1)] + [0] * (RING_DEGREE - 12)
    monkeypatch.setattr(sampling, "keystream", lambda *_, **__: np.array(words, dtype="<u8").tobytes())
    values = sampling.gaussian(bytes(32), 1, domain=b"test")[0, :12]
    assert values.tolist() == [0, 0, 0, 0, 1, -1, 5, -5, 6, -6, ERROR_BOUND, -ERROR_BOUND]


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
    both = {p: add(shares[0][p], shares[1][p]) for p in parties}
    assert np.array_equal(interpolate(both), add(secrets[0], secrets[1]))
    assert not np.array_equal(interpolate({p: shares[0][p] for p in parties[:2]}), secrets[0])


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
    ("update", "samples", "pattern"),
    [
        ({"a": [0.0]}, 0, "number of samples"),
        ({"a": [0.0]}, 1001, "number of samples"),
        ({"b": [0.0]}, 5, "differ in these arrays: a, b"),
        ({"a": [0.0, 1.0]}, 5, r"shape \(2,\)"),
        ({"a": [math.nan]}, 5, "not finite"),
    ],
)
def test_updates_that_do_not_fit_are_refused(
    update: dict[str, list[float]], samples: int, pattern: str
) -> None:
    with pytest.raises(InputError, match=pattern):
        encode(roster_of(IDENTITIES, {"a": np.zeros(1)}, 3), update, samples)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"threshold": 2}, "threshold"),
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
def test_rosters_that_protect_nothing_are_refused(change: dict[str, float], pattern: str) -> None:
    options: dict[str, Any] = {"threshold": 3, **change}
    with pytest.raises(InputError, match=pattern):
        roster_of(IDENTITIES, {"a": np.zeros(1)}, **options)


def test_two_parties_are_too_few() -> None:
    with pytest.raises(InputError, match="each would learn"):
        roster_of(IDENTITIES[:2], {"a": np.zeros(1)}, 2)
