"""The requirements that a candidate must satisfy (slots, precision, sizes of primes, security), and the margins by
which it misses them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hetorch.compiler.noise.predict_errors import OwnNoise, predict_error
from hetorch.compiler.noise.range_noise import ROOM, range_noise
from hetorch.compiler.packing.lower import LIGHTEST
from hetorch.compiler.passes.assign_scales import assign_scales
from hetorch.compiler.search.candidates import SPARE_BITS, Candidate, Scope, digit_sizes
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.variants import LoweredVariant, Variant
from hetorch.engine.noise import NoiseModel
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply
from hetorch.params import Security, max_log2_qp
from hetorch.plan.public import OUTPUT_ROOM_BITS

SPECIAL_BITS = 49
"""Largest size in bits of a special prime and of q_0: below 2^50, where the vector kernels end."""
HEADROOM_BITS = 1 + OUTPUT_ROOM_BITS
"""Bits of q_0 above the calibrated outputs: one for the sign, the others for inputs that calibration did not see."""
MOST_SCALE_BITS = SPECIAL_BITS - HEADROOM_BITS
"""Largest size in bits of the scale: q_0, with its headroom, stays within SPECIAL_BITS."""
PRIME_BITS = 0.02
"""Bits of q_0 above a number that must lie below it, because primes lie beside the powers of two. Raised, q_0 takes one
bit more where the number is just below a power of two."""
BIAS_BITS = 1 + PRIME_BITS
"""Bits of q_0 above the largest bias, one of them for the sign. A bias may be larger than the sum that it belongs to,
but it is the same for every input and needs no headroom. The other terms of the sum may have any size: residues add up
modulo q_0, and only the decrypted sum must lie below it."""
TRIAL_BITS = 32.0
"""Scale, in bits, at which the error is predicted once; the bits that the precision needs follow from it."""


class Limit(Enum):
    """A requirement that a candidate misses, with the set of candidates that miss it too (Scope)."""

    RING = ("even maps of one diagonal need more bits of QP than security allows", Scope.RING_DEGREE)
    SLOTS = ("the samples of a run need more slots", Scope.BATCH)
    LAYOUTS = ("no layouts were found", Scope.BATCH)
    DIGITS = ("a digit has more primes than the chain", Scope.DIGIT_SIZE)
    PRECISION = ("the scale needs more bits than a prime may have", Scope.SPARE_BITS)
    OUTPUT = ("q_0 needs more bits than a prime may have", Scope.SPARE_BITS)
    SPECIAL_PRIMES = ("P needs more primes than the engine takes", Scope.SPARE_BITS)
    SECURITY = ("the chain needs more bits of QP than security allows", Scope.SPARE_BITS)
    PRIMES = ("there are no primes of these sizes, or their product is slightly too large", Scope.SPARE_BITS)

    def __init__(self, meaning: str, settles: Scope) -> None:
        self.meaning = meaning
        self.settles = settles


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A candidate that misses the requirement `limit`: it needs `needed` and may have at most `allowed`.

    Both are bits, numbers of primes or numbers of slots, depending on the limit; NaN if the limit has no number.
    `detail` is a sentence for the user, or empty.
    """

    candidate: Candidate
    limit: Limit
    needed: float = math.nan
    allowed: float = math.nan
    detail: str = ""

    @property
    def feasible(self) -> bool:
        return False

    @property
    def settles(self) -> Scope:
        return self.limit.settles


@dataclass(frozen=True, slots=True)
class Miss:
    """A requirement that no chain with these digits and spare bits meets; the fields are those of Infeasible."""

    limit: Limit
    needed: float
    allowed: float


@dataclass(frozen=True, slots=True)
class ChainSizes:
    """Sizes of primes in bits: `bits` for the prime of a level, `primes` from q_0 on, `special` for the primes of P."""

    bits: int
    primes: list[int]
    special: list[int]

    @property
    def total(self) -> int:
        """The sum of all sizes, which is about log2(QP)."""
        return sum(self.primes) + sum(self.special)


def security_room(ring_degree: int, security: Security) -> float:
    """Return the bits of QP that the security table allows, and one more for the primes' distance from powers of two.

    ParameterSet then compares the product itself with the table.
    """
    return math.inf if security is Security.NONE else max_log2_qp(ring_degree, security) + 1


def least_bits(request: Request, variant: Variant, ring_degree: int, enough: float = -math.inf) -> float:
    """Return a lower bound of log2(QP) for any layouts: each map is taken to have one diagonal and no rotation.

    If some digit size and spare bits take `enough` bits or fewer, the bits of the first such are returned.
    """
    operations = variant.program.operations
    lightest = {index: LIGHTEST for index, op in enumerate(operations) if isinstance(op, Affine)}
    lowered = LoweredVariant(variant, lightest, variant.sensitivity)
    chains = (
        chain_sizes(request, lowered, ring_degree, size, spare, least=True)
        for size in digit_sizes(request)
        for spare in SPARE_BITS
    )
    least = math.inf
    for chain in chains:
        if isinstance(chain, ChainSizes):
            least = min(least, chain.total)
        if least <= enough:
            break
    return least


