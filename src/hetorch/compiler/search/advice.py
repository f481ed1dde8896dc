"""The sentences for the user if no candidate satisfies the request: the missed requirements and options that help."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hetorch.compiler.options import LARGEST_RING
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.feasibility import Infeasible, Limit
from hetorch.compiler.search.request import Request
from hetorch.interop.backends import BACKENDS
from hetorch.ir.tensor_program import Chebyshev, Multiply, TensorOp
from hetorch.params import Security
from hetorch.plan.report import size_text


def no_parameters(request: Request, variant: int, misses: Sequence[Infeasible]) -> str:
    """Return the message for a variant without parameters.

    `misses`: the evaluations of its candidates, in their order.
    """
    levels, security = request.variants[variant].levels[0], request.options.security.value
    # The last miss of a ring and batch tells what is still missing after everything was tried there.
    last = {(miss.candidate.ring_degree, miss.candidate.batch): miss for miss in misses}
    reasons = dict.fromkeys(_reason(request, levels, miss) for miss in last.values())
    return (
        f"no parameters fit a program of {levels} levels at {security}-bit security (ring degree "
        f"{'; '.join(reasons)}); what helps: {'; '.join(remedies(request, variant))}"
    )


def beyond_limits(request: Request, choices: Sequence[Choice]) -> str:
    """Return the message for a program whose choices all have too many keys or take too much memory."""
    keys = min(choice.key_bytes for choice in choices)
    if keys > request.key_limit:
        return too_many_keys(keys, request.key_limit)
    allowed = [choice for choice in choices if choice.key_bytes <= request.key_limit]
    assert request.memory_limit is not None
    return too_much_memory(min(allowed, key=lambda choice: choice.footprint.total), request.memory_limit)


def too_much_memory(choice: Choice, limit: int) -> str:
    """Return the message for a program if even `choice`, which takes the least memory, takes more than `limit`."""
    held, operations = choice.footprint, choice.variant.program.operations
    worst = max(held.weights, key=lambda index: (held.weights[index], -index), default=None)
    blame = ""
    if worst is not None:
        blame = (
            f"; the layer {operations[worst].name!r} takes most of the weights, {size_text(held.weights[worst])}: "
            f"{choice.lowered[worst].diagonals} diagonals at level {choice.variant.levels[worst + 1] + 1}"
        )
    weights = sum(held.weights.values())
    return (
        f"a run takes at least {size_text(held.total)} of memory ({size_text(held.keys)} of keys, "
        f"{size_text(weights)} of weights, {size_text(held.working)} of ciphertexts and intermediate results), "
        f"memory_limit is {size_text(limit)}{blame}; raise it for a server with more memory, use smaller or fewer "
        "layers, or polynomials of fewer levels (a smaller activation_degree= or activation_agreement=)"
    )


def too_many_keys(least: int, limit: int) -> str:
    """Return the message for a program whose keys take at least `least` bytes, more than `limit`."""
    return (
        f"the fewest evaluation keys of the layouts that were found take {least} bytes ({least / 1e6:.1f} MB), "
        f"key_limit is {limit} bytes ({limit / 1e6:.1f} MB); raise it, use polynomials of fewer levels (a smaller "
        "activation_degree= or activation_agreement=), a larger ring_degree=, fewer layers, or the objective "
        '"throughput", which needs one key'
    )


def remedies(request: Request, variant: int) -> list[str]:
    """Return the options that leave more room: those that the user gave, and those that decide the network's depth."""
    options, backend = request.options, request.backend
    ways = []
    if options.ring_degree is not None and options.ring_degree < LARGEST_RING:
        ways.append("a larger ring_degree= or none")
    for other in BACKENDS:
        if other.largest_ring > backend.largest_ring:
            ways.append(
                f'engine="{other.name}", which has rings up to 2^{other.largest_ring.bit_length() - 1}'
            )
    if options.security in (Security.CLASSICAL_192, Security.CLASSICAL_256):
        ways.append('security="128"')
    if options.scale_bits is not None:
        ways.append("no scale_bits=")
    if options.digit_size is not None and backend.digit_size is None:  # else it is not the user's choice
        ways.append("no digit_size=")
    if request.batch_size is not None and request.batch_size > 1:
        ways.append("a smaller batch_size=")
    ways.append("a larger precision=")
    if any(_approximates(op) for op in request.variants[variant].program.operations):
        ways.append(
            "polynomials of fewer levels (a smaller activation_degree=, or a larger activation_tolerance= or "
            "activation_precision= and a smaller activation_agreement=)"
        )
    ways.append("fewer layers or smaller tensors")
    return ways


def _reason(request: Request, levels: int, miss: Infeasible) -> str:
    ring = f"2^{miss.candidate.ring_degree.bit_length() - 1}"
    if miss.limit is Limit.RING and math.isfinite(miss.needed):  # infinite: no chain at all, see least_bits
        # The comparison grants one bit more than the table has.
        return f"{ring}: at least {miss.needed:.0f} bits needed, {miss.allowed - 1:.0f} allowed"
    if miss.limit is Limit.SLOTS:
        return f"{ring}: {request.batch_size} samples side by side need more slots"
    if miss.limit is Limit.LAYOUTS:
        return f"{ring}: {miss.detail}"
    return f"{ring}: no chain of {levels + 1} primes is precise and secure enough"


def _approximates(op: TensorOp) -> bool:
    """Return whether the levels of `op` are those of an approximation.

    The frontend calls its own products `product` or `square`.
    """
    return isinstance(op, Chebyshev) or (isinstance(op, Multiply) and op.kind not in ("product", "square"))
