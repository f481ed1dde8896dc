"""The predict request and its response: ciphertexts of one sample or one batch, checked against the public plan.

A request carries `input_count` ciphertexts at the plan's input level and scale, a response `output_count` at the
output level and scale, and the SHA-256 of the request, by which the client knows that the answer is its own. Every
size follows from the plan, so both sides know the length of a message in advance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hetorch.engine.codec import ciphertext_blob_bytes, dump_ciphertext
from hetorch.engine.native import Ciphertext
from hetorch.errors import WireError
from hetorch.plan.public import PublicPlan
from hetorch.quantities import count_text
from hetorch.wire.blobs import fresh_lengths, load_blob
from hetorch.wire.frame import Frame, FrameLimits, Kind, dump_frame, load_frame_of


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """The ciphertexts of one sample or batch, and the id (SHA-256, hex) of the evaluation keys to use."""

    key_id: str
    ciphertexts: tuple[Ciphertext, ...]


@dataclass(frozen=True, slots=True)
class PredictResponse:
    """The ciphertexts of one result, and the id (SHA-256, hex) of the evaluation keys that it was computed with."""

    key_id: str
    ciphertexts: tuple[Ciphertext, ...]


def request_limits(plan: PublicPlan) -> FrameLimits:
    """Return the limits of a predict request: fresh ciphertexts, with a seed (secret-key encryption) or without."""
    return FrameLimits(plan.input_count, fresh_lengths(plan.parameters, plan.input_level))


def response_limits(plan: PublicPlan) -> FrameLimits:
    """Return the limits of a predict response: computed ciphertexts, which have no seed."""
    length = ciphertext_blob_bytes(plan.parameters, plan.output_level, seeded=False)
    return FrameLimits(plan.output_count, frozenset({length}), Kind.PREDICT_RESPONSE.request_bytes)


def dump_request(plan: PublicPlan, key_id: str, ciphertexts: Sequence[Ciphertext]) -> bytes:
    """Encode a request; WireError unless there are `plan.input_count` ciphertexts."""
    return _dump(Kind.PREDICT_REQUEST, plan, key_id, ciphertexts, plan.input_count)


def dump_response(
    plan: PublicPlan, key_id: str, ciphertexts: Sequence[Ciphertext], request: bytes | bytearray
) -> bytes:
    """Encode the response to a request, given as its bytes; WireError unless there are `plan.output_count`
    ciphertexts."""
    digest = hashlib.sha256(request).digest()
    return _dump(Kind.PREDICT_RESPONSE, plan, key_id, ciphertexts, plan.output_count, digest)


def load_request(plan: PublicPlan, data: bytes | bytearray | memoryview) -> PredictRequest:
    """Parse a request from a client; WireError if anything differs from the plan."""
    frame = load_frame_of(Kind.PREDICT_REQUEST, plan.name, plan.fingerprint, data, request_limits(plan))
    ciphertexts = _ciphertexts(plan, frame, plan.input_level, plan.input_scale)
    return PredictRequest(frame.key_id.hex(), ciphertexts)


def load_response(
    plan: PublicPlan, data: bytes | bytearray | memoryview, request: bytes | bytearray
) -> PredictResponse:
    """Parse a response from a server to a request, given as its bytes.

    Raises:
        WireError: anything differs from the plan, or this is the answer to another request, which is told before a
            ciphertext is parsed.
    """
    frame = load_frame_of(Kind.PREDICT_RESPONSE, plan.name, plan.fingerprint, data, response_limits(plan))
    digest = hashlib.sha256(request).digest()
    if frame.request != digest:
        raise WireError(
            f"the server's answer is for another request ({frame.request.hex()[:12]}…, not {digest.hex()[:12]}…), as "
            "where a proxy or cache mixes answers up; nothing was decrypted. Ask again, and tell the server's owner"
        )
    ciphertexts = _ciphertexts(plan, frame, plan.output_level, plan.output_scale)
    return PredictResponse(frame.key_id.hex(), ciphertexts)


def _dump(
    kind: Kind,
    plan: PublicPlan,
    key_id: str,
    ciphertexts: Sequence[Ciphertext],
    expected: int,
    digest: bytes = b"",
) -> bytes:
    if len(ciphertexts) != expected:
        raise WireError(
            f"the plan {plan.name!r} says {count_text(expected, 'ciphertext')}, got {len(ciphertexts)}"
        )
    blobs = [dump_ciphertext(plan.parameters, ciphertext) for ciphertext in ciphertexts]
    return dump_frame(kind, bytes.fromhex(plan.fingerprint), bytes.fromhex(key_id), blobs, digest)


def _ciphertexts(plan: PublicPlan, frame: Frame, level: int, scale: float) -> tuple[Ciphertext, ...]:
    return tuple(
        load_blob(plan.parameters, blob, index, level=level, scale=scale)
        for index, blob in enumerate(frame.blobs)
    )
