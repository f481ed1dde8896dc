"""A plan's weights as ciphertexts under one client's key, in one message.

There is one blob for each diagonal and each bias, in the order of `hetorch.plan.encrypted.weight_places` and at exactly
the level and scale of its place. A blob has a seed if it was encrypted with the secret key, and none if with the public
key. So the length of the message follows from the plan, and a reader knows it before it reads. The message may be large
and is written piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hetorch.engine.codec import ciphertext_blob_bytes, dump_ciphertext
from hetorch.engine.native import Ciphertext
from hetorch.errors import PlanUseError
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
    """A plan's weights, encrypted under the key of the client whose evaluation keys have the id `key_id` (SHA-256,
    hex)."""

    key_id: str
    weights: EncryptedWeights[Ciphertext]


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFormat:
    """The format of the message with one plan's weights; it is the same for the plan with and without its weights."""

    name: str
    fingerprint: str
    parameters: ParameterSet
    places: tuple[WeightPlace, ...]

    @classmethod
    def of(cls, plan: Plan) -> WeightsFormat:
        """Return the format for a plan; PlanUseError if the plan has its weights in clear."""
        if not plan.program.encrypted_weights:
            raise PlanUseError(
                f'the plan {plan.name!r} has its weights in clear; compile it with weights="encrypted"'
            )
        places = weight_places(plan.program, plan.parameters, plan.weights)
        return cls(plan.name, plan.public().fingerprint, plan.parameters, places)

    @property
    def limits(self) -> FrameLimits:
        """The limits of the message: each blob with a seed or without."""
        by_level = {level: fresh_lengths(self.parameters, level) for level in {p.level for p in self.places}}
        lengths = tuple(by_level[place.level] for place in self.places)
        return FrameLimits(len(lengths), lengths, Kind.ENCRYPTED_WEIGHTS.digest_bytes)

    def message_bytes(self, *, seeded: bool) -> int:
        """Return the exact length in bytes of a message whose ciphertexts all have a seed, or all have none."""
        level_bytes = {
            level: ciphertext_blob_bytes(self.parameters, level, seeded=seeded)
            for level in {place.level for place in self.places}
        }
        lengths = tuple(frozenset({level_bytes[place.level]}) for place in self.places)
        return FrameLimits(len(lengths), lengths, Kind.ENCRYPTED_WEIGHTS.digest_bytes).largest

    def dump(self, key_id: str, ciphertexts: Iterable[Ciphertext]) -> Iterator[bytes]:
        """Encode the message piece by piece; `ciphertexts` are consumed one at a time, in the order of `places`."""
        blobs = (dump_ciphertext(self.parameters, ciphertext) for ciphertext in ciphertexts)
        model = bytes.fromhex(self.fingerprint)
        return frame_pieces(Kind.ENCRYPTED_WEIGHTS, model, bytes.fromhex(key_id), len(self.places), blobs)

    def load(self, data: bytes | bytearray | memoryview) -> UploadedWeights:
        """Parse bytes from outside; WireError if anything differs from the plan."""
        frame = load_frame_of(Kind.ENCRYPTED_WEIGHTS, self.name, self.fingerprint, data, self.limits)
        ciphertexts = (
            load_blob(self.parameters, blob, index, level=place.level, scale=place.scale)
            for index, (blob, place) in enumerate(zip(frame.blobs, self.places, strict=True))
        )
        return UploadedWeights(frame.key_id.hex(), EncryptedWeights.at(self.places, ciphertexts))


def read_weights_header(name: str, fingerprint: str, data: bytes | bytearray | memoryview) -> Header:
    """Parse the header at the beginning of `data`; WireError unless the message has the weights of the plan with this
    fingerprint (hex). `name`: the plan's name, for the error's sentence."""
    header = load_header(data)
    check_header(header, Kind.ENCRYPTED_WEIGHTS, name, fingerprint)
    return header
