"""The sentences for the user if no candidate satisfies the request: the missed requirements and options that help."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hetorch.compiler.bootstraps.refusal import bootstrap_refusal
from hetorch.compiler.options import LARGEST_RING
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.feasibility import Infeasible, Limit
from hetorch.compiler.search.request import Request
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import InfeasibleError
from hetorch.interop.backends import BACKENDS
from hetorch.ir.tensor_program import Chebyshev, Multiply, TensorOp
from hetorch.params import Security
from hetorch.plan.sizes import evaluation_key_bytes
from hetorch.quantities import count_text, size_text


class OverLimitError(InfeasibleError):
    """There are plans, and all of them exceed a limit of hetorch.compile.

    `limits` names the exceeded options, `needed` has the bytes for the first of them that a plan keeps. `needs` is the
    message without the `ways` that help, the first of which are limits that are kept. `bootstrapped` is True if the
    plans have bootstraps.
    """

    def __init__(
        self, needs: str, ways: list[str], limits: tuple[str, ...], needed: int, *, bootstrapped: bool
    ) -> None:
        super().__init__(f"{needs}; what helps: {'; '.join(ways)}")
        self.needs, self.ways = needs, ways
        self.limits, self.needed, self.bootstrapped = limits, needed, bootstrapped


def no_parameters(request: Request, variant: int, misses: Sequence[Infeasible]) -> str:
    """Return the message for a variant without parameters.

    `misses`: the evaluations of its candidates, in their order.
    """
    levels, security = request.variants[variant].levels[0], request.options.security.value
    # The last miss of a ring and batch tells what is still missing after everything was tried there.
    last = {(miss.candidate.ring_degree, miss.candidate.batch): miss for miss in misses}
    reasons = dict.fromkeys(_reason(request, levels, miss) for miss in last.values())
    return (
        f"no parameters fit a program of {count_text(levels, 'level')} at {security}-bit security (ring degree "
        f"{'; '.join(reasons)}); what helps: {'; '.join(remedies(request, variant))}"
    )


def beyond_limits(request: Request, choices: Sequence[Choice]) -> OverLimitError:
    """Return the error for a program whose choices all have too many keys or take too much memory."""
    keys, memory = request.key_limit, request.memory_limit
    few_keys = [choice for choice in choices if choice.key_bytes <= keys]
    if few_keys and memory is not None:
        least = min(few_keys, key=lambda choice: choice.footprint.total)
        return too_much_memory(request, least, memory)
    small = [choice for choice in choices if memory is None or choice.footprint.total <= memory]
    return too_many_keys(request, min(small or choices, key=lambda choice: choice.key_bytes), keys)


def too_much_memory(request: Request, least: Choice, limit: int) -> OverLimitError:
    """Return the error if every choice takes more than `limit` bytes in a run, `least` the fewest."""
    held, operations = least.footprint, least.variant.program.operations
    blame = ""
    if held.weights:
        worst = max(held.weights, key=lambda index: (held.weights[index], -index))
        blame = f"; the layer {operations[worst].name!r} takes most of the weights, {size_text(held.weights[worst])}"
        if worst in least.lowered:
            diagonals = count_text(least.lowered[worst].diagonals, "diagonal")
            blame += f" for {diagonals} at level {least.variant.levels[worst + 1] + 1}"
    weights = sum(held.weights.values())
    ways = [
        f"memory_limit={held.total}",
        *_shallower(request, least.candidate.variant),
        "fewer or smaller layers",
    ]
    needs = (
        f"{_bootstraps(least)}a run takes at least {size_text(held.total)} of memory ({size_text(held.keys)} of keys, "
        f"{size_text(weights)} of weights, {size_text(held.working)} of ciphertexts and intermediate results), and "
        f"{size_text(limit)} are allowed by memory_limit={blame}"
    )
    return OverLimitError(needs, ways, ("memory_limit",), held.total, bootstrapped=bool(least.bootstraps))


def too_many_keys(request: Request, fewest: Choice, limit: int) -> OverLimitError:
    """Return the error if the keys of every choice take more than `limit` bytes, those of `fewest` the least.

    A limit of exactly the size that was reached is certain to be kept. If `fewest` takes too much memory too, both
    limits are named. A run with a sample in each slot needs no
    rotation, so that objective is named where the key for products alone keeps the limit.
    """
    parameters, options = fewest.parameters, request.options
    total, memory = fewest.footprint.total, request.memory_limit
    both = memory is not None and total > memory
    ways = [f"key_limit={fewest.key_bytes}" + (f" with memory_limit={total}" if both else "")]
    product_key = evaluation_key_bytes(parameters, EvaluationKeySpec(parameters.max_level, ()))
    ring_only = not (request.throughput or options.batch_size or options.encrypted_weights)
    if ring_only and not fewest.bootstraps and product_key <= limit:
        ways.append('objective="throughput", where a run takes many samples and needs no rotation keys')
    ways += _shallower(request, fewest.candidate.variant)
    ways.append("fewer or smaller layers")
    needs = (
        f"{_bootstraps(fewest)}the fewest evaluation keys of the layouts that were found take "
        f"{size_text(fewest.key_bytes)}, and {size_text(limit)} are allowed by key_limit="
    )
    if both and memory is not None:
        needs += f"; a run with them takes {size_text(total)} of memory, and "
        needs += f"{size_text(memory)} are allowed by memory_limit="
    limits = ("key_limit", "memory_limit") if both else ("key_limit",)
    return OverLimitError(needs, ways, limits, fewest.key_bytes, bootstrapped=bool(fewest.bootstraps))


def _bootstraps(choice: Choice) -> str:
    return "with bootstraps, " if choice.bootstraps else ""


def remedies(request: Request, variant: int) -> list[str]:
    """Return the options that leave more room: those that the user gave, and those that decide the network's depth."""
    options, backend = request.options, request.backend
    ways = []
    if options.ring_degree is not None and options.ring_degree < min(LARGEST_RING, backend.largest_ring):
        ways.append("a larger ring_degree= or none")
    for other in BACKENDS:
        if other.largest_ring > backend.largest_ring:
            ways.append(
                f'engine="{other.name}", which has rings up to 2^{other.largest_ring.bit_length() - 1}'
            )
    if options.security in (Security.CLASSICAL_192, Security.CLASSICAL_256):
        ways.append('security="128"')
    if options.bootstrap == "never" and not bootstrap_refusal(
        options.model_copy(update={"bootstrap": "auto"})
    ):
        ways.append('bootstrap="auto"')
    if options.scale_bits is not None:
        ways.append("no scale_bits=")
    if options.digit_size is not None and backend.digit_size is None:  # else it is not the user's choice
        ways.append("no digit_size=")
    if request.batch_size is not None and request.batch_size > 1:
        ways.append("a smaller batch_size=")
    if options.scale_bits is None:  # else the precision decides nothing
        ways.append("a larger precision=")
    ways += _shallower(request, variant)
    ways.append("fewer layers or smaller tensors")
    return ways


