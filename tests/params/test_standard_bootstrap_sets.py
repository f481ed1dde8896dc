"""Every bootstrap set that the compiler may choose, recomputed from the definitions: primes, bounds of the security
tables, the noise of keys and the scales of the modular reduction."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import pytest
import sympy

from hetorch.compiler.costs.machine import DEFAULT
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.search.place_bootstraps import Setting, bootstrap_sets
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrapping import COSINE_16, PlannedBootstrap
from hetorch.engine.keys import KeyEnd, KeyLink, all_links
from hetorch.params.bootstrap_set import MESSAGE_RATIO, SPARSE_WEIGHT, BootstrapSet

DENSE_BITS = {1 << 15: 868, 1 << 16: 1747}
"""The published bounds of log2(QP) at 128 bits by ring degree, for a uniform ternary secret (ePrint 2024/463, table
5.2)."""
SPARSE_BITS = {1 << 15: 90, 1 << 16: 121}
"""The bounds of the modulus under a ternary secret of 32 nonzero coefficients, by its dimension (see the sources in
hetorch.params.security)."""
SIGMA = 3.19


@functools.cache
def every_set() -> tuple[BootstrapSet, ...]:
    return tuple(
        boot
        for setting in Setting.all_of(CompileOptions(), DEFAULT)
        for slots in setting.slot_counts
        for boot in bootstrap_sets(slots, 1, setting)
    )


@functools.cache
def chains() -> tuple[BootstrapSet, ...]:
    """Return one set for each modulus chain: others differ in slots and in baby steps."""
    return tuple({boot.parameters: boot for boot in every_set()}.values())


def links(boot: BootstrapSet) -> tuple[KeyLink, ...]:
    return all_links(boot.parameters, bootstrap_keys(boot))


def primes_of(boot: BootstrapSet, link: KeyLink) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the primes of the chain and the special primes that a key is over."""
    p = boot.parameters
    return p.modulus_chain[: link.level + 1], p.special_primes[: link.family.special_count]


def sizes(primes: Sequence[int]) -> list[int]:
    """Return the exponents of the powers of two that primes lie beside."""
    return [round(math.log2(q)) for q in primes]


def test_the_sets_that_are_checked_here() -> None:
    seen: dict[tuple[int, int], set[int]] = {}
    for boot in every_set():
        seen.setdefault((boot.parameters.ring_degree, boot.slots), set()).add(boot.user_levels)
    assert seen == {
        (1 << 16, 1 << 15): set(range(1, 13)),
        (1 << 16, 1 << 14): set(range(1, 13)),
        (1 << 15, 1 << 14): set(range(3, 9)),
    }
    # Four pairs of baby steps each.
    assert len(every_set()) == len(set(every_set())) == 4 * (12 + 12 + 6)


def test_primes_are_distinct_and_split_the_ring() -> None:
    for boot in chains():
        p = boot.parameters
        primes = (*p.modulus_chain, *p.special_primes)
        assert len(set(primes)) == len(primes)
        for q in primes:
            assert q % (2 * p.ring_degree) == 1 and sympy.isprime(q)


def test_primes_of_the_large_ring_have_the_sizes_of_their_use() -> None:
    bits = {"base": 45, "slots-to-coefficients": 30, "user": 40, "coefficients-to-slots": 42}
    for boot in (boot for boot in chains() if boot.parameters.ring_degree == 1 << 16):
        chain, roles = boot.parameters.modulus_chain, boot.roles
        expected = [bits.get(role, 0) for role in roles]
        reduction = roles.index("modular-reduction")
        expected[reduction : reduction + 8] = [45, 45, 45, 45, 47, 47, 47, 47]
        assert sizes(chain) == expected
        assert set(sizes(boot.parameters.special_primes)) == {45}


SMALL_SIZES = {
    3: ((42, 28, 28), 33, (40, 40, 43, 45, 45, 45, 45, 45), (38, 38, 38), (45, 45, 45, 45)),
    4: ((42, 28, 28), 33, (40, 40, 43, 45, 45, 45, 45, 45), (38, 38, 38), (43, 44, 44, 44)),
    5: ((42, 28, 28), 33, (41, 43, 44, 44, 44, 44, 44, 44), (38, 38), (44, 44, 45, 45)),
    6: ((42, 28, 28), 33, (42, 44, 45, 44, 45, 45, 45, 45), (38, 38), (45, 45, 45)),
    7: ((39, 27, 27), 32, (39, 41, 43, 44, 44, 44, 44, 44), (36, 36), (45, 45, 45)),
    8: ((39, 27, 27), 32, (35, 38, 40, 42, 42, 42, 42, 42), (34, 34), (42, 43, 43)),
}
"""A second transcription of the sizes at ring degree 2^15, by user levels: base and SlotsToCoeffs, a user's prime, the
reduction, CoeffsToSlots, special primes. Another size of one prime changes the noise by less than a test can see."""


