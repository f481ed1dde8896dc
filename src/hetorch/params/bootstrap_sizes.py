"""Sizes of the primes of the standard bootstrap sets, by ring and number of user levels.

The ring of degree 2^16 has room for precise sets with digits of half a chain. That of 2^15 has half the slots and 868
bits. Its sizes were enumerated: for each number of user levels, the fastest factors, and then the sizes of the least
predicted noise that the table allows (decision 51).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hetorch.errors import ParameterError
from hetorch.params.key_family import KeyFamily

REDUCTION_DEPTH = 8
"""Levels of the modular reduction: one for T_2, four for a series of degree 15, and three doublings of the angle."""
LARGE_RING, SMALL_RING = 1 << 16, 1 << 15
STANDARD_RINGS = (LARGE_RING, SMALL_RING)
"""Ring degrees of the standard sets."""


@dataclass(frozen=True, slots=True)
class PrimeSizes:
    """Sizes in bits of the primes of a bootstrap set by their use, and the shapes of its keys.

    Args:
        base: q_0.
        to_coefficients: a prime for each factor of SlotsToCoeffs.
        user: one of the `user_levels` primes between two bootstraps, and the scale of a value of 1.
        user_levels: the number of levels between two bootstraps.
        reduction: REDUCTION_DEPTH primes, the last step first: three doublings, the series, T_2.
        to_slots: a prime for each factor of CoeffsToSlots but the first.
        special: the special primes.
        digit_size: primes of a digit of the main keys.
        low_family: the family of the keys of SlotsToCoeffs.
        babies: pairs of baby steps to try, as BootstrapSet takes them, the fastest first; the second is the default.
    """

    base: int
    to_coefficients: tuple[int, ...]
    user: int
    user_levels: int
    reduction: tuple[int, ...]
    to_slots: tuple[int, ...]
    special: tuple[int, ...]
    digit_size: int
    low_family: KeyFamily
    babies: tuple[tuple[int, int], ...]

    @property
    def chain(self) -> tuple[int, ...]:
        """The sizes from q_0 up."""
        user = (self.user,) * self.user_levels
        return (self.base, *self.to_coefficients, *user, *self.reduction, *self.to_slots)


def standard_user_levels(ring_degree: int) -> range:
    """Return the numbers of user levels that standard sets on this ring may have, for which the table has room.

    Rings that have no standard set of their own take those of 2^16.
    """
    if ring_degree == SMALL_RING:
        return range(min(_SMALL_RING), max(_SMALL_RING) + 1)
    return range(1, 13)


def standard_sizes(ring_degree: int, user_levels: int) -> PrimeSizes:
    """Return the standard sizes for a ring. Rings that have none of their own take those of 2^16.

    Raises:
        ParameterError: there are none for that many levels.
    """
    if ring_degree != SMALL_RING:
        return _large_ring(user_levels)
    if user_levels not in _SMALL_RING:
        raise ParameterError(
            f"user_levels must be {min(_SMALL_RING)} to {max(_SMALL_RING)} at ring degree {ring_degree}, "
            f"got {user_levels}"
        )
    return _SMALL_RING[user_levels]


def _large_ring(user_levels: int) -> PrimeSizes:
    # T_2 and the first products of the series, where most noise is made, have 47 bits: a quarter of the noise of 45.
    # All other primes stay at 45 bits, below which the transforms are fastest at this ring degree.
    reduction = (*[45] * (REDUCTION_DEPTH - 4), *[47] * 4)
    chain = (45, *[30] * 3, *[40] * user_levels, *reduction, *[42] * 3)
    digit_size = -(-len(chain) // 2)
    return PrimeSizes(
        base=45,
        to_coefficients=(30,) * 3,
        user=40,
        user_levels=user_levels,
        reduction=reduction,
        to_slots=(42,) * 3,
        # log2(P) must reach the largest digit, the upper one.
        special=(45,) * -(-sum(chain[digit_size:]) // 45),
        digit_size=digit_size,
        # Four special primes reach a digit of five: SlotsToCoeffs and a map above it have keys of one digit.
        low_family=KeyFamily(4, 5),
        babies=((8, 8), (8, 4), (4, 4), (4, 2)),
    )


def _small(
    user_levels: int,
    user: int,
    reduction: tuple[int, ...],
    to_slots: tuple[int, ...],
    special: tuple[int, ...],
    base: int = 42,
    to_coefficients: tuple[int, ...] = (28, 28),
) -> PrimeSizes:
    """Return sizes for the ring of degree 2^15, with digits of as many primes as there are special ones."""
    # Three special primes reach a digit of four up to the level above SlotsToCoeffs.
    return PrimeSizes(
        *(base, to_coefficients, user, user_levels, reduction, to_slots, special, len(special)),
        low_family=KeyFamily(3, 4),
        babies=((16, 8), (16, 4), (8, 4), (8, 2)),
    )


_SMALL_RING: Mapping[int, PrimeSizes] = MappingProxyType(
    {
        sizes.user_levels: sizes
        for sizes in (
            # Four special primes and three more levels for CoeffsToSlots, as long as there is room for them.
            _small(3, 33, (40, 40, 43, 45, 45, 45, 45, 45), (38,) * 3, (45, 45, 45, 45)),
            _small(4, 33, (40, 40, 43, 45, 45, 45, 45, 45), (38,) * 3, (43, 44, 44, 44)),
            _small(5, 33, (41, 43, 44, 44, 44, 44, 44, 44), (38,) * 2, (44, 44, 45, 45)),
            _small(6, 33, (42, 44, 45, 44, 45, 45, 45, 45), (38,) * 2, (45, 45, 45)),
            _small(7, 32, (39, 41, 43, 44, 44, 44, 44, 44), (36,) * 2, (45, 45, 45), 39, (27, 27)),
            _small(8, 32, (35, 38, 40, 42, 42, 42, 42, 42), (34,) * 2, (42, 43, 43), 39, (27, 27)),
        )
    }
)
"""The sizes at ring degree 2^15, by user levels. The noise of a bootstrap has a standard deviation of 2^-17.2 to
2^-16.2 of the range, with eight levels 2^-14.1. Fewer than three levels are no faster for each; nine have no room. All
primes have 45 bits or less, below which the transforms are fastest at this ring degree."""
