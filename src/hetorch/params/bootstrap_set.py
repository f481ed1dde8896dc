"""Parameter sets with room for bootstrapping, and the use of each of their primes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetorch.errors import ParameterError, SecurityError
from hetorch.params.bootstrap_sizes import LARGE_RING, REDUCTION_DEPTH, PrimeSizes, standard_sizes
from hetorch.params.key_family import KeyFamily
from hetorch.params.parameter_set import DEFAULT_SLOT_GENERATOR, ParameterSet
from hetorch.params.primes import chain_primes
from hetorch.params.security import Security, max_log2_sparse

SPARSE_WEIGHT = 32
"""Number of nonzero coefficients of the sparse secret. Raised, |I| grows with its square root, past the range of the
modular reduction; lowered, the security table has no row."""
MESSAGE_RATIO = 2.0**8
"""q_0 over the scale at which a coefficient is 1. Doubled, the noise of the result grows by a bit, and the distortion
of the sine falls by two."""
SPARSE_FAMILY = KeyFamily(1, 1)
"""Shape of the key to the sparse secret: over q_0 and one special prime."""


@dataclass(frozen=True, slots=True)
class BootstrapSet:
    """A parameter set with room for bootstrapping.

    The primes of its chain are, from q_0 up: the base q_0, one for each factor of SlotsToCoeffs, those of the user's
    levels, REDUCTION_DEPTH for the modular reduction, and one for each factor of CoeffsToSlots but the first, which
    takes no level.

    Args:
        parameters: the chain; its key_families hold SPARSE_FAMILY, `low_family` and one_digit_family.
        slots: the number of values in a ciphertext, a power of two; fewer than slot_count repeat along the slots.
        to_coefficients: stages in each factor of SlotsToCoeffs, in the order of their use; they add up to log2(slots).
        to_slots: stages in each factor of CoeffsToSlots, two or more. The first has a key for each diagonal.
        low_family: the family of the keys of SlotsToCoeffs.
        babies: baby steps of a factor of SlotsToCoeffs and of CoeffsToSlots. Raised, a bootstrap is faster and has more
            keys.

    Raises:
        ParameterError: the stages, the families or the number of primes do not fit.
        SecurityError: the key to the sparse secret is over a larger modulus than the table allows at its dimension, or
            the security is one for which the table has no such rows.
    """

    parameters: ParameterSet
    slots: int
    to_coefficients: tuple[int, ...]
    to_slots: tuple[int, ...]
    low_family: KeyFamily
    babies: tuple[int, int] = (4, 4)

    def __post_init__(self) -> None:
        p = self.parameters
        if p.slot_generator != DEFAULT_SLOT_GENERATOR:
            raise ParameterError(f"bootstrapping takes the slot generator 5, got {p.slot_generator}")
        if self.slots < 2 or self.slots & (self.slots - 1) or self.slots > p.slot_count:
            raise ParameterError(f"slots must be a power of two from 2 to {p.slot_count}, got {self.slots}")
        for name, stages in (("to_coefficients", self.to_coefficients), ("to_slots", self.to_slots)):
            if not stages or min(stages) < 1 or sum(stages) != self.slots.bit_length() - 1:
                raise ParameterError(
                    f"{name} must be positive and add up to log2(slots) = {self.slots.bit_length() - 1}, got {stages}"
                )
        if min(self.babies) < 1:
            raise ParameterError(f"babies are 1 or more, got {self.babies}")
        if len(self.to_slots) < 2:
            raise ParameterError(f"to_slots has two factors or more, got {self.to_slots}")
        one_digit = one_digit_family(len(p.modulus_chain), len(p.special_primes))
        for family in (SPARSE_FAMILY, self.low_family, one_digit):
            if family not in p.key_families and family != KeyFamily(len(p.special_primes), p.digit_size):
                raise ParameterError(
                    f"key_families must hold {family}, which bootstrapping uses, got {p.key_families}"
                )
        if self.user_levels < 1:
            needed = len(self.to_coefficients) + len(self.to_slots) + REDUCTION_DEPTH + 1
            raise ParameterError(
                f"bootstrapping leaves no level: the chain has {p.max_level + 1} primes, at least {needed} are needed"
            )
        _check_noise(p, SPARSE_FAMILY, 0)
        _check_noise(p, self.low_family, self.input_level)
        check_sparse_key(p, self.sparse_dimension, SPARSE_WEIGHT)

    @property
    def input_level(self) -> int:
        """The level at which a bootstrap starts."""
        return len(self.to_coefficients)

    @property
    def output_level(self) -> int:
        """The level at which a bootstrap ends."""
        return self.parameters.max_level - (len(self.to_slots) - 1) - REDUCTION_DEPTH

    @property
    def reduction_level(self) -> int:
        """The level at which the modular reduction starts."""
        return self.output_level + REDUCTION_DEPTH

    @property
    def user_levels(self) -> int:
        """The levels between two bootstraps."""
        return self.output_level - self.input_level

    @property
    def user_bits(self) -> int:
        """The size in bits of the user's primes."""
        return round(math.log2(self.parameters.modulus_chain[self.output_level]))

    @property
    def spacing(self) -> int:
        """The distance of the powers of X that a message has; the sparse secret has no others."""
        return self.parameters.slot_count // self.slots

    @property
    def sparse_dimension(self) -> int:
        """The dimension of the ring in which the sparse secret lies."""
        return 2 * self.slots

    @property
    def roles(self) -> tuple[str, ...]:
        """The use of each prime of the chain, from q_0 up."""
        return (
            "base",
            *["slots-to-coefficients"] * len(self.to_coefficients),
            *["user"] * self.user_levels,
            *["modular-reduction"] * REDUCTION_DEPTH,
            *["coefficients-to-slots"] * (len(self.to_slots) - 1),
        )


