from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import ParameterError, SecurityError
from hetorch.params import ParameterSet, Security
from hetorch.params.primes import ntt_primes

N = 1 << 13
CHAIN = ntt_primes(40, 3, N)
SPECIAL = ntt_primes(45, 1, N)


def test_sizes() -> None:
    parameters = ParameterSet(N, CHAIN, SPECIAL, 1)
    assert parameters.slot_count == 4096
    assert parameters.max_level == 2
    assert parameters.log2_q == pytest.approx(120, abs=1e-3)
    assert parameters.log2_p == pytest.approx(45, abs=1e-3)
    assert parameters.log2_qp == pytest.approx(165, abs=1e-3)
    assert parameters.security is Security.CLASSICAL_128
    assert parameters.is_simd


@pytest.mark.parametrize(("digit_size", "counts"), [(1, [1, 2, 3, 4, 5]), (2, [1, 1, 2, 2, 3]), (5, [1] * 5)])
def test_digits_are_runs_that_begin_at_the_first_prime(digit_size: int, counts: list[int]) -> None:
    parameters = ParameterSet.from_bits(1 << 14, [40] * 5, [45] * digit_size, digit_size=digit_size)
    assert [parameters.digit_count(level) for level in range(5)] == counts
    for level in (-1, 5):
        with pytest.raises(ParameterError, match=r"levels are 0\.\.4"):
            parameters.digit_count(level)


def test_frozen_and_comparable() -> None:
    parameters = ParameterSet(N, CHAIN, SPECIAL, 1)
    assert parameters == ParameterSet(N, CHAIN, SPECIAL, 1)
    assert hash(parameters) == hash(ParameterSet(N, CHAIN, SPECIAL, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        parameters.ring_degree = 1024  # type: ignore[misc]


def test_lists_numpy_integers_and_names_become_the_same_set() -> None:
    given_loosely: Any = (np.int64(N), [np.uint64(q) for q in CHAIN], list(SPECIAL), np.int32(1), "128")
    parameters = ParameterSet(*given_loosely)
    assert parameters == ParameterSet(N, CHAIN, SPECIAL, 1)
    assert parameters.fingerprint() == ParameterSet(N, CHAIN, SPECIAL, 1).fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ring_degree": 512}, r"from 2\^10 to 2\^17, got 512"),
        ({"ring_degree": 1 << 18}, r"from 2\^10 to 2\^17, got 262144"),
        ({"ring_degree": 5000}, "power of two"),
        ({"ring_degree": 8192.0}, "ring_degree must be an integer, got float"),
        ({"ring_degree": True}, "ring_degree must be an integer, got True"),
        ({"modulus_chain": ()}, "modulus_chain is empty"),
        ({"modulus_chain": "abc"}, "sequence of integers, got str"),
        ({"modulus_chain": 7}, "sequence of integers, got int"),
        ({"modulus_chain": ("7",)}, r"modulus_chain\[0\] must be an integer, got str"),
        (
            {"modulus_chain": (1 << 70,)},
            r"modulus_chain\[0\] must be an integer of at most 64 bits, got 71 bits",
        ),
        ({"modulus_chain": (*CHAIN, 0)}, r"modulus_chain\[3\] must be a prime below 2\^60, got 0"),
        ({"modulus_chain": (*CHAIN, -7)}, r"modulus_chain\[3\] must be a prime below 2\^60, got -7"),
        ({"modulus_chain": (*CHAIN, (1 << 60) + 1)}, r"below 2\^60"),
        ({"modulus_chain": (*CHAIN, 2 * N + 1)}, r"modulus_chain\[3\] = 16385 is not prime"),
        ({"modulus_chain": (*CHAIN, 65537 + 2)}, "is not 1 mod 2 \\* ring_degree = 16384"),
        ({"modulus_chain": (CHAIN[0], *CHAIN)}, "primes must be distinct"),
        ({"special_primes": (CHAIN[1],)}, "primes must be distinct"),
        ({"special_primes": ()}, "special_primes is empty"),
        ({"digit_size": 0}, r"digit_size must be 1\.\.3"),
        ({"digit_size": 4}, r"digit_size must be 1\.\.3"),
        ({"modulus_chain": CHAIN * 50}, "at most 64 are supported"),
        ({"modulus_chain": CHAIN * 20, "special_primes": SPECIAL * 10}, "70 primes in all; at most 64"),
        ({"security": "112"}, "security '112' is not known"),
    ],
)
def test_malformed_sets_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "ring_degree": N,
        "modulus_chain": CHAIN,
        "special_primes": SPECIAL,
        "digit_size": 1,
    }
    with pytest.raises(ParameterError, match=message):
        ParameterSet(**arguments | changes)


def test_special_primes_must_outweigh_the_largest_digit() -> None:
    with pytest.raises(ParameterError, match=r"log2\(P\) = 45.0 bits, but digit 0 of modulus_chain has 80.0"):
        ParameterSet(N, CHAIN, SPECIAL, 2)
    with pytest.raises(ParameterError, match=r"log2\(P\) = 40.0 bits, but digit 2 of modulus_chain has 45.0"):
        ParameterSet(N, (*CHAIN[:2], SPECIAL[0]), CHAIN[2:], 1)


@pytest.mark.parametrize("bits", [[60, 40, 40, 60], [40, 21, 21, 21, 40], [50, 30, 30, 50], [60, 60, 60]])
def test_chains_as_users_of_seal_write_them(bits: list[int]) -> None:
    seal = pytest.importorskip("seal")
    primes = tuple(modulus.value() for modulus in seal.CoeffModulus.Create(N, bits))
    parameters = ParameterSet(N, primes[:-1], primes[-1:], 1)
    assert parameters.log2_qp <= sum(bits)


