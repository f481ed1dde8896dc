"""A plan's weights as ciphertexts under one client's key, in one message.

One blob a diagonal or bias, in the order of `hetorch.plan.encrypted.weight_places`, each with a seed (whoever encrypted
had the secret key) or without (the public key), at exactly its level and scale. So the size of the message follows from
the plan, and a reader knows it before it reads. The message is written piece by piece: it may be large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hetorch.engine.codec import ciphertext_blob_bytes, dump_ciphertext
from hetorch.engine.native import Ciphertext
from hetorch.errors import PlanError
from hetorch.params import ParameterSet
from hetorch.plan.encrypted import EncryptedWeights, WeightPlace, weight_places
from hetorch.plan.plan import Plan
from hetorch.wire.blobs import fresh_lengths, load_blob
from hetorch.wire.frame import (
    FrameLimits,
    Header,
    Kind,
    check_header,
    frame_pieces,
    load_frame_of,
    load_header,
)


@dataclass(frozen=True, slots=True)
class UploadedWeights:
    """Weights under the key of the client whose evaluation keys have the id `key_id` (SHA-256, hex)."""

    key_id: str
    weights: EncryptedWeights[Ciphertext]


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFormat:
    """What the message with the weights of one plan looks like; the same for a plan with and without its weights."""

    name: str
    fingerprint: str
    parameters: ParameterSet
    places: tuple[WeightPlace, ...]

    @classmethod
    def of(cls, plan: Plan) -> WeightsFormat:
        """PlanError for a plan whose weights are in clear."""
        if not plan.program.encrypted_weights:
            raise PlanError(
                f'the plan {plan.name!r} has its weights in clear; compile it with weights="encrypted"'
            )
        places = weight_places(plan.program, plan.parameters, plan.weights)
        return cls(plan.name, plan.public().fingerprint, plan.parameters, places)

    @property
    def limits(self) -> FrameLimits:
        """What a reader accepts."""
        by_level = {level: fresh_lengths(self.parameters, level) for level in {p.level for p in self.places}}
        lengths = tuple(by_level[place.level] for place in self.places)
        return FrameLimits(len(lengths), lengths, Kind.ENCRYPTED_WEIGHTS.digest_bytes)

    def message_bytes(self, *, seeded: bool) -> int:
        """Exact bytes of a message of ciphertexts with a seed each, or of ciphertexts without."""
        level_bytes = {
            level: ciphertext_blob_bytes(self.parameters, level, seeded=seeded)
            for level in {place.level for place in self.places}
        }
        lengths = tuple(frozenset({level_bytes[place.level]}) for place in self.places)
        return FrameLimits(len(lengths), lengths, Kind.ENCRYPTED_WEIGHTS.digest_bytes).largest

    def dump(self, key_id: str, ciphertexts: Iterable[Ciphertext]) -> Iterator[bytes]:
        """The message, piece by piece; ciphertexts are taken one at a time, in the order of `places`."""
        blobs = (dump_ciphertext(self.parameters, ciphertext) for ciphertext in ciphertexts)
        model = bytes.fromhex(self.fingerprint)
        return frame_pieces(Kind.ENCRYPTED_WEIGHTS, model, bytes.fromhex(key_id), len(self.places), blobs)

    def load(self, data: bytes | bytearray | memoryview) -> UploadedWeights:
        """Parse bytes from outside. WireError if anything differs from what the plan says."""
        frame = load_frame_of(Kind.ENCRYPTED_WEIGHTS, self.name, self.fingerprint, data, self.limits)
        ciphertexts = (
            load_blob(self.parameters, blob, index, level=place.level, scale=place.scale)
            for index, (blob, place) in enumerate(zip(frame.blobs, self.places, strict=True))
        )
        return UploadedWeights(frame.key_id.hex(), EncryptedWeights.at(self.places, ciphertexts))


def read_weights_header(name: str, fingerprint: str, data: bytes | bytearray | memoryview) -> Header:
    """The header of a message of which `data` is the beginning: WireError unless it holds the weights of the plan
    `name` with this fingerprint (hex)."""
    header = load_header(data)
    check_header(header, Kind.ENCRYPTED_WEIGHTS, name, fingerprint)
    return header
