"""The keys and the memory of a bootstrap, from its set alone: the diagonals of its maps without their values.

The maps are the factors of the embedding (cpp/circuits/embedding_factors.h), cut into baby and giant steps
(cpp/circuits/slot_maps.h).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hetorch.engine.keys import (
    EvaluationKeySpec,
    KeyEnd,
    KeyLink,
    SparseSecret,
    galois_element,
    main_family,
)
from hetorch.params.bootstrap_set import SPARSE_FAMILY, SPARSE_WEIGHT, BootstrapSet, one_digit_family
from hetorch.params.key_family import KeyFamily

WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class FactorOutline:
    """The steps of one factor's diagonals, multiples of `stride`; the diagonals repeat after `period` slots."""

    steps: frozenset[int]
    stride: int
    period: int


@dataclass(frozen=True, slots=True)
class MapOutline:
    """A factor as a map: its level and the family of its keys; `babies` is 0 for the map of raised polynomials, in
    which every step is a baby step."""

    factor: FactorOutline
    level: int
    family: KeyFamily
    babies: int

    def steps(self, slot_count: int) -> frozenset[int]:
        """Return the rotation steps that have a key."""
        if self.babies == 0:
            return frozenset(steps % slot_count for steps in self.factor.steps)
        needed, base = set(), self.factor.stride * self.babies
        for steps in self.factor.steps:
            baby = steps % base
            giant = (steps - baby) % slot_count
            if baby:
                needed.add(baby)
            if giant:
                # Giant steps follow each other, so one key serves all on a side of 0.
                needed.add(base if 2 * giant <= slot_count else slot_count - base)
        return frozenset(needed)

    @property
    def groups(self) -> int:
        """The number of giant steps, 0 included if it occurs."""
        base = self.factor.stride * self.babies
        return len({steps // base for steps in self.factor.steps}) if self.babies else 1

    def rows(self) -> int:
        """Return the number of primes of the diagonals: those of the level, and the special ones of the family."""
        return self.level + 1 + self.family.special_count


def bootstrap_maps(boot: BootstrapSet) -> tuple[MapOutline, ...]:
    """Return the maps in the order of their use; the first one of CoeffsToSlots is that of raised polynomials."""
    p = boot.parameters
    low, high = boot.babies
    first, *rest = _factors(boot.slots, boot.to_slots, inverse=True)
    one_digit = one_digit_family(len(p.modulus_chain), len(p.special_primes))
    return (
        *(
            MapOutline(factor, boot.input_level - i, boot.low_family, low)
            for i, factor in enumerate(_factors(boot.slots, boot.to_coefficients, inverse=False))
        ),
        MapOutline(first, p.max_level, one_digit, 0),
        *(MapOutline(factor, p.max_level - i, main_family(p), high) for i, factor in enumerate(rest)),
    )


def bootstrap_keys(boot: BootstrapSet) -> EvaluationKeySpec:
    """Return the keys of a bootstrap."""
    p, main = boot.parameters, main_family(boot.parameters)
    links = [
        KeyLink(KeyEnd.DENSE, KeyEnd.SPARSE, 1, SPARSE_FAMILY, 0),
        KeyLink(KeyEnd.DENSE_SQUARED, KeyEnd.DENSE, 1, main, boot.reduction_level),
        KeyLink(KeyEnd.DENSE, KeyEnd.DENSE, 2 * p.ring_degree - 1, main, boot.reduction_level),
    ]
    for at in bootstrap_maps(boot):
        source = KeyEnd.DENSE if at.babies else KeyEnd.SPARSE_SCALED
        for steps in at.steps(p.slot_count):
            element = galois_element(steps, p.ring_degree, p.slot_generator)
            links.append(KeyLink(source, KeyEnd.DENSE, element, at.family, at.level))
    return EvaluationKeySpec.collected(p, links, SparseSecret(SPARSE_WEIGHT, boot.spacing))


def diagonal_bytes(boot: BootstrapSet) -> int:
    """Return the bytes in memory of the encoded diagonals of all maps."""
    ring_degree = boot.parameters.ring_degree
    return sum(
        len(at.factor.steps) * at.rows() * min(ring_degree, 2 * at.factor.period) * WORD_BYTES
        for at in bootstrap_maps(boot)
    )


def key_switch_count(to_coefficients: Sequence[int], to_slots: Sequence[int], babies: tuple[int, int]) -> int:
    """Return the number of key switches of a bootstrap for rotations and between the secrets."""
    slots = 1 << sum(to_coefficients)
    first, *rest = _factors(slots, to_slots, inverse=True)
    low = _factors(slots, to_coefficients, inverse=False)
    # The switch to the sparse secret, the conjugation, and one for each diagonal of the first factor.
    total = 2 + len(first.steps)
    for factor, count in [
        *((factor, babies[0]) for factor in low),
        *((factor, babies[1]) for factor in rest),
    ]:
        base = factor.stride * count
        small, large = {step % base for step in factor.steps}, {step // base for step in factor.steps}
        total += len(small - {0}) + len(large - {0})
    return total


def _factors(slots: int, stages: Sequence[int], *, inverse: bool) -> Iterator[FactorOutline]:
    """Yield the factors in the order of their use: stage l has the steps 0 and l/2 to both sides."""
    length = slots if inverse else 2
    for count in stages:
        steps, stride, period = {0}, slots, 1
        for _ in range(count):
            half = length // 2
            steps = {a + b for a in steps for b in (-half, 0, half)}
            stride, period = min(stride, half), max(period, length)
            length = length // 2 if inverse else length * 2
        if period == slots:
            steps = {step % slots for step in steps}
        yield FactorOutline(frozenset(steps), stride, period)
