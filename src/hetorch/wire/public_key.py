"""The data owner's public key for one plan, with which the model's owner encrypts the weights.

The message names the plan and the evaluation keys, and weights encrypted under the key name both too.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.engine.codec import dump_public_key, load_public_key, public_key_blob_bytes
from hetorch.engine.native import PublicKey
from hetorch.params import ParameterSet
from hetorch.plan.public import PublicPlan
from hetorch.wire.frame import FrameLimits, Kind, dump_frame, load_frame_of


@dataclass(frozen=True, slots=True)
class NamedPublicKey:
    """A public key and the id (SHA-256, hex) of the evaluation keys made with the same secret."""

    key_id: str
    key: PublicKey


def public_key_limits(parameters: ParameterSet) -> FrameLimits:
    """Return the limits of the message: one key."""
    return FrameLimits(1, frozenset({public_key_blob_bytes(parameters)}), Kind.PUBLIC_KEY.digest_bytes)


def dump_named_public_key(plan: PublicPlan, key: NamedPublicKey) -> bytes:
    """Encode the message; the key must be of the plan's parameters."""
    blob = dump_public_key(plan.parameters, key.key)
    return dump_frame(Kind.PUBLIC_KEY, bytes.fromhex(plan.fingerprint), bytes.fromhex(key.key_id), [blob])


def load_named_public_key(plan: PublicPlan, data: bytes) -> NamedPublicKey:
    """Parse bytes from outside; WireError if they are broken, for another plan or of other parameters."""
    limits = public_key_limits(plan.parameters)
    frame = load_frame_of(Kind.PUBLIC_KEY, plan.name, plan.fingerprint, data, limits)
    return NamedPublicKey(frame.key_id.hex(), load_public_key(plan.parameters, bytes(frame.blobs[0])))