def test_primes_of_the_small_ring_have_these_sizes() -> None:
    small = [boot for boot in chains() if boot.parameters.ring_degree == 1 << 15]
    for boot in small:
        low, user, reduction, to_slots, special = SMALL_SIZES[boot.user_levels]
        expected = (*low, *[user] * boot.user_levels, *reduction, *to_slots, *special)
        primes = (*boot.parameters.modulus_chain, *boot.parameters.special_primes)
        assert sizes(primes) == list(expected)
    assert len(small) == len(SMALL_SIZES)


def test_the_modulus_is_within_the_table() -> None:
    for boot in chains():
        p = boot.parameters
        assert math.prod((*p.modulus_chain, *p.special_primes)) < 2 ** DENSE_BITS[p.ring_degree]


def test_every_key_keeps_the_bound_of_the_secret_that_it_ends_in() -> None:
    # Each by itself: its secret, the dimension in which that lies, and the primes that the key is over.
    for boot in every_set():
        keys = links(boot)
        to_sparse = [link for link in keys if link.to_end is KeyEnd.SPARSE]
        assert len(to_sparse) == 1 and {link.to_end for link in keys} == {KeyEnd.SPARSE, KeyEnd.DENSE}
        for link in keys:
            data, special = primes_of(boot, link)
            if link.to_end is KeyEnd.SPARSE:
                # The secret is a polynomial in X^spacing, whose dimension is that of all 2 n coefficients of n slots.
                assert SPARSE_WEIGHT == 32 and boot.sparse_dimension == 2 * boot.slots
                assert boot.spacing * boot.sparse_dimension == boot.parameters.ring_degree
                bits = SPARSE_BITS[2 * boot.slots]
            else:
                bits = DENSE_BITS[boot.parameters.ring_degree]
            assert math.prod((*data, *special)) < 2**bits


def test_no_key_adds_more_noise_than_it_may() -> None:
    for boot in every_set():
        for link in links(boot):
            data, special = primes_of(boot, link)
            largest = math.prod(special)
            if link.from_end is KeyEnd.SPARSE_SCALED:
                # Raised polynomials are below q_0 / 2, and such a key holds the secret times P / p. Its noise, sigma
                # (n / 12)^(1/2) q_0 p / P, is below that of the division by P, (n / 18)^(1/2).
                assert SIGMA * math.sqrt(3 / 2) * data[0] * special[-1] < largest
                continue
            size = link.family.digit_size
            digits = [math.prod(data[first : first + size]) for first in range(0, len(data), size)]
            assert 2 * largest >= max(digits)


def test_the_family_for_low_levels_serves_a_map_above_slots_to_coefficients() -> None:
    for boot in chains():
        p, family = boot.parameters, boot.low_family
        data = p.modulus_chain[: boot.input_level + 2]
        assert len(data) <= family.digit_size
        assert 2 * math.prod(p.special_primes[: family.special_count]) >= math.prod(data)


def test_no_coefficient_leaves_the_range_of_the_series() -> None:
    # A coefficient is a sum of 33 residues of at most q_0 / 2, m + q_0 I with |m| at most the margin: |I| < 17.
    assert (SPARSE_WEIGHT + 1) / 2 + COSINE_16.margin < COSINE_16.multiples + 1
    for boot in every_set():
        # |I| = 16, where the series is less accurate: a sum of 33 uniform numbers of [-1/2, 1/2] is within d of its
        # largest with a probability of d^33 / 33!, whose derivative is the density; at both ends, for each coefficient.
        distance = (SPARSE_WEIGHT + 1) / 2 + COSINE_16.margin - COSINE_16.multiples
        log2_probability = SPARSE_WEIGHT * math.log2(distance) - math.log2(math.factorial(SPARSE_WEIGHT))
        assert math.log2(2 * 2 * boot.slots) + log2_probability < -130


@pytest.mark.parametrize("size", [1.0, 2.0])
def test_scales_of_the_modular_reduction_fit_the_primes(size: float) -> None:
    # A slot of the bound is encoded at the scale of the user's primes, or at twice that (insert_bootstraps, ROOM).
    for boot in chains():
        chain, level = boot.parameters.modulus_chain, boot.reduction_level
        scale = size * 2.0**boot.user_bits
        planned = PlannedBootstrap(boot, scale, scale)
        # T_2 = 2 x^2 - 1 has the scale of the prime that its first product is divided by: with a ratio of r instead,
        # T_2k would have r^2k.
        assert planned.reduction_scale**2 / chain[level] == pytest.approx(chain[level - 1], rel=1e-12)
        # The reduction ends with the message divided by the ratio. A doubling squares the scale and divides by its
        # prime; from the last one back to the series, 2 z^2 with |z| <= 1 is within half of the modulus.
        scale *= MESSAGE_RATIO
        for at in range(boot.output_level + 1, boot.output_level + 4):
            scale = math.sqrt(scale * chain[at])
            assert 4 * scale**2 < math.prod(chain[: at + 1])
        assert level - 8 == boot.output_level == boot.input_level + boot.user_levels
