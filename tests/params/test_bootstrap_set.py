"""Sets with room for bootstrapping: the roles of their primes, their security, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from hetorch.errors import ParameterError, SecurityError
from hetorch.params import KeyFamily, ParameterSet, Security
from hetorch.params.bootstrap_set import (
    SPARSE_FAMILY,
    BootstrapSet,
    bootstrap_parameters,
    standard_bootstrap_set,
)
from hetorch.params.bootstrap_sizes import (
    LARGE_RING,
    REDUCTION_DEPTH,
    SMALL_RING,
    standard_sizes,
    standard_user_levels,
)


@pytest.mark.parametrize("slots", [1 << 14, 1 << 15])
@pytest.mark.parametrize("user_levels", [1, 8, 10])
def test_standard_sets(slots: int, user_levels: int) -> None:
    boot = standard_bootstrap_set(slots, user_levels)
    p = boot.parameters
    assert boot.user_levels == user_levels and p.ring_degree == 1 << 16
    assert len(boot.roles) == p.max_level + 1
    assert [boot.roles.count(role) for role in dict.fromkeys(boot.roles)] == [
        1,
        3,
        user_levels,
        REDUCTION_DEPTH,
        3,
    ]
    assert (
        boot.roles[boot.output_level] == "user" and boot.roles[boot.output_level + 1] == "modular-reduction"
    )
    assert boot.roles[boot.input_level] == "slots-to-coefficients"
    # The design's bounds, as integers: QP of the dense key, q_0 p of the sparse one.
    assert p.log2_qp < 1747 and p.modulus_chain[0] * p.special_primes[0] < 2**90
    assert boot.sparse_dimension == 2 * slots and boot.spacing == (1 << 15) // slots
    # The fast reduction of the kernels at 2^16 needs 2^52 / q > 118; four primes do without it.
    assert sum(q >= 2**52 / 118 for q in (*p.modulus_chain, *p.special_primes)) == 4


@pytest.mark.parametrize("user_levels", range(3, 9))
def test_standard_sets_of_the_small_ring(user_levels: int) -> None:
    boot = standard_bootstrap_set(1 << 14, user_levels, ring_degree=SMALL_RING)
    p = boot.parameters
    assert (
        boot.user_levels == user_levels and p.ring_degree == 1 << 15 and p.security is Security.CLASSICAL_128
    )
    assert len(boot.roles) == p.max_level + 1 and boot.roles[boot.output_level] == "user"
    assert [boot.roles.count(role) for role in dict.fromkeys(boot.roles)] == [
        1,
        2,
        user_levels,
        REDUCTION_DEPTH,
        3 if user_levels <= 4 else 2,
    ]
    # The published bounds, transcribed here: QP of the dense secret at 2^15, and the sparse one's q_0 p.
    assert math.prod((*p.modulus_chain, *p.special_primes)) < 2**868
    assert boot.sparse_dimension == 1 << 15 and p.modulus_chain[0] * p.special_primes[0] < 2**90
    assert boot.user_bits == standard_sizes(SMALL_RING, user_levels).user
    # The fast reduction of the kernels at 2^15 needs 2^52 / q > 111: all primes have it.
    assert all(2**52 // q > 111 for q in (*p.modulus_chain, *p.special_primes))


def test_the_chain_ends_at_the_security_bound() -> None:
    with pytest.raises(SecurityError, match="1747"):
        standard_bootstrap_set(user_levels=1 + standard_user_levels(LARGE_RING)[-1])
    for user_levels in (2, 9):
        with pytest.raises(ParameterError, match="user_levels must be 3 to 8 at ring degree 32768"):
            standard_bootstrap_set(1 << 14, user_levels, ring_degree=SMALL_RING)


def test_half_the_slots_of_the_small_ring_have_no_row() -> None:
    # The sparse secret would lie in dimension 2^14, for which estimates are below 128 bits.
    with pytest.raises(SecurityError, match=r"dimension 2\^14"):
        standard_bootstrap_set(1 << 13, 4, ring_degree=SMALL_RING)
    with pytest.raises(SecurityError, match="192"):
        standard_bootstrap_set(1 << 14, 4, ring_degree=SMALL_RING, security=Security.CLASSICAL_192)


@pytest.mark.parametrize("security", ["192", "256", "he-standard-2018"])
def test_only_128_bits_have_rows_for_sparse_secrets(security: str) -> None:
    chain = (45, 30, 30, 40, *[45] * REDUCTION_DEPTH, 42)
    with pytest.raises(SecurityError, match=f"{security}.*rows at 128 bits|more than the"):
        parameters = bootstrap_parameters(
            1 << 16 if security != "he-standard-2018" else 1 << 15,
            chain,
            (45,) * 5,
            digit_size=5,
            low_family=KeyFamily(2, 2),
            security=Security(security),
        )
        bootstrap_of(parameters)


def bootstrap_of(parameters: ParameterSet, **changes: Any) -> BootstrapSet:
    slots = parameters.slot_count
    stages = (slots.bit_length() - 2, 1)
    return BootstrapSet(parameters, **{"slots": slots, "to_coefficients": stages, "to_slots": stages,
                                       "low_family": KeyFamily(2, 2), **changes})  # fmt: skip


def test_small_subrings_and_large_primes_are_refused() -> None:
    boot = standard_bootstrap_set(1 << 14)
    with pytest.raises(SecurityError, match=r"dimension 2\^14"):
        dataclasses.replace(boot, slots=1 << 13, to_coefficients=(5, 5, 3), to_slots=(4, 4, 3, 2))
    p = boot.parameters
    large = dataclasses.replace(p, special_primes=tuple(sorted(p.special_primes, reverse=True)))
    with pytest.raises(SecurityError, match="91 bits, more than the 90"):
        dataclasses.replace(boot, parameters=large)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slots": 3 << 13}, "power of two"),
        ({"slots": 1 << 16}, "power of two"),
        ({"to_coefficients": (5, 5, 4)}, r"to_coefficients .* 15"),
        ({"to_slots": (8, 8)}, r"to_slots .* 15"),
        ({"to_slots": (15, 0)}, "positive"),
        ({"low_family": KeyFamily(2, 3)}, "key_families"),
        ({"to_slots": (1,) * 15}, "leaves no level"),
        ({"to_slots": (15,)}, "two factors"),
    ],
)
def test_other_shapes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        dataclasses.replace(standard_bootstrap_set(user_levels=8), **changes)


def test_the_sparse_family_is_needed() -> None:
    boot = standard_bootstrap_set()
    without = dataclasses.replace(boot.parameters, key_families=(boot.low_family,))
    with pytest.raises(ParameterError, match="key_families"):
        dataclasses.replace(boot, parameters=without)
    assert SPARSE_FAMILY in boot.parameters.key_families


def test_families_whose_special_primes_are_too_small_are_refused() -> None:
    # With one special prime for digits of three, the result was off by 40 instead of 2^-22.
    boot = standard_bootstrap_set()
    low = KeyFamily(2, 4)
    families = (SPARSE_FAMILY, low, boot.parameters.key_families[-1])
    with pytest.raises(ParameterError, match=r"digit_size=4.* 90\.0 bits, but a digit of 135"):
        dataclasses.replace(
            boot, parameters=dataclasses.replace(boot.parameters, key_families=families), low_family=low
        )
    p = boot.parameters
    small = next(q for q in p.modulus_chain if q < 2**35 and q not in p.modulus_chain[:3])
    chain = tuple(p.special_primes[0] if q == small else q for q in p.modulus_chain)
    swapped = dataclasses.replace(
        p, modulus_chain=chain, special_primes=(small, *p.special_primes[1:]), digit_size=10
    )
    with pytest.raises(ParameterError, match=r"special_count=1.* 30\.0 bits, but a digit of 45"):
        dataclasses.replace(boot, parameters=swapped)


@pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")
@pytest.mark.parametrize("slots", [1 << 9, 1 << 10])
def test_small_rings_protect_nothing(slots: int) -> None:
    boot = standard_bootstrap_set(slots, 4, ring_degree=1 << 11, security=Security.NONE, babies=(4, 2))
    assert boot.user_levels == 4 and boot.babies == (4, 2) and boot.parameters.ring_degree == 1 << 11
    # The first factor of CoeffsToSlots has a key for each diagonal, so it is no longer than the others.
    assert sum(boot.to_slots) == sum(boot.to_coefficients) == slots.bit_length() - 1
    assert boot.to_slots[0] <= max(boot.to_slots[1:])
    with pytest.raises(SecurityError):
        standard_bootstrap_set(slots, 4, ring_degree=1 << 11)


@pytest.mark.parametrize("slots", [1 << 13, 1 << 16])
def test_standard_sets_have_two_sizes(slots: int) -> None:
    with pytest.raises(ParameterError, match="slots"):
        standard_bootstrap_set(slots)
