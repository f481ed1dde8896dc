from __future__ import annotations

import math
from collections import Counter

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import ParameterError
from hetorch.params.primes import chain_primes, is_prime, ntt_primes

# Composites that are strong pseudoprimes to many small bases at once. The smallest to the first k primes together,
# for k = 1..11 (Jaeschke, Math. Comp. 61, 1993; Jiang and Deng, Math. Comp. 83, 2014).
STRONG_PSEUDOPRIMES = (
    2047,
    1373653,
    25326001,
    3215031751,
    2152302898747,
    3474749660383,
    341550071728321,
    3825123056546413051,
)


def test_small_numbers() -> None:
    sieve = [n for n in range(2, 5000) if all(n % d for d in range(2, math.isqrt(n) + 1))]
    assert [n for n in range(5000) if is_prime(n)] == sieve


@given(st.integers(0, (1 << 64) - 1))
def test_agrees_with_sympy(n: int) -> None:
    assert is_prime(n) == sympy.isprime(n)


@given(st.integers(2, (1 << 64) - 1))
def test_finds_the_primes_that_sympy_finds(n: int) -> None:
    prime = sympy.prevprime(n + 1)
    assert is_prime(prime)
    assert not any(is_prime(m) for m in range(prime + 1, n + 1))


@given(st.integers(2, 1 << 31), st.integers(2, 1 << 31))
def test_products_of_two_primes(a: int, b: int) -> None:
    assert not is_prime(sympy.prevprime(a + 1) * sympy.prevprime(b + 1))


@pytest.mark.parametrize("n", STRONG_PSEUDOPRIMES)
def test_strong_pseudoprimes(n: int) -> None:
    assert not is_prime(n)


@pytest.mark.parametrize("n", [-1, 1 << 64])
def test_outside_the_proven_range(n: int) -> None:
    with pytest.raises(ParameterError, match=r"0 <= n < 2\^64"):
        is_prime(n)


def nearest(bits: int, ring_degree: int, upward: bool, count: int) -> list[int]:
    """Return the nearest primes = 1 mod 2N on one side of 2^bits by brute force with sympy: the definition."""
    found: list[int] = []
    n = (1 << bits) + (1 if upward else 1 - 2 * ring_degree)
    while len(found) < count:
        if sympy.isprime(n):
            found.append(n)
        n += 2 * ring_degree if upward else -2 * ring_degree
    return found


@given(st.integers(28, 59), st.integers(1, 7), st.integers(10, 14))
def test_nearest_on_alternating_sides(bits: int, count: int, log_degree: int) -> None:
    ring_degree = 1 << log_degree
    primes = ntt_primes(bits, count, ring_degree)
    assert len(set(primes)) == count
    assert all(p % (2 * ring_degree) == 1 for p in primes)
    if bits == 50:
        assert list(primes) == nearest(bits, ring_degree, False, count)
    else:
        assert list(primes[0::2]) == nearest(bits, ring_degree, False, (count + 1) // 2)
        assert list(primes[1::2]) == nearest(bits, ring_degree, True, count // 2)


@pytest.mark.parametrize("bits", [50, 60])
def test_limits_of_the_kernels_are_not_crossed(bits: int) -> None:
    assert all(p < 1 << bits for p in ntt_primes(bits, 20, 1 << 15))


def test_excluded_primes_are_passed_over() -> None:
    first = ntt_primes(45, 4, 1 << 13)
    second = ntt_primes(45, 4, 1 << 13, exclude=first)
    assert not set(first) & set(second)
    assert set(first) | set(second) == set(ntt_primes(45, 8, 1 << 13))


def test_known_answers() -> None:
    # A change here changes the fingerprint of every parameter set.
    assert ntt_primes(40, 4, 1 << 13) == (1099511480321, 1099511922689, 1099510890497, 1099512004609)


def test_too_few_primes() -> None:
    with pytest.raises(ParameterError, match=r"only \d+ of 50 primes of about 20 bits are 1 mod 65536"):
        ntt_primes(20, 50, 1 << 15)


def test_both_sides_are_used_up_before_giving_up() -> None:
    every = [p for p in range((1 << 19) + 1, 1 << 21, 1 << 16) if sympy.isprime(p)]
    assert sorted(ntt_primes(20, len(every), 1 << 15)) == every


@pytest.mark.parametrize(
    ("bits", "count", "ring_degree", "message"),
    [
        (61, 1, 1024, "2 to 60 bits"),
        (1, 1, 1024, "2 to 60 bits"),
        (40, -1, 1024, "-1 primes"),
        (40, 1, 1000, "power of two"),
        (40, 1, 0, "power of two"),
    ],
)
def test_bad_arguments(bits: int, count: int, ring_degree: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ntt_primes(bits, count, ring_degree)


@given(st.lists(st.integers(40, 44), min_size=1, max_size=12))
def test_a_chain_has_the_sizes_asked_for_and_no_prime_twice(bits: list[int]) -> None:
    primes = chain_primes(bits, 1 << 12)
    assert len(set(primes)) == len(bits)
    assert Counter(round(math.log2(p)) for p in primes) == Counter(bits)
    assert [round(math.log2(p)) for p in primes] == bits
