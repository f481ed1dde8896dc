"""The candidates of the search, enumerated at one place in the order of preference.

The enumeration is lazy and takes feedback: it looks at the evaluation of each candidate before it yields the next one,
and leaves out those that cannot win. Rings come from the smallest on, and the search ends with the first ring that has
a feasible candidate within the limits on memory and keys, or with the next one if some tensor of a run does not fit
into one ciphertext. Fold penalties are raised only if the noise is too large, and key weights only if the keys are.
Spare bits are lowered until the security level allows the chain.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from hetorch.compiler.costs.model import KEY
from hetorch.compiler.options import LARGEST_RING, SMALLEST_RING
from hetorch.compiler.packing.placements import power_of_two
from hetorch.compiler.search.request import Request

KEY_WEIGHTS = (KEY, 0.3, 1.0, 3.0, 10.0)
"""Cost of a key in the split of a map, where a hoisted rotation costs 1.2 and a giant step 4. Tried in turn until the
keys are few (FEWER_KEYS): a heavier weight trades time for fewer keys."""
FOLD_PENALTIES = (0.0, 0.02, 0.2)
"""Penalty per summed slot, in rotations, raised until a chain is precise enough: folds amplify noise, since the sum of
2^k slots has 2^k times the variance of one."""
DIGIT_SIZES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32)
"""Numbers of primes in a digit of key switching that are tried. Larger digits mean fewer of them in a key switch and
smaller keys, and more special primes."""
ASSUMED_DIGIT_SIZE = 5
"""Digit size for which layouts are chosen first. Raised, layouts have more rotations and fewer diagonals."""
SPARE_BITS = (6, 5, 4, 3, 2, 1, 0)
"""Numbers of bits by which P exceeds the largest digit, in the order in which they are tried. Key-switching noise is
about 10 times the rounding error at 0 bits, and negligible beside it at 6."""
BATCH_STEP = 2
"""Bits between the numbers of samples that are tried for throughput. Raised, fewer are tried: the search is faster, and
may miss the cheapest one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One point of the search; the fields are in the order in which they are decided.

    `variant`: index in Request.variants. `key_weight`: cost of a key (KEY_WEIGHTS). `ring_degree`: N. `batch`: samples
    side by side in the slots. `fold_penalty`: FOLD_PENALTIES. `layout_digit_size`: the digit size for which layouts are
    costed. `digit_size`: primes in a digit of key switching. `spare_bits`: bits of P beyond a digit.
    """

    variant: int
    key_weight: float
    ring_degree: int
    batch: int
    fold_penalty: float
    layout_digit_size: int
    digit_size: int
    spare_bits: int

    @property
    def positions(self) -> int:
        """The number of slots that each sample has in a ciphertext."""
        return self.ring_degree // 2 // self.batch


class Scope(IntEnum):
    """The set of candidates that one evaluation settles: no later candidate of the set is of use.

    SPARE_BITS is the candidate alone, DIGIT_SIZE all with its packing and digit size, BATCH all with its ring and
    batch, and RING_DEGREE all on its ring.
    """

    SPARE_BITS = 0
    DIGIT_SIZE = 1
    BATCH = 2
    RING_DEGREE = 3


class Feedback(Protocol):
    """Knowledge about the candidates that were yielded so far: the enumeration asks for it before the next one."""

    @property
    def feasible(self) -> bool:
        """True if the last candidate satisfies the request."""

    @property
    def settles(self) -> Scope:
        """The scope within which no candidate after the last one is of use."""

    def is_within_limits(self, variant: int, key_weight: float) -> bool:
        """Return whether a choice of this variant and key weight keeps the limits on memory and keys."""

    def wants_fewer_keys(self, variant: int, key_weight: float) -> bool:
        """Return whether the choices of this variant and key weight have too many keys or take too much memory."""


Enumeration = Generator[Candidate, None, bool]
"""A part of the enumeration; it returns whether one of its candidates was feasible."""


def candidates(request: Request, feedback: Feedback) -> Iterator[Candidate]:
    """Yield the candidates of `request`, best first; `feedback` must know each one before the next is asked for."""
    for variant in range(len(request.variants)):
        for key_weight in KEY_WEIGHTS:
            yield from _on_rings(request, feedback, variant, key_weight)
            if not feedback.wants_fewer_keys(variant, key_weight):
                break


def ring_degrees(request: Request) -> list[int]:
    """Return the ring degrees to try, smallest first."""
    if request.options.ring_degree is not None:
        return [request.options.ring_degree]
    largest = min(LARGEST_RING, request.backend.largest_ring)
    return [1 << k for k in range(SMALLEST_RING.bit_length() - 1, largest.bit_length())]


def batches(request: Request, slots: int) -> list[int]:
    """Return the numbers of samples side by side to try: powers of two that hold the batch size."""
    least = power_of_two(request.batch_size or 1)
    if not request.throughput or least > slots:
        return [least]
    first = least if request.batch_size else slots
    return sorted({min(first << k, slots) for k in range(0, 2 * slots.bit_length(), BATCH_STEP)})


def digit_sizes(request: Request) -> tuple[int, ...]:
    """Return the digit sizes to try: the backend's, the one asked for, or all."""
    fixed = request.backend.digit_size or request.options.digit_size
    return DIGIT_SIZES if fixed is None else (fixed,)


def _on_rings(request: Request, feedback: Feedback, variant: int, key_weight: float) -> Enumeration:
    """Yield candidates on rings from the smallest on; the module's docstring says where they end."""
    program = request.variants[variant].program
    largest_tensor = max(power_of_two(program.size(value)) for value in range(program.value_count))
    first = 0
    for ring in ring_degrees(request):
        feasible = False
        for batch in batches(request, ring // 2):
            feasible |= yield from _on_layouts(request, feedback, variant, key_weight, ring, batch)
            if feedback.settles >= Scope.RING_DEGREE:
                break
        if feedback.settles >= Scope.RING_DEGREE:
            continue
        first = first or (ring if feasible else 0)
        fits = ring // 2 >= largest_tensor * (request.batch_size or 1)
        tried = bool(first) and (request.throughput or fits or ring > first)
        if tried and feedback.is_within_limits(variant, key_weight):
            break
    return first > 0


def _on_layouts(
    request: Request, feedback: Feedback, variant: int, key_weight: float, ring: int, batch: int
) -> Enumeration:
    """Yield candidates with layouts of fewer and fewer folds, until one is feasible.

    The cheapest layouts depend on the digit size. They are searched for ASSUMED_DIGIT_SIZE, and with the last penalty
    for the smallest one.
    """
    sizes = digit_sizes(request)
    for penalty in FOLD_PENALTIES:
        assumed = sizes[0] if penalty == FOLD_PENALTIES[-1] or len(sizes) == 1 else ASSUMED_DIGIT_SIZE
        feasible = False
        for digit_size in sizes:
            for spare_bits in SPARE_BITS:
                yield Candidate(variant, key_weight, ring, batch, penalty, assumed, digit_size, spare_bits)
                if feedback.settles >= Scope.DIGIT_SIZE:
                    break
            if feedback.settles >= Scope.BATCH:
                return False
            feasible |= feedback.feasible
        if feasible:
            return True
    return False