def chain_sizes(
    request: Request,
    lowered: LoweredVariant,
    ring_degree: int,
    digit_size: int,
    spare_bits: int,
    *,
    least: bool = False,
) -> ChainSizes | Miss:
    """Return the smallest sizes of primes with which the predicted error meets the precision.

    The chain has one prime of the scale's size for each level, q_0 with room for the output, and the fewest special
    primes that hold a digit and the spare bits. With `least`, the result is a lower bound, as in predict_errors.
    """
    variant = lowered.variant
    program, levels = variant.program, variant.levels
    if digit_size > levels[0] + 1:
        return Miss(Limit.DIGITS, digit_size, levels[0] + 1)
    model = NoiseModel(ring_degree, 2.0**-spare_bits, digit_size)
    wanted = request.options.scale_bits or _scale_bits(request, lowered, model, least)
    if wanted > MOST_SCALE_BITS:
        return Miss(Limit.PRECISION, wanted, MOST_SCALE_BITS)
    bits = max(wanted, _prime_floor(ring_degree))
    scales = assign_scales(program, levels, variant.sizes, bits, None)
    first = max(math.ceil(math.log2(_largest_number(request, variant, scales, bits))), bits)
    if first > SPECIAL_BITS:
        return Miss(Limit.OUTPUT, first, SPECIAL_BITS)
    special = _special_bits(first + (digit_size - 1) * bits + spare_bits, ring_degree)
    most = request.backend.special_prime_count
    if most is not None and len(special) > most:
        return Miss(Limit.SPECIAL_PRIMES, len(special), most)
    return ChainSizes(bits, [first] + [bits] * levels[0], special)


def _largest_number(request: Request, variant: Variant, scales: Sequence[float], bits: int) -> float:
    """Return the number that q_0 must reach, with the headroom of each.

    Outputs and their biases must lie below it. Engines refuse a product whose scale is not below its modulus: after the
    division by the prime of its level, the scale must be below the modulus of its own level, and so must the largest
    coefficient of a series, times the scale.
    """
    program = variant.program
    all_checked = request.backend.checks_every_scale or request.options.encrypted_weights
    largest = [1.0]
    for value, (level, scale) in enumerate(zip(variant.levels, scales, strict=True)):
        op = program.operations[value - 1] if value else None
        if all_checked or isinstance(op, Multiply | Chebyshev):
            factor = float(np.max(np.abs(op.coefficients))) if isinstance(op, Chebyshev) else 1.0
            largest.append(scale * max(factor, 1.0) * 2.0 ** (PRIME_BITS * (level + 1) - level * bits))
        if level == 0:
            largest.append(scale * variant.sizes[value] * 2**HEADROOM_BITS)
        if level == 0 and isinstance(op, Affine):
            largest.append(scale * float(np.max(np.abs(op.bias))) * 2**BIAS_BITS)
    return max(largest)


def _scale_bits(request: Request, lowered: LoweredVariant, model: NoiseModel, least: bool) -> int:
    """Return the bits of the scale at which the predicted error meets the precision, and noise stays in the ranges."""
    variant, sensitivity = lowered.variant, lowered.sensitivity
    program, levels = variant.program, variant.levels
    scales = assign_scales(program, levels, variant.sizes, TRIAL_BITS, None)
    encrypted = request.options.encrypted_weights
    facts = (program, lowered.maps, levels, scales, model, sensitivity, TRIAL_BITS)
    error = predict_error(*facts, encrypted=encrypted, least=least)
    excess = error / request.output_range / request.precision
    if not least:
        own = OwnNoise(*facts, encrypted)
        reached = range_noise(variant.range_gains, [own.of(v) for v in range(program.value_count)], scales)
        excess = max(excess, reached / ROOM)
    # Errors are proportional to 2^-bits, so one trial is enough; the primes themselves are within 2^-8 of 2^bits.
    return math.ceil(TRIAL_BITS + math.log2(excess) + 2.0**-8)


def _special_bits(bits: int, ring_degree: int) -> list[int]:
    """Return the sizes of the fewest special primes that hold `bits` together, each of at most SPECIAL_BITS."""
    count = -(-bits // SPECIAL_BITS)
    size = max(-(-bits // count), _prime_floor(ring_degree))
    return [size] * count


def _prime_floor(ring_degree: int) -> int:
    """Return the smallest size of primes in bits: primes = 1 mod 2N are plentiful from about 16 N on."""
    return max(20, (16 * ring_degree).bit_length())