def _check_noise(parameters: ParameterSet, family: KeyFamily, level: int) -> None:
    """Raise ParameterError unless P reaches half of every digit up to `level`, as ParameterSet asks of the main family.

    Key switching multiplies digits by noise and divides by P.
    """
    special = math.prod(parameters.special_primes[: family.special_count])
    chain = parameters.modulus_chain[: level + 1]
    digits = [
        math.prod(chain[first : first + family.digit_size])
        for first in range(0, len(chain), family.digit_size)
    ]
    if 2 * special < max(digits):
        raise ParameterError(
            f"{family} has log2(P) = {math.log2(special):.1f} bits, but a digit of {math.log2(max(digits)):.1f} up to "
            f"level {level}: key switching would drown the message in noise; use more special primes, larger ones or "
            "smaller digits"
        )


def check_sparse_key(parameters: ParameterSet, dimension: int, weight: int) -> None:
    """Raise SecurityError unless the key to a sparse secret, over q_0 and the first special prime, is in the table.

    Args:
        parameters: those of the key; any modulus is allowed if their security is `none`.
        dimension: the dimension of the ring in which the sparse secret lies.
        weight: its number of nonzero coefficients.
    """
    security = parameters.security
    if security is Security.NONE:
        return
    bound = int(max_log2_sparse(dimension, weight, security))
    exponent = dimension.bit_length() - 1
    if bound == 0:
        raise SecurityError(
            f"bootstrapping is not available with security {security.value} and a sparse secret of dimension "
            f"2^{exponent} and weight {weight}: its table has rows at 128 bits, dimensions of 2^15 and 2^16 and weight "
            f"{SPARSE_WEIGHT} only"
        )
    # Integers are compared: two primes above 2^45 have a product above 2^90.
    bits = (parameters.modulus_chain[0] * parameters.special_primes[0]).bit_length()
    if bits > bound:
        raise SecurityError(
            f"the key to the sparse secret is over a modulus of {bits} bits, more than the {bound} of the row for "
            f"dimension 2^{exponent} and weight {weight}; use a smaller q_0 or first special prime"
        )