def _shallower(request: Request, variant: int) -> list[str]:
    """Return the options that give the polynomials fewer levels, if there are polynomials."""
    options = request.options
    if not any(_approximates(op) for op in request.variants[variant].program.operations):
        return []
    if options.activation_degree is not None:
        ways = ["a smaller activation_degree="] if options.activation_degree > 1 else []
    elif options.activation_precision is not None:
        ways = ["a larger activation_precision="]
    else:
        ways = ["a small activation_degree=", "a larger activation_tolerance="]
        ways += ["a smaller activation_agreement="] if options.activation_agreement > 0 else []
    return [f"polynomials of fewer levels ({' or '.join(ways)})"] if ways else []


def _reason(request: Request, levels: int, miss: Infeasible) -> str:
    ring = f"2^{miss.candidate.ring_degree.bit_length() - 1}"
    if miss.limit is Limit.RING and math.isfinite(miss.needed):  # infinite: no chain at all, see least_bits
        # The comparison grants one bit more than the table has.
        return f"{ring}: at least {miss.needed:.0f} bits needed, {miss.allowed - 1:.0f} allowed"
    if miss.limit is Limit.SLOTS:
        return f"{ring}: {count_text(miss.candidate.batch, 'sample')} side by side take more slots"
    if miss.limit is Limit.LAYOUTS:
        return f"{ring}: {miss.detail}"
    return f"{ring}: no chain of {count_text(levels + 1, 'prime')} is precise and secure enough"


def _approximates(op: TensorOp) -> bool:
    """Return whether the levels of `op` are those of an approximation.

    The frontend calls its own products `product` or `square`.
    """
    return isinstance(op, Chebyshev) or (isinstance(op, Multiply) and op.kind not in ("product", "square"))
