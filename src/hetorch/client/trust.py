"""The client's checks of a public plan before it makes a key: the server is not trusted.

The plan's own field `security` is the server's claim. The client looks the modulus up in the table itself, and bounds
the keys and messages that the plan may make it compute, send and store.
"""

from __future__ import annotations

import math

from hetorch.engine.codec import evaluation_keys_blob_bytes
from hetorch.engine.keys import KeyLink, all_links, check_sparse_keys
from hetorch.errors import PlanFormatError, PlanUseError, SecurityError
from hetorch.machine_memory import available_memory
from hetorch.params import ParameterSet, Security
from hetorch.params.security import max_log2_qp
from hetorch.plan.memory import link_memory
from hetorch.plan.public import OUTPUT_ROOM_BITS, PublicPlan
from hetorch.plan.sizes import key_bytes
from hetorch.quantities import count_text, exact_size_text, size_text
from hetorch.wire.limits import MAX_KEY_BYTES
from hetorch.wire.predict import request_limits, response_limits

INPUT_ROOM_BITS = 20
"""Least room at the input of a plan, in bits: between its scale, times the larger of 1 and the calibrated magnitude,
and half of its modulus. The compiler leaves more. A plan without room would make encoded inputs wrap around the
modulus, and so show how large they are. Raised, plans of one level may be refused."""
OUTPUT_HEADROOM_BITS = 1 + OUTPUT_ROOM_BITS
"""Least room at the output, in bits, above half of the range of the calibrated outputs: as much as the compiler leaves,
one bit for the sign and the others for inputs that calibration did not see."""
PRIME_SLACK_BITS = 0.1
"""Bits by which primes may miss the size that the compiler asked for."""
KEY_COPIES = 2
"""Copies of a key's bytes on the wire that exist while it is written. Keys are made and written one at a time."""
KEY_ELEMENTS = 20
"""Ring elements, in bytes on the wire, that making a key takes beside the key itself (measured at 2^15 and 2^16).
Raised, clients of small machines refuse more plans."""
SLOT_ARRAYS = 3
"""Arrays of a polynomial's size (8 bytes a coefficient) that each ciphertext takes beside its residues: slots, as real
and as complex numbers. Raised, clients of small machines refuse more plans."""
MAX_CIPHERTEXTS = 1024
"""Most ciphertexts of one request, and of one response."""
DEFAULT_MAX_KEY_BYTES = MAX_KEY_BYTES
"""Most evaluation keys that a plan may ask for, in bytes on the wire."""
DEFAULT_MAX_MESSAGE_BYTES = 4 << 30
"""Longest request or response that a plan may ask for, in bytes on the wire; the free memory may allow less."""


