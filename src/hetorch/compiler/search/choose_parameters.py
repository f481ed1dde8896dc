"""Pass: the smallest ring and chain that is secure and precise enough, and of those the fastest.

For each ring degree, from the smallest: layouts are chosen for its slots (and, for a batch, for each number of samples
side by side), the error is predicted, and since every error falls as 2^-bits of the scale, the bits that the wanted
precision needs follow directly. The chain has one prime of that size a level, and q_0 with room for the output.
Digits of one to twelve primes are tried, with as many spare bits in P as the security table leaves: they push
key-switching noise below the rounding noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.costs.cost_model import KEY, CostModel
from hetorch.compiler.costs.machine import DEFAULT, Machine
from hetorch.compiler.noise.predict_errors import predict_errors
from hetorch.compiler.noise.sensitivity import Sensitivity
from hetorch.compiler.options import LARGEST_RING, SMALLEST_RING
from hetorch.compiler.packing.choose_layouts import Layouts, choose_layouts
from hetorch.compiler.packing.lower import LIGHTEST, LoweredMap, lower
from hetorch.compiler.packing.map_costs import MapMemo
from hetorch.compiler.packing.placements import power_of_two
from hetorch.compiler.packing.row_packing import LARGEST_MIXTURE, largest_mixture, trace_mixtures
from hetorch.compiler.passes.assign_scales import assign_scales
from hetorch.engine.noise import NoiseModel
from hetorch.errors import ParameterError, PlanError
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply, TensorOp, TensorProgram
from hetorch.params import ParameterSet, Security, max_log2_qp

LARGEST_SEAL_RING = 1 << 15
HEADROOM_BITS = 4
"""Room in q_0 above the calibrated outputs: one bit for the sign, three for inputs that calibration did not see."""
BIAS_BITS = 1.02
"""Room above a bias, which may be larger than the sum that it belongs to: it is the same for every input, so one bit
for the sign, and a hair because primes lie beside the powers of two. Terms of the sum may be of any size: residues add
up modulo q_0, and only what is decrypted must lie below it."""
MOST_SCALE_BITS = 45
"""So that q_0, with its headroom, stays below 2^50 where the vector kernels end."""
SPARE_BITS = (6, 5, 4, 3, 2, 1, 0)
"""P / digit: key-switching noise is about 10 roundings at 0 spare bits and lost in the rounding at 6."""
SPECIAL_BITS = 49
TRIAL_BITS = 32.0
DIGIT_SIZES = (1, 2, 3, 4, 5, 6, 8, 12)
LANE_PRICES = (0.0, 0.02, 0.2)
"""Rotations that each slot of a folded sum counts: the next price where noise is too scarce for the layouts found with
one, so that the search folds less."""
BATCH_STEP = 2
"""Bits between the numbers of samples side by side that are tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """All decisions about one program: `lowered` is by index of operation; `shares` and `error` are bounds as
    predict_errors gives them; `cost` is in seconds, of one run, which takes `batch` samples side by side."""

    parameters: ParameterSet
    layouts: Layouts
    lowered: dict[int, LoweredMap]
    scales: tuple[float, ...]
    shares: tuple[float, ...]
    error: float
    cost: float
    batch: int = 1
    encrypted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Memo:
    """What requests that differ in their key weight alone need again: the maps, and the least bits by ring degree."""

    maps: MapMemo = field(default_factory=MapMemo)
    least_bits: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is asked for. `sizes`: largest absolute value of each value of `program`; `precision`: bound on the
    encryption error relative to `output_range`; `ring_degree`, `scale_bits` and `digit_size` None to choose.
    `batch_size`: samples that one run must take, None for as many as suit (throughput). `throughput`: as many places as
    make a run cheapest (or, without a batch size, a sample), in place of just enough. `encrypted`: the weights are
    ciphertexts. `for_seal`: one special prime, a ring that SEAL has, and its order of slots; with `digit_size` 1.
    `key_weight`: what a key counts beside the rotations of a map. `memo`: shared by requests about the same program."""

    program: TensorProgram
    levels: tuple[int, ...]
    sizes: tuple[float, ...]
    sensitivity: Sensitivity
    output_range: float
    precision: float
    security: Security
    ring_degree: int | None = None
    scale_bits: int | None = None
    digit_size: int | None = None
    batch_size: int | None = 1
    throughput: bool = False
    machine: Machine = DEFAULT
    encrypted: bool = False
    for_seal: bool = False
    key_weight: float = KEY
    memo: Memo = field(default_factory=Memo)


def choose_parameters(request: Request) -> Chosen:
    """The fastest choice on the smallest ring that will do, or on the next one if the tensors of a run do not fit in a
    ciphertext each. PlanError if none does."""
    program = request.program
    most = max(power_of_two(program.size(value)) for value in range(program.value_count))
    rings = [request.ring_degree] if request.ring_degree else _rings()
    if request.for_seal:
        rings = [ring for ring in rings if ring <= LARGEST_SEAL_RING]
    reasons: list[str] = []
    found: list[Chosen] = []
    first = 0
    for ring in rings:
        exponent = ring.bit_length() - 1
        room = _room(ring, request.security)
        least = _least_bits(request, ring)
        if least > room + 1:
            reasons.append(f"2^{exponent}: at least {least:.0f} bits needed, {room:.0f} allowed")
            continue
        batches = _batches(request, ring // 2)
        if not batches:
            reasons.append(f"2^{exponent}: {request.batch_size} samples side by side need more slots")
        usable = [choice for batch in batches for choice in _on_ring(request, ring, batch, reasons)]
        found += usable
        first = first or (ring if usable else 0)
        fits = ring // 2 >= most * (request.batch_size or 1)
        if found and (request.throughput or fits or ring > first):
            break
    if found:
        return min(found, key=lambda choice: _price(request, choice))
    raise PlanError(
        f"no parameters fit a program of {request.levels[0]} levels at {request.security.value}-bit "
        f"security (ring degree {'; '.join(reasons)}); {_what_helps(request)}"
    )


def _what_helps(request: Request) -> str:
    """The arguments that leave more room, of those that were given and those that stand for the network's depth."""
    ways = []
    if request.ring_degree is not None and request.ring_degree < LARGEST_RING:
        ways.append("a larger ring_degree= or none")
    if request.for_seal:
        ways.append('engine="native", which has rings up to 2^16')
    if request.security in (Security.CLASSICAL_192, Security.CLASSICAL_256):
        ways.append('security="128"')
    for name, value in (("scale_bits", request.scale_bits), ("digit_size", request.digit_size)):
        # SEAL's digit is not the user's choice.
        if value is not None and not (name == "digit_size" and request.for_seal):
            ways.append(f"no {name}=")
    if request.batch_size is not None and request.batch_size > 1:
        ways.append("a smaller batch_size=")
    ways.append("a larger precision=")
    if any(_approximates(op) for op in request.program.operations):
        ways.append(
            "polynomials of fewer levels (a smaller activation_degree=, or a larger activation_tolerance= or "
            "activation_precision= and a smaller activation_agreement=)"
        )
    ways.append("fewer layers or smaller tensors")
    return f"what helps: {'; '.join(ways)}"


