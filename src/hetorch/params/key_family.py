"""The families of switching keys beside the main one: fewer special primes and smaller digits for lower levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hetorch.errors import ParameterError
from hetorch.params.checks import integer

MAX_FAMILY_COUNT = 8
"""Most families beside the main one; bootstrapping has three. Raised, foreign parameters can make a reader spend more
time and memory on their constants: 64 families of 64 primes take twenty times as long as the parameters alone."""


@dataclass(frozen=True, slots=True, order=True)
class KeyFamily:
    """The shape of switching keys: the first `special_count` special primes make their P, and each digit has
    `digit_size` primes of the chain.

    A key for a low level needs a smaller P than one for the top: it is smaller, and a switch with it is faster.
    """

    special_count: int
    digit_size: int

    @property
    def pair(self) -> tuple[int, int]:
        """The number of special primes and the digit size, as the core takes them."""
        return self.special_count, self.digit_size

    def digit_count(self, level: int) -> int:
        """Return the number of digits of a key for `level`."""
        return -(-(level + 1) // self.digit_size)

    def to_json(self) -> dict[str, int]:
        """Return the shape as plain data, which parse_families reads."""
        return {"special_count": self.special_count, "digit_size": self.digit_size}


def parse_families(data: object) -> tuple[KeyFamily, ...]:
    """Return the families of a list of to_json's objects, which need not be trusted.

    Raises:
        ParameterError: it is not such a list, or a value is not an integer.
    """
    if isinstance(data, str | bytes) or not isinstance(data, Sequence) or len(data) > MAX_FAMILY_COUNT:
        raise ParameterError(f"key_families must be a list of at most {MAX_FAMILY_COUNT} families")
    families = []
    for entry in data:
        if not isinstance(entry, Mapping) or entry.keys() != {"special_count", "digit_size"}:
            raise ParameterError("a family of keys has the fields special_count and digit_size")
        families.append(
            KeyFamily(
                integer("special_count", entry["special_count"]), integer("digit_size", entry["digit_size"])
            )
        )
    return tuple(families)


def check_families(families: Sequence[KeyFamily], special_count: int, chain_length: int) -> None:
    """Raise ParameterError unless the families are few and distinct, and fit these numbers of primes."""
    if len(families) > MAX_FAMILY_COUNT:
        raise ParameterError(
            f"key_families has {len(families)} families, at most {MAX_FAMILY_COUNT} are supported"
        )
    for family in families:
        if not 1 <= family.special_count <= special_count:
            raise ParameterError(
                f"a family of keys has 1..{special_count} special primes (the length of special_primes), "
                f"got {family.special_count}"
            )
        if not 1 <= family.digit_size <= chain_length:
            raise ParameterError(
                f"a family of keys has digits of 1..{chain_length} primes (the length of modulus_chain), "
                f"got {family.digit_size}"
            )
    if len(set(families)) != len(families):
        raise ParameterError("the families of keys must be distinct, two of them have one shape")