def check_plan(
    plan: PublicPlan,
    *,
    allow_insecure: bool,
    max_key_bytes: int,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> None:
    """Raise an error unless a server's plan may be used.

    Args:
        plan: the public plan, as the server sent it.
        allow_insecure: accept parameters below 128-bit security, for tests only.
        max_key_bytes: most evaluation keys, in bytes on the wire.
        max_message_bytes: longest request or response, in bytes on the wire.

    Raises:
        SecurityError: the parameters are below 128 bits of the 2024 table.
        PlanFormatError: a level, a scale, a Galois element or a number of ciphertexts is out of range.
        PlanUseError: keys, requests or responses are larger than allowed.
    """
    _check_security(plan, allow_insecure)
    _check_key_spec(plan, max_key_bytes)
    _check_messages(plan)
    _check_room(plan)
    # A plan of a few bytes may ask for any number of the largest ciphertexts.
    requests, responses = request_limits(plan).smallest, response_limits(plan).largest  # requests are seeded
    for name, size in (("requests", requests), ("responses", responses)):
        if size > max_message_bytes:
            raise PlanUseError(
                f"the plan {plan.name!r} has {name} of {exact_size_text(size)}, more than the "
                f"{exact_size_text(max_message_bytes)} allowed; raise max_message_bytes= of hetorch.Client if "
                "you trust it"
            )
    _check_memory(plan, requests, responses)


def _check_memory(plan: PublicPlan, requests: int, responses: int) -> None:
    """Raise PlanUseError if keys or messages need more memory than is free on this machine or in its control group."""
    free = available_memory()
    if free is None:
        return
    parameters, spec = plan.parameters, plan.key_spec
    keys = max((_making_memory(parameters, link) for link in all_links(parameters, spec)), default=0)
    polynomial = parameters.ring_degree * 8
    incoming = plan.input_count * 2 * (plan.input_level + 1) * polynomial
    outgoing = plan.output_count * 2 * (plan.output_level + 1) * polynomial
    slots = (plan.input_count + plan.output_count) * SLOT_ARRAYS * polynomial
    messages = requests + responses + incoming + outgoing + slots
    for name, size in (("evaluation keys", keys), ("one request and its answer", messages)):
        if size > free:
            raise PlanUseError(
                f"the plan {plan.name!r} needs about {size_text(size)} of memory here for {name}, and "
                f"{size_text(max(free, 0))} are free on this machine or in its control group; nothing was sent"
            )


def _making_memory(parameters: ParameterSet, link: KeyLink) -> int:
    """Return the memory in bytes of making a key and writing it."""
    wire = key_bytes(parameters, link)
    element = wire // link.family.digit_count(link.level)
    return link_memory(parameters, link) + KEY_COPIES * wire + KEY_ELEMENTS * element


def _check_security(plan: PublicPlan, allow_insecure: bool) -> None:
    if allow_insecure:
        return
    parameters = plan.parameters
    bound = max_log2_qp(parameters.ring_degree, Security.CLASSICAL_128)
    # In integers, like ParameterSet: a product a hair above the bound must not be rounded down to it.
    if (math.prod(parameters.modulus_chain) * math.prod(parameters.special_primes)).bit_length() > bound:
        raise SecurityError(
            f"the server's plan {plan.name!r} uses ring_degree {parameters.ring_degree} with log2(QP) = "
            f"{parameters.log2_qp:.1f}, above the {bound:.0f} that 128-bit security allows; your data would not be "
            "protected, so nothing was sent (allow_insecure=True overrides, for tests)"
        )
    try:
        check_sparse_keys(parameters, plan.key_spec, Security.CLASSICAL_128)
    except SecurityError as error:
        raise SecurityError(
            f"the server's plan {plan.name!r}: {error}; your data would not be protected, so nothing was sent "
            "(allow_insecure=True overrides, for tests)"
        ) from None


def _check_key_spec(plan: PublicPlan, max_key_bytes: int) -> None:
    parameters, spec = plan.parameters, plan.key_spec
    if any(not 0 <= level <= parameters.max_level for level in spec.levels):
        raise PlanFormatError(
            f"the plan {plan.name!r} asks for a key at a level outside 0..{parameters.max_level}"
        )
    # The spec itself allows only odd numbers above 1; an automorphism of this ring is one of them below 2N.
    bound = 2 * parameters.ring_degree
    for element, _ in spec.galois:
        if element >= bound:
            raise PlanFormatError(
                f"the plan {plan.name!r} asks for the Galois element {element}, which is not odd and in 3..{bound - 1}"
            )
    size = evaluation_keys_blob_bytes(parameters, spec)
    if size > max_key_bytes:
        raise PlanUseError(
            f"the plan {plan.name!r} asks for {exact_size_text(size)} of evaluation keys, more than the "
            f"{exact_size_text(max_key_bytes)} allowed; raise max_key_bytes= of hetorch.Client if you trust it"
        )


def _check_messages(plan: PublicPlan) -> None:
    parameters = plan.parameters
    for name, count in (("input", plan.input_count), ("output", plan.output_count)):
        if not 1 <= count <= MAX_CIPHERTEXTS:
            raise PlanFormatError(
                f"the plan {plan.name!r} has {count_text(count, f'{name} ciphertext')}; "
                f"1..{MAX_CIPHERTEXTS} are accepted"
            )
    for name, level, scale in (
        ("input", plan.input_level, plan.input_scale),
        ("output", plan.output_level, plan.output_scale),
    ):
        if not 0 <= level <= parameters.max_level:
            raise PlanFormatError(
                f"the plan {plan.name!r} has the {name} level {level}, outside 0..{parameters.max_level}"
            )
        modulus_bits = _modulus_bits(plan, level)
        if not (math.isfinite(scale) and scale > 1.0 and math.log2(scale) < modulus_bits):
            raise PlanFormatError(
                f"the plan {plan.name!r} has the {name} scale {scale!r}, outside 1..2^{modulus_bits:.0f}"
            )


def _check_room(plan: PublicPlan) -> None:
    """Raise PlanUseError unless inputs and outputs lie far below their moduli."""
    calibrated = max(1.0, *map(abs, plan.input_range))
    room = _modulus_bits(plan, plan.input_level) - 1 - math.log2(plan.input_scale) - math.log2(calibrated)
    if room < INPUT_ROOM_BITS:
        raise PlanUseError(
            f"the plan {plan.name!r} leaves {room:.1f} bits of room at the input, fewer than the {INPUT_ROOM_BITS} "
            "needed: inputs would wrap around the modulus, and show how large they are; nothing was sent"
        )
    largest = plan.output_range / 2
    if largest > 0:
        room = _modulus_bits(plan, plan.output_level) - math.log2(plan.output_scale) - math.log2(largest)
        if room < OUTPUT_HEADROOM_BITS - PRIME_SLACK_BITS:
            raise PlanUseError(
                f"the plan {plan.name!r} leaves {room:.1f} bits of room at the output, fewer than the "
                f"{OUTPUT_HEADROOM_BITS} that hetorch.compile leaves: results would wrap around the modulus; nothing "
                "was sent"
            )


def _modulus_bits(plan: PublicPlan, level: int) -> float:
    """Return log2 of the modulus of a level."""
    return sum(math.log2(q) for q in plan.parameters.modulus_chain[: level + 1])