def one_digit_family(chain_length: int, special_count: int) -> KeyFamily:
    """Return the family of the keys of the first factor of CoeffsToSlots: all primes of the chain are one digit.

    What they multiply is below q_0, so such a key needs no P above its digit.
    """
    return KeyFamily(special_count, chain_length)


def bootstrap_parameters(
    ring_degree: int,
    modulus_bits: tuple[int, ...],
    special_bits: tuple[int, ...],
    *,
    digit_size: int,
    low_family: KeyFamily,
    security: Security = Security.CLASSICAL_128,
) -> ParameterSet:
    """Return the parameters of a bootstrap set: the primes nearest to these sizes, the smallest special prime first.

    The key to the sparse secret is over q_0 and the first special prime, whose product must be small. The errors are
    those of ParameterSet.
    """
    primes = chain_primes([*modulus_bits, *special_bits], ring_degree)
    count = len(modulus_bits)
    return ParameterSet(
        ring_degree,
        primes[:count],
        tuple(sorted(primes[count:])),
        digit_size,
        security,
        key_families=tuple(
            dict.fromkeys((SPARSE_FAMILY, low_family, one_digit_family(count, len(special_bits))))
        ),
    )


def standard_bootstrap_set(
    slots: int = 1 << 15,
    user_levels: int = 8,
    *,
    ring_degree: int = LARGE_RING,
    security: Security = Security.CLASSICAL_128,
    babies: tuple[int, int] | None = None,
) -> BootstrapSet:
    """Return the set with the standard sizes of primes for a ring.

    Args:
        slots: the slots of the ring or half of them. At 128 bits, the sparse secret takes 2^14 or more.
        user_levels: levels between two bootstraps. Each more makes a bootstrap slower and its keys larger; at ring
            degree 2^15 it also makes the primes smaller, and bootstraps noisier.
        ring_degree: N, 2^15 or 2^16. Other rings take the sizes of 2^16 and the security `none`.
        security: that of the chain and of the keys to the sparse secret.
        babies: as for BootstrapSet; by default those of the sizes.

    Raises:
        ParameterError: `slots` is another number, or the ring has no set of that many levels.
        SecurityError: the chain of that many levels is too long, or the dimension of the sparse secret is too small.
    """
    return bootstrap_set_of_sizes(
        standard_sizes(ring_degree, user_levels),
        slots,
        ring_degree=ring_degree,
        security=security,
        babies=babies,
    )


def bootstrap_set_of_sizes(
    sizes: PrimeSizes,
    slots: int,
    *,
    ring_degree: int,
    security: Security = Security.CLASSICAL_128,
    babies: tuple[int, int] | None = None,
) -> BootstrapSet:
    """Return the set with these sizes of primes. Arguments and errors are those of standard_bootstrap_set."""
    most = ring_degree // 2
    if slots not in (most // 2, most):
        raise ParameterError(f"slots must be {most // 2} or {most}, half of the ring's or all, got {slots}")
    parameters = bootstrap_parameters(
        ring_degree,
        sizes.chain,
        sizes.special,
        digit_size=sizes.digit_size,
        low_family=sizes.low_family,
        security=security,
    )
    stages = slots.bit_length() - 1
    return BootstrapSet(
        parameters,
        slots,
        _split(stages, len(sizes.to_coefficients)),
        _to_slots(stages, len(sizes.to_slots) + 1),
        sizes.low_family,
        babies or sizes.babies[1],
    )


def _to_slots(stages: int, factors: int) -> tuple[int, ...]:
    """Divide the stages among the factors of CoeffsToSlots."""
    to_slots = _split(stages, factors)
    if to_slots[-2] < to_slots[0]:
        # The first factor has a key for each diagonal.
        return (to_slots[-1], *to_slots[:-1])
    return to_slots


def _split(stages: int, factors: int) -> tuple[int, ...]:
    """Divide the stages among the factors, those first that have one more than the others."""
    least, more = divmod(stages, factors)
    return (*[least + 1] * more, *[least] * (factors - more))