def test_a_special_prime_just_below_the_others_is_enough() -> None:
    low, high = sorted(ntt_primes(60, 2, N))
    assert ParameterSet(N, (high,), (low,), 1).special_primes == (low,)


def test_too_large_a_modulus_names_the_row() -> None:
    with pytest.raises(
        SecurityError,
        match=r"QP has 21[56] bits \(log2 215\.00\), more than the 214 of row N = 2\^13, security 128 of .*2024/463",
    ):
        ParameterSet.from_bits(N, [43] * 4, [43])


def test_the_bound_itself_is_allowed_and_a_hair_more_is_not() -> None:
    # 106 bits at N = 2^12: the primes below 2^53 make a product just below 2^106, those above just above.
    primes = ntt_primes(53, 4, 1 << 12)
    below, above = (p for p in primes if p < 1 << 53), (p for p in primes if p > 1 << 53)
    first, second = below
    parameters = ParameterSet(1 << 12, (first,), (second,), 1)
    assert 105.99 < parameters.log2_qp <= 106
    first, second = above
    assert math.log2(first * second) == pytest.approx(106, abs=1e-6)
    with pytest.raises(SecurityError, match=r"QP has 107 bits .* more than the 106"):
        ParameterSet(1 << 12, (first,), (second,), 1)


def test_the_rows_of_2018_only_on_request() -> None:
    bits = [60, 49, 48]
    with pytest.raises(SecurityError, match="more than the 214"):
        ParameterSet.from_bits(N, bits, [60])
    parameters = ParameterSet.from_bits(N, bits, [60], security=Security.HE_STANDARD_2018)
    assert 214 < parameters.log2_qp <= 218


@pytest.mark.parametrize(
    ("ring_degree", "security"),
    [
        (1 << 10, Security.CLASSICAL_192),
        (1 << 10, Security.CLASSICAL_256),
        (1 << 16, Security.HE_STANDARD_2018),
    ],
)
def test_a_degree_without_a_row_is_refused(ring_degree: int, security: Security) -> None:
    with pytest.raises(SecurityError, match="there is no row N = 2"):
        ParameterSet.from_bits(ring_degree, [20], [20], security=security)


def test_vector_kernels_need_primes_below_2_to_50() -> None:
    assert ParameterSet.from_bits(N, [50, 40], [50]).is_simd
    assert not ParameterSet.from_bits(N, [60, 40], [60]).is_simd
    assert not ParameterSet.from_bits(N, [40, 40], [51]).is_simd


def test_json_round_trip_through_text() -> None:
    parameters = ParameterSet.from_bits(N, [60, 40, 40], [60])
    again = ParameterSet.from_json(json.loads(json.dumps(parameters.to_json())))
    assert again == parameters
    assert again.fingerprint() == parameters.fingerprint()


def test_known_fingerprint() -> None:
    # Stored plans and keys name their parameters by the fingerprint: it must never change.
    parameters = ParameterSet.from_bits(N, [60, 40, 40], [60])
    assert parameters.to_json() == {
        "ring_degree": 8192,
        "modulus_chain": [1152921504606830593, 1099511480321, 1099511922689],
        "special_primes": [1152921504606748673],
        "digit_size": 1,
        "security": "128",
    }
    assert (
        parameters.fingerprint().hex() == "6e62afdfbae73b19e80410c01b0ffb418ce43f2938130d5fe8490b59d1fa0eb8"
    )


def test_every_field_changes_the_fingerprint() -> None:
    q = ntt_primes(40, 6, 1 << 14)
    variants = [
        ParameterSet(1 << 13, q[:4], q[4:5], 1),
        ParameterSet(1 << 14, q[:4], q[4:5], 1),
        ParameterSet(1 << 14, q[:3], q[4:5], 1),
        ParameterSet(1 << 14, q[:4], q[5:6], 1),
        ParameterSet(1 << 14, q[:4], q[4:6], 1),
        ParameterSet(1 << 14, q[:4], q[4:6], 2),
        ParameterSet(1 << 14, q[:4], q[4:6], 2, Security.CLASSICAL_192),
    ]
    assert len({v.fingerprint() for v in variants}) == len(variants)


def valid() -> dict[str, Any]:
    return ParameterSet(N, CHAIN, SPECIAL, 1).to_json()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        {},
        {k: v for k, v in valid().items() if k != "security"},
        valid() | {"extra": 1},
        valid() | {"ring_degree": "8192"},
        valid() | {"ring_degree": 8192.0},
        valid() | {"digit_size": None},
        valid() | {"modulus_chain": {"0": 1}},
        valid() | {"modulus_chain": [[1]]},
        valid() | {"modulus_chain": [True]},
        valid() | {"modulus_chain": [10**400]},
        valid() | {"security": 128},
        valid() | {"security": "x" * 10_000},
        valid() | {1: 2},
    ],
)
def test_json_from_a_stranger(data: object) -> None:
    with pytest.raises(ParameterError) as caught:
        ParameterSet.from_json(data)
    assert len(str(caught.value)) < 300


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.fuzz
@given(st.sampled_from(sorted(valid())), JSON_VALUES)
def test_any_json_value_in_any_field_is_read_or_refused(field: str, value: object) -> None:
    data = valid() | {field: value}
    try:
        parameters = ParameterSet.from_json(data)
    except ParameterError:
        return
    assert parameters.to_json() == data
