"""The evaluation of a candidate: layouts, lowered maps, parameters, scales, errors, cost and keys; or a missed limit.

*Assumes* a request whose variants are sound programs without activations.
*Ensures* that a Choice is secure, that its predicted error meets the precision (unless scale_bits was given), and that
q_0 has room for the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hetorch.compiler.noise.predict_errors import predict_errors
from hetorch.compiler.packing.choose_layouts import Layouts
from hetorch.compiler.packing.lower import MapOutline
from hetorch.compiler.passes.assign_scales import assign_scales
from hetorch.compiler.search.candidates import Candidate, Scope
from hetorch.compiler.search.feasibility import (
    ChainSizes,
    Infeasible,
    Limit,
    Miss,
    chain_sizes,
    least_bits,
    security_room,
)
from hetorch.compiler.search.footprint import Footprint, PlacedProgram, footprint
from hetorch.compiler.search.pack import Memo, Packed, pack
from hetorch.compiler.search.program_costs import cost_model, layer_costs
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.variants import Variant
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.noise import NoiseModel
from hetorch.errors import ParameterError
from hetorch.params import ParameterSet
from hetorch.plan.sizes import evaluation_key_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """All decisions about a program: an evaluation that satisfies the request.

    `lowered`: the outlines of the affine maps, by index of operation. `scales`: one per value. `shares` and `error`:
    bounds, as predict_errors gives them. `cost`: seconds of one run, of candidate.batch samples. `keys`: the evaluation
    keys, and `key_bytes` their size on the wire. `footprint`: the memory of a run. `encrypted`: the weights are
    ciphertexts. `bootstraps`: the numbers of each bootstrap, by index of operation.
    """

    candidate: Candidate
    variant: Variant
    parameters: ParameterSet
    layouts: Layouts
    lowered: Mapping[int, MapOutline]
    scales: tuple[float, ...]
    shares: tuple[float, ...]
    error: float
    cost: float
    keys: EvaluationKeySpec
    key_bytes: int
    footprint: Footprint
    encrypted: bool
    bootstraps: Mapping[int, PlannedBootstrap] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """The number of samples that one run takes."""
        return self.candidate.batch

    @property
    def feasible(self) -> bool:
        return True

    @property
    def settles(self) -> Scope:
        """Scope.DIGIT_SIZE, because fewer spare bits would only add noise."""
        return Scope.DIGIT_SIZE


Evaluation = Choice | Infeasible


def evaluate(candidate: Candidate, request: Request, memo: Memo) -> Evaluation:
    """Evaluate one candidate; `memo` belongs to its variant."""
    misfit = _misfit(candidate, request, memo)
    if misfit is not None:
        return misfit
    packed = pack(candidate, request, memo)
    if isinstance(packed, Infeasible):
        return packed
    sizes = chain_sizes(
        request, packed.lowered, candidate.ring_degree, candidate.digit_size, candidate.spare_bits
    )
    if isinstance(sizes, Miss):
        return Infeasible(candidate, sizes.limit, sizes.needed, sizes.allowed)
    parameters = _parameters(candidate, request, sizes)
    if isinstance(parameters, Infeasible):
        return parameters
    return _choice(candidate, request, packed, sizes, parameters)


def _misfit(candidate: Candidate, request: Request, memo: Memo) -> Infeasible | None:
    """Return the requirement that a ring or a number of samples misses whatever its layouts are, or None."""
    ring = candidate.ring_degree
    room = security_room(ring, request.options.security)
    if ring not in memo.least_bits:
        memo.least_bits[ring] = least_bits(request, request.variants[candidate.variant], ring, room)
    if memo.least_bits[ring] > room:
        return Infeasible(candidate, Limit.RING, memo.least_bits[ring], room)
    if candidate.batch > ring // 2:
        return Infeasible(candidate, Limit.SLOTS, candidate.batch, ring // 2)
    return None


def _parameters(candidate: Candidate, request: Request, sizes: ChainSizes) -> ParameterSet | Infeasible:
    security = request.options.security
    room = security_room(candidate.ring_degree, security)
    if sizes.total > room:
        return Infeasible(candidate, Limit.SECURITY, sizes.total, room)
    try:
        return ParameterSet.from_bits(
            candidate.ring_degree,
            sizes.primes,
            sizes.special,
            digit_size=candidate.digit_size,
            security=security,
            slot_generator=request.backend.slot_generator,
        )
    except ParameterError as error:
        # The product is just above the table's bound, or there are too few primes: fewer spare bits may be enough.
        return Infeasible(candidate, Limit.PRIMES, sizes.total, room, detail=str(error))


def _choice(
    candidate: Candidate, request: Request, packed: Packed, sizes: ChainSizes, parameters: ParameterSet
) -> Choice:
    """Assign scales for the primes of `parameters`, and predict errors and time."""
    variant, maps = packed.lowered.variant, packed.lowered.maps
    program, levels, encrypted = variant.program, variant.levels, request.options.encrypted_weights
    scales = assign_scales(program, levels, variant.sizes, sizes.bits, parameters.modulus_chain)
    shares, error = predict_errors(
        program,
        maps,
        levels,
        scales,
        NoiseModel.of(parameters),
        packed.lowered.sensitivity,
        sizes.bits,
        encrypted=encrypted,
        modulus_chain=parameters.modulus_chain,
    )
    parts = [placement.parts for placement in packed.layouts.placements]
    model = cost_model(parameters, request.machine, encrypted)
    seconds = sum(layer_costs(program, maps, levels, parts, model))
    memory = footprint(
        PlacedProgram(program, maps, levels, parts, candidate.batch, encrypted),
        parameters,
        packed.keys,
        model,
        seconds,
        request.memory_limit,
        transforms_on_use=request.backend.plaintext_bytes is None,
    )
    return Choice(
        candidate=candidate,
        variant=variant,
        parameters=parameters,
        layouts=packed.layouts,
        lowered=maps,
        scales=scales,
        shares=shares,
        error=error,
        cost=seconds + sum(memory.coefficients.values()),
        keys=packed.keys,
        key_bytes=evaluation_key_bytes(parameters, packed.keys),
        footprint=memory,
        encrypted=encrypted,
    )