def _approximates(op: TensorOp) -> bool:
    """Whether the levels of `op` are an approximation's; the frontend's own products are called product or square."""
    return isinstance(op, Chebyshev) or (isinstance(op, Multiply) and op.kind not in ("product", "square"))


def _batches(request: Request, slots: int) -> list[int]:
    """How many samples may lie side by side: powers of two that hold the batch size."""
    least = power_of_two(request.batch_size or 1)
    if least > slots:
        return []
    if not request.throughput:
        return [least]
    first = least if request.batch_size else slots
    return sorted({min(first << k, slots) for k in range(0, 2 * slots.bit_length(), BATCH_STEP)})


def _price(request: Request, choice: Chosen) -> float:
    """Of a run; without a batch size, of a sample."""
    return choice.cost if request.batch_size else choice.cost / choice.batch


def _on_ring(request: Request, ring: int, batch: int, reasons: list[str]) -> list[Chosen]:
    """The choices for each digit size, or none and the reason.

    Which layouts are cheapest depends on the digit size, so they are searched for the middle one; where these leave no
    precise and secure chain, layouts with fewer folds are tried: the sum of 2^k slots has 2^k times their noise.
    """
    program, exponent = request.program, ring.bit_length() - 1
    positions = ring // 2 // batch
    sizes = _digit_sizes(request)
    for lane_price in LANE_PRICES:
        guess = sizes[0] if lane_price == LANE_PRICES[-1] else sizes[len(sizes) // 2]
        model = CostModel(
            guess, guess, ring, request.machine, lane_price, request.encrypted, request.key_weight
        )
        try:
            layouts, judged = _with_bounded_mixtures(request, positions, model)
        except PlanError as error:
            reasons.append(f"2^{exponent}: {error}")
            return []
        lowered = {
            index: lower(
                op.matrix,
                layouts.placements[op.input],
                layouts.placements[index + 1],
                positions,
                request.key_weight,
            )
            for index, op in enumerate(program.operations)
            if isinstance(op, Affine)
        }
        found = [_with_digits(judged, ring, layouts, lowered, size, batch) for size in sizes]
        usable = [choice for choice in found if choice is not None]
        if usable:
            return usable
    reasons.append(f"2^{exponent}: no chain of {request.levels[0] + 1} primes is precise and secure enough")
    return []


def _with_bounded_mixtures(request: Request, positions: int, model: CostModel) -> tuple[Layouts, Request]:
    """The layouts, and the request with the power of what all slots hold in them. No windows where their mixtures are
    too large."""
    program, samples = request.program, request.sensitivity.samples
    maps = request.memo.maps
    layouts = choose_layouts(program, request.levels, positions, model, memo=maps)
    traced = trace_mixtures(program, layouts.placements, samples)
    if largest_mixture(traced, samples) > LARGEST_MIXTURE:
        return choose_layouts(
            program, request.levels, positions, model, row_packing=False, memo=maps
        ), request
    return layouts, replace(request, sensitivity=request.sensitivity.with_mixtures(traced))


def _digit_sizes(request: Request) -> tuple[int, ...]:
    return DIGIT_SIZES if request.digit_size is None else (request.digit_size,)


def _rings() -> list[int]:
    return [1 << k for k in range(SMALLEST_RING.bit_length() - 1, LARGEST_RING.bit_length())]


def _room(ring: int, security: Security) -> float:
    return math.inf if security is Security.NONE else max_log2_qp(ring, security)


def _least_bits(request: Request, ring: int) -> float:
    """A lower bound of log2(QP), whatever the layouts: every map has one diagonal and nothing rotates."""
    known = request.memo.least_bits
    if ring in known:
        return known[ring]
    lightest = {
        index: LIGHTEST for index, op in enumerate(request.program.operations) if isinstance(op, Affine)
    }
    chains = (
        _chain(request, ring, lightest, size, spare, least=True)
        for size in _digit_sizes(request)
        for spare in SPARE_BITS
    )
    known[ring] = min(
        (sum(chain.primes) + sum(chain.special) for chain in chains if chain is not None), default=math.inf
    )
    return known[ring]


def _prime_floor(ring: int) -> int:
    """Primes = 1 mod 2N are plentiful from about 16 N on."""
    return max(20, (16 * ring).bit_length())


def _with_digits(
    request: Request, ring: int, layouts: Layouts, lowered: dict[int, LoweredMap], digit_size: int, batch: int
) -> Chosen | None:
    """The choice with the most spare bits in P that the security table allows, or None."""
    program, levels = request.program, request.levels
    for spare in SPARE_BITS:
        chain = _chain(request, ring, lowered, digit_size, spare)
        if chain is None:
            continue
        if sum(chain.primes) + sum(chain.special) > _room(ring, request.security) + 1:
            continue
        try:
            parameters = ParameterSet.from_bits(
                ring,
                chain.primes,
                chain.special,
                digit_size=digit_size,
                security=request.security,
                slot_generator=3 if request.for_seal else 5,
            )
        except ParameterError:
            # A product a hair above the row, or not enough primes of this size: fewer spare bits may do.
            continue
        exact = assign_scales(program, levels, request.sizes, chain.bits, parameters.modulus_chain)
        shares, error = predict_errors(
            program,
            lowered,
            levels,
            exact,
            NoiseModel.of(parameters),
            request.sensitivity,
            chain.bits,
            encrypted=request.encrypted,
            modulus_chain=parameters.modulus_chain,
        )
        parts = [placement.parts for placement in layouts.placements]
        cost = total_cost(
            program, lowered, levels, parts, model_of(parameters, request.machine, request.encrypted)
        )
        return Chosen(parameters, layouts, lowered, exact, shares, error, cost, batch, request.encrypted)
    return None


@dataclass(frozen=True, slots=True)
class _Chain:
    """Sizes in bits: of a level's prime, of all primes from q_0 on, of the special primes."""

    bits: int
    primes: list[int]
    special: list[int]


def _chain(
    request: Request,
    ring: int,
    lowered: Mapping[int, LoweredMap],
    digit_size: int,
    spare: int,
    *,
    least: bool = False,
) -> _Chain | None:
    """The least sizes that are precise enough with so many spare bits in P; None if primes would be too large. `least`:
    a lower bound, as in predict_errors."""
    program, levels = request.program, request.levels
    if digit_size > levels[0] + 1:
        return None
    model = NoiseModel(ring, 2.0**-spare, digit_size)
    bits = request.scale_bits or _scale_bits(request, lowered, model, least)
    if bits is None or bits + HEADROOM_BITS > SPECIAL_BITS:
        return None
    bits = max(bits, _prime_floor(ring))
    scales = assign_scales(program, levels, request.sizes, bits, None)
    last = [value for value in range(program.value_count) if levels[value] == 0]
    needed = [1.0]
    for value in last:
        needed.append(scales[value] * request.sizes[value] * 2**HEADROOM_BITS)
        op = program.operations[value - 1] if value else None
        if isinstance(op, Affine):
            needed.append(scales[value] * float(np.max(np.abs(op.bias))) * 2**BIAS_BITS)
    first = max(math.ceil(math.log2(max(needed))), bits)
    if first > SPECIAL_BITS:
        return None
    special = _special_bits(first + (digit_size - 1) * bits + spare, ring)
    if request.for_seal and len(special) > 1:
        return None
    return _Chain(bits, [first] + [bits] * levels[0], special)


def _scale_bits(
    request: Request, lowered: Mapping[int, LoweredMap], model: NoiseModel, least: bool
) -> int | None:
    """The bits at which the predicted error meets the precision; None beyond MOST_SCALE_BITS."""
    scales = assign_scales(request.program, request.levels, request.sizes, TRIAL_BITS, None)
    _, error = predict_errors(
        request.program,
        lowered,
        request.levels,
        scales,
        model,
        request.sensitivity,
        TRIAL_BITS,
        encrypted=request.encrypted,
        least=least,
    )
    relative = error / request.output_range
    # Errors are proportional to 2^-bits, so one trial tells; the primes themselves are within 2^-8 of 2^bits.
    bits = math.ceil(TRIAL_BITS + math.log2(relative / request.precision) + 2.0**-8)
    return bits if bits <= MOST_SCALE_BITS else None


def _special_bits(bits: int, ring: int) -> list[int]:
    """Sizes of as few special primes as hold `bits`, each below 2^50."""
    count = -(-bits // SPECIAL_BITS)
    each = max(-(-bits // count), _prime_floor(ring))
    return [each] * count


def model_of(parameters: ParameterSet, machine: Machine, encrypted: bool = False) -> CostModel:
    """The cost model of chosen parameters."""
    special = len(parameters.special_primes)
    return CostModel(parameters.digit_size, special, parameters.ring_degree, machine, encrypted=encrypted)


def total_cost(
    program: TensorProgram,
    lowered: dict[int, LoweredMap],
    levels: Sequence[int],
    parts: Sequence[int],
    model: CostModel,
) -> float:
    """The cost model's sum over all operations; `parts` are the ciphertexts of each value."""
    return sum(layer_costs(program, lowered, levels, parts, model))


def layer_costs(
    program: TensorProgram,
    lowered: dict[int, LoweredMap],
    levels: Sequence[int],
    parts: Sequence[int],
    model: CostModel,
) -> list[float]:
    """Of each operation."""
    costs = []
    for index, op in enumerate(program.operations):
        level, count = levels[index + 1], parts[index + 1]
        match op:
            case Affine():
                transform = lowered[index]
                cost = model.transform(
                    level + 1,
                    transform.diagonals,
                    transform.babies,
                    transform.giants,
                    len(transform.folds),
                    parts[op.input],
                    count,
                    transform.transform.slot_count == 1,
                )
                cost += model.add(level) * count if np.any(op.bias) else 0.0
            case Multiply():
                cost = count * model.multiply(level + 1)
            case Chebyshev():
                cost = count * model.polynomial(level + op.depth, len(op.coefficients) - 1)
            case _:
                cost = count * model.add(level)
        costs.append(cost)
    return costs


def largest_values(values: Sequence[NDArray[np.float64]]) -> tuple[float, ...]:
    """The largest absolute value of each value of a trace."""
    return tuple(float(np.max(np.abs(value))) for value in values)
